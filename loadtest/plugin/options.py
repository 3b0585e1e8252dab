"""The harness's options on Locust's command line and in its web form, and the plan they ask for."""

import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from locust.argument_parser import LocustArgumentParser

from loadtest.plan.duration import parse_duration
from loadtest.plan.overrides import duration_s, number_above_0, whole_number
from loadtest.plan.plan_file import Plan, shipped_plans
from loadtest.publish.console import Mode
from loadtest.run_audit import STORE_VARIABLE

PLAN_HELP = "A plan's name, or the path of a .toml file; shipped: "


def _checkpoint_s(text: str) -> float:
    """Seconds. Raises `ArgumentTypeError`, which ends in a usage error that names the flag."""
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
    if seconds <= 0:
        raise ArgumentTypeError("expected more than 0 s")
    return seconds


_IN_THE_FORM: dict[str, dict[str, Any]] = {
    "--peak-tps": {
        "metavar": "N",
        "help": "Transactions (orders) a second at the plan's peak; default: the plan's own",
    },
    "--duration": {"metavar": "60s", "help": "Cut the plan to this length, for example 60s or 30m"},
    "--time-scale": {
        "metavar": "F",
        "help": "Multiply the plan's time axis: 0.1 plays a 30 minute plan in 3 minutes",
    },
    "--seed": {"metavar": "N", "help": "Seed of whatever is random in the plan"},
}
"""Flags that the form has too, besides --plan, and how `argparse` is told of them."""

FORM_OPTIONS = ("plan", *(flag.removeprefix("--").replace("-", "_") for flag in _IN_THE_FORM))
"""Our options that the web form has."""

_COMMAND_LINE_ONLY: dict[str, dict[str, Any]] = {
    "--trace-fraction": {
        "default": None,
        "metavar": "F",
        "help": "Send a traceparent with this share of the requests (0 to 1); the slowest become exemplars",
    },
    "--slo": {
        "action": "append",
        "default": [],
        "metavar": "EXPR",
        "help": 'An objective besides the plan\'s, for example "p99(POST /orders) < 250ms"; may be repeated',
    },
    "--allow-host": {
        "action": "append",
        "default": [],
        "metavar": "HOST",
        "help": "A host beyond loopback that may be loaded; may be repeated",
    },
    "--also": {
        "action": "append",
        "default": [],
        "metavar": "URL",
        "help": "Another address of the target; connections are spread over --host and these in turn; "
        "may be repeated",
    },
    "--out": {
        "default": "runs",
        "metavar": "DIR",
        "help": "Where run folders are made (default: runs)",
    },
    "--run-dir": {
        "default": None,
        "metavar": "DIR",
        "help": "Use exactly this folder for the run instead of a new one below --out",
    },
    "--web-token": {
        "env_var": "LOADTEST_WEB_TOKEN",
        "default": "",
        "metavar": "TOKEN",
        "help": "Password of the web UI, needed beyond loopback; better set in the environment than here",
    },
    "--metrics-port": {
        "type": int,
        "default": None,
        "metavar": "PORT",
        "help": "Serve the run's metrics to Prometheus on this port of the master; 0 picks a free one",
    },
    "--metrics-host": {
        "default": "127.0.0.1",
        "metavar": "ADDRESS",
        "help": "Address of the metrics port; beyond loopback only with LOADTEST_METRICS_TOKEN set",
    },
    "--metrics-token": {
        "env_var": "LOADTEST_METRICS_TOKEN",
        "default": "",
        "metavar": "TOKEN",
        "help": "Bearer token that a scrape must carry; better set in the environment than here",
    },
    "--remote-write": {
        "env_var": "LOADTEST_REMOTE_WRITE",
        "default": "",
        "metavar": "URL",
        "help": "Push the run's metrics to this Prometheus remote-write address; credentials only by "
        "LOADTEST_REMOTE_WRITE_TOKEN, or _USER and _PASSWORD, in the environment",
    },
    "--audit-store": {
        "env_var": STORE_VARIABLE,
        "default": "",
        "metavar": "DSN",
        "help": "The order service's database, sqlite:///FILE or postgresql://...: each run is audited as it ends; "
        "a DSN with a password is better set in the environment than here",
    },
    "--service-metrics": {
        "default": None,
        "metavar": "URL",
        "help": "The target's own Prometheus page, for example http://127.0.0.1:8081/metrics: its memory is sampled",
    },
    "--checkpoint": {
        "type": _checkpoint_s,
        "default": "60s",
        "metavar": "60s",
        "help": "How often result.json is written while a run goes on, in case the master is killed (default: 60s)",
    },
    "--resume": {
        "action": "store_true",
        "help": "Go on with the run in --run-dir where its last checkpoint ends; its plan and objectives count",
    },
    "--console": {
        "default": "locust",
        "choices": ["locust", *(mode.value for mode in Mode)],
        "help": "What to show while a headless run goes on: Locust's own tables, or the harness's progress",
    },
}
"""Flags that nobody who only sees the web page may set."""


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
    for flag, declared in _IN_THE_FORM.items():
        parser.add_argument(flag, default=None, **declared)
    for flag, declared in _COMMAND_LINE_ONLY.items():
        parser.add_argument(flag, include_in_web_ui=False, **declared)


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
