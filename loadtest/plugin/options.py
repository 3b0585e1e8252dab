"""The harness's options on Locust's command line and in its web form, and the plan they ask for."""

import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Mapping
from itertools import pairwise

from locust.argument_parser import LocustArgumentParser

from loadtest.plan.duration import parse_duration
from loadtest.plan.overrides import duration_s, number_above_0, whole_number
from loadtest.plan.plan_file import Plan, shipped_plans
from loadtest.publish.console import Mode
from loadtest.run_audit import STORE_VARIABLE

PLAN_HELP = "A plan's name, or the path of a .toml file; shipped: "

FORM_OPTIONS = ("plan", "peak_tps", "duration", "time_scale", "seed")
"""Our options that the web form has."""


class Offered(list[str]):
    """What the web form offers in its list; the command line may say something else, a path."""

    def __contains__(self, _: object) -> bool:
        return True


def add_options(parser: LocustArgumentParser, default_plan: str | None) -> None:
    """Add our options. They are not in an argument group, because Locust's form leaves groups out."""
    parser.add_argument(
        "--plan",
        default=default_plan,
        choices=Offered([*shipped_plans(), *_given_path()]),
        help=PLAN_HELP + ", ".join(shipped_plans()),
        metavar="NAME",
    )
    parser.add_argument(
        "--peak-tps",
        default=None,
        metavar="N",
        help="Transactions (orders) a second at the plan's peak; default: the plan's own",
    )
    parser.add_argument(
        "--duration", default=None, metavar="60s", help="Cut the plan to this length, for example 60s or 30m"
    )
    parser.add_argument(
        "--time-scale",
        default=None,
        metavar="F",
        help="Multiply the plan's time axis: 0.1 plays a 30 minute plan in 3 minutes",
    )
    parser.add_argument("--seed", default=None, metavar="N", help="Seed of whatever is random in the plan")
    parser.add_argument(
        "--trace-fraction",
        default=None,
        metavar="F",
        include_in_web_ui=False,
        help="Send a traceparent with this share of the requests (0 to 1); the slowest become exemplars",
    )
    parser.add_argument(
        "--slo",
        action="append",
        default=[],
        metavar="EXPR",
        include_in_web_ui=False,
        help='An objective besides the plan\'s, for example "p99(POST /orders) < 250ms"; may be repeated',
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="HOST",
        include_in_web_ui=False,
        help="A host beyond loopback that may be loaded; may be repeated",
    )
    parser.add_argument(
        "--also",
        action="append",
        default=[],
        metavar="URL",
        include_in_web_ui=False,
        help="Another address of the target; connections are spread over --host and these in turn; may be repeated",
    )
    parser.add_argument(
        "--out",
        default="runs",
        metavar="DIR",
        include_in_web_ui=False,
        help="Where run folders are made (default: runs)",
    )
    parser.add_argument(
        "--run-dir",
        default=None,
        metavar="DIR",
        include_in_web_ui=False,
        help="Use exactly this folder for the run instead of a new one below --out",
    )
    parser.add_argument(
        "--web-token",
        env_var="LOADTEST_WEB_TOKEN",
        default="",
        metavar="TOKEN",
        include_in_web_ui=False,
        help="Password of the web UI, needed beyond loopback; better set in the environment than here",
    )
    parser.add_argument(
        "--metrics-port",
        type=int,
        default=None,
        metavar="PORT",
        include_in_web_ui=False,
        help="Serve the run's metrics to Prometheus on this port of the master; 0 picks a free one",
    )
    parser.add_argument(
        "--metrics-host",
        default="127.0.0.1",
        metavar="ADDRESS",
        include_in_web_ui=False,
        help="Address of the metrics port; beyond loopback only with LOADTEST_METRICS_TOKEN set",
    )
    parser.add_argument(
        "--metrics-token",
        env_var="LOADTEST_METRICS_TOKEN",
        default="",
        metavar="TOKEN",
        include_in_web_ui=False,
        help="Bearer token that a scrape must carry; better set in the environment than here",
    )
    parser.add_argument(
        "--remote-write",
        env_var="LOADTEST_REMOTE_WRITE",
        default="",
        metavar="URL",
        include_in_web_ui=False,
        help="Push the run's metrics to this Prometheus remote-write address; credentials only by "
        "LOADTEST_REMOTE_WRITE_TOKEN, or _USER and _PASSWORD, in the environment",
    )
    parser.add_argument(
        "--audit-store",
        env_var=STORE_VARIABLE,
        default="",
        metavar="DSN",
        include_in_web_ui=False,
        help="The order service's database, sqlite:///FILE or postgresql://...: each run is audited as it ends; "
        "a DSN with a password is better set in the environment than here",
    )
    parser.add_argument(
        "--service-metrics",
        default=None,
        metavar="URL",
        include_in_web_ui=False,
        help="The target's own Prometheus page, for example http://127.0.0.1:8081/metrics: its memory is sampled",
    )
    parser.add_argument(
        "--checkpoint",
        type=_checkpoint_s,
        default="60s",
        metavar="60s",
        include_in_web_ui=False,
        help="How often result.json is written while a run goes on, in case the master is killed (default: 60s)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        include_in_web_ui=False,
        help="Go on with the run in --run-dir where its last checkpoint ends; its plan and objectives count",
    )
    parser.add_argument(
        "--console",
        default="locust",
        choices=["locust", *(mode.value for mode in Mode)],
        include_in_web_ui=False,
        help="What to show while a headless run goes on: Locust's own tables, or the harness's progress",
    )


def plan_from(options: Namespace) -> Plan:
    """The plan that the options, from the command line or the web form, ask for. Raises `PlanError`."""
    plan = Plan.load(str(options.plan))
    return plan.with_overrides(
        peak_tps=number_above_0(options.peak_tps, "--peak-tps"),
        duration_s=duration_s(options.duration),
        time_scale=number_above_0(options.time_scale, "--time-scale"),
        seed=whole_number(options.seed, "--seed"),
        trace_fraction=number_above_0(options.trace_fraction, "--trace-fraction", "a share between 0 and 1"),
    )


def with_form(options: Namespace, form: Mapping[str, str]) -> Namespace:
    """The options as a start from the web form would leave them."""
    return Namespace(**vars(options) | {key: form[key] for key in FORM_OPTIONS if key in form})


def _given_path() -> list[str]:
    """The plan file that the command line names, so that the form can offer it too."""
    given = [b for a, b in pairwise(sys.argv) if a == "--plan"]
    given += [arg.partition("=")[2] for arg in sys.argv if arg.startswith("--plan=")]
    return [name for name in given if name.endswith(".toml")]


def _checkpoint_s(text: str) -> float:
    """Seconds. Raises `ArgumentTypeError`, which ends in a usage error that names the flag."""
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
    if seconds <= 0:
        raise ArgumentTypeError("expected more than 0 s")
    return seconds
