"""The harness's options on Locust's command line and in its web form, and the configuration they make."""

import contextlib
from argparse import Action, ArgumentTypeError, Namespace
from collections.abc import Mapping, Sequence
from typing import Any

from locust.argument_parser import LocustArgumentParser, default_args_dict, get_empty_argument_parser

from loadtest.configuration.asked_plan import OVERRIDES, asked_plan
from loadtest.configuration.config_error import ConfigError
from loadtest.configuration.run_config import CHECKPOINT_S, SHIPPED_SCENARIOS, RunConfig, Source
from loadtest.environment import STORE_VARIABLE
from loadtest.plan.duration import parse_duration
from loadtest.plan.plan_file import Plan, shipped_plans
from loadtest.publish.mode import Mode

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
    "--duration": {
        "metavar": "60s",
        "help": "Play this much of the plan, for example 60s or 30m; beyond its curve the last rate goes on",
    },
    "--time-scale": {
        "metavar": "F",
        "help": "Multiply the plan's time axis: 0.1 plays a 30 minute plan in 3 minutes",
    },
    "--seed": {"metavar": "N", "help": "Seed of all random choices; default: the plan's own"},
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
        "default": f"{CHECKPOINT_S:g}s",
        "metavar": "TIME",
        "help": "How often a run's totals are saved while it goes on, in case the master is killed "
        f"(default: {CHECKPOINT_S:g}s)",
    },
    "--min-workers": {
        "type": int,
        "default": 1,
        "metavar": "N",
        "help": "End the run when fewer workers than this are left (default: 1)",
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


def add_options(
    parser: LocustArgumentParser, default_plan: str | None, base: RunConfig | None = None
) -> None:
    """Add our options; `base` is what `singlesday` has asked for already, if it started this process.

    They are not in an argument group, because Locust's form leaves groups out.
    """
    chosen = base.plan_name if base is not None else plan_named(default_plan)
    parser.add_argument(
        "--plan",
        default=default_plan,
        choices=Offered(_offered(chosen)),
        help=PLAN_HELP + ", ".join(shipped_plans()),
        metavar="NAME",
        env_var="LOCUST_PLAN",
    )
    for flag, declared in _IN_THE_FORM.items():
        parser.add_argument(flag, default=None, env_var=_variable(flag), **declared)
    for flag, declared in _COMMAND_LINE_ONLY.items():
        parser.add_argument(flag, include_in_web_ui=False, **{"env_var": _variable(flag), **declared})
    if base is not None:
        parser.set_defaults(plan=base.plan_name, **(base.overrides if base.web else {}))


def plan_named(default_plan: str | None) -> str | None:
    """The plan that command line, environment or configuration file name, found before all options are known."""
    parser = get_empty_argument_parser(add_help=False)
    parser.add_argument("--plan", default=default_plan, env_var="LOCUST_PLAN")
    with contextlib.suppress(SystemExit, OSError):
        named, _ = parser.parse_known_args()
        return str(named.plan) if named.plan else None
    return default_plan


def config_of(
    options: Namespace,
    sources: Mapping[str, Source],
    form: Mapping[str, str] | None = None,
    base: RunConfig | None = None,
    available: Sequence[str] = (),
) -> RunConfig:
    """What options and, where a run is started in the web UI, its form ask for. Raises `ConfigError`.

    `base` is what `singlesday` asks for already; `available` are the classes that can be picked by name.
    """
    form = form or {}
    if base is not None and not form:
        return base
    given = vars(options) | {key: form[key] for key in FORM_OPTIONS if key in form}
    overrides = {name: str(given[name]) for name in OVERRIDES if given.get(name) not in (None, "")}
    plan = asked_plan(given["plan"], overrides)
    known = dict(sources) | {_OF_THE_FORM.get(key, key): Source("form", key) for key in form}
    asked = base or _from_options(options, plan)
    return asked.but(
        plan=plan,
        plan_name=str(given["plan"]),
        overrides=overrides,
        left_out=_left_out(options, form, available),
        targets=_targets(form.get("host") or options.host, options.also) if base is None else base.targets,
        sources=known,
    )


def own_fields(parser: LocustArgumentParser) -> dict[str, Action]:
    """The fields that the form has beyond Locust's and ours: a script's own arguments, by name."""
    others = {*default_args_dict(), *FORM_OPTIONS, "help"}
    return {name: action for name, action in parser.args_included_in_web_ui.items() if name not in others}


def check_own_fields(parser: LocustArgumentParser, options: Namespace, form: Mapping[str, str]) -> None:
    """Raise `ConfigError` for a value that Locust could not put in the place of a script's own argument."""
    for name, action in own_fields(parser).items():
        value, current = form.get(name), getattr(options, name, None)
        if value is None or isinstance(current, bool | list | None):
            continue
        try:
            converted = type(current)(value)
        except ValueError:
            expected = {int: "a whole number", float: "a number"}.get(type(current), type(current).__name__)
            raise ConfigError(name, f"{name}: expected {expected}, got {value!r}", value=value) from None
        if action.choices is not None and converted not in action.choices:
            expected = f"one of {', '.join(map(str, action.choices))}"
            raise ConfigError(name, f"{name}: expected {expected}, got {value!r}", value=value)


def check_shape(form: Mapping[str, str]) -> None:
    """Raise `ConfigError` for a shape of the script that is picked in the form: the plan takes its place."""
    shape = form.get("shape_class", "")
    if shape not in {"", "Default"}:
        raise ConfigError(
            "shape_class",
            f"shape_class: expected Default, got {shape!r}: the plan decides how much load there is and for how long",
            value=shape,
        )


def check_target_field(options: Namespace, form: Mapping[str, str], config: RunConfig) -> None:
    """Raise `ConfigError` for a form whose target was emptied, where one was needed or given before."""
    emptied = "host" in form and not form["host"].strip()
    fixed = config.service is not None or config.hosts
    if (
        emptied
        and not fixed
        and (options.host or all(s.user.startswith(SHIPPED_SCENARIOS) for s in config.plan.scenarios))
    ):
        raise ConfigError(
            "targets",
            "host: expected the address of the service, for example http://127.0.0.1:8080, got nothing",
        )


def plans_on_offer(parser: LocustArgumentParser) -> list[str]:
    """The plans that a form's list has."""
    return next(list(action.choices or ()) for action in parser._actions if action.dest == "plan")


def sources_of(parser: LocustArgumentParser, options: Namespace) -> dict[str, Source]:
    """Where each option that is not a default came from, by the field of `RunConfig` that it becomes."""
    found: dict[str, Source] = {}
    settings = parser.get_source_to_settings_dict()
    for source, values in settings.items():
        kind, _, file = source.partition("|")
        for name, (action, _value) in ((n, v) for n, v in values.items() if n):
            dest = action.dest if action is not None else name
            if kind == "environment_variables":
                found[dest] = Source("environment", name)
            elif kind == "config_file":
                found[dest] = Source("file", f"{name} in {file}")
            elif kind == "defaults":
                found[dest] = Source("default", name)
    flags = {action.dest: action.option_strings for action in parser._actions}
    for dest in vars(options):
        if dest not in found and flags.get(dest):
            found[dest] = Source("flag", flags[dest][-1])
    return {
        field: found[dest]
        for dest, field in _FIELDS.items()
        if dest in found and found[dest].kind != "default"
    } | {"targets": found.get("host", Source("flag", "--host"))}


_OF_THE_FORM = {"host": "targets", "user_classes": "left_out"}
"""Fields of the form that are called other than what they become."""
_FIELDS = {
    **{name: name for name in ("plan", *OVERRIDES)},
    "slo": "objectives",
    "user_classes": "left_out",
    "tags": "tags",
    "exclude_tags": "exclude_tags",
    "allow_host": "allow_hosts",
    "audit_store": "audit_store",
    "service_metrics": "service_metrics",
    "out": "out",
    "run_dir": "folder",
    "resume": "resume",
    "checkpoint": "checkpoint_s",
    "console": "console",
    "min_workers": "min_workers",
    "csv_prefix": "csv",
    "metrics_port": "metrics_port",
    "remote_write": "remote_write",
    "web_port": "web_port",
}
"""Options by their name in Locust's parser, and the fields of `RunConfig` that they become."""


def _from_options(options: Namespace, plan: Plan) -> RunConfig:
    return RunConfig(
        plan=plan,
        plan_name="",
        objectives=list(options.slo),
        tags=list(options.tags or []),
        exclude_tags=list(options.exclude_tags or []),
        allow_hosts=list(options.allow_host),
        audit_store=options.audit_store or None,
        service_metrics=options.service_metrics,
        workers=max(1, options.expect_workers if options.master else 1),
        min_workers=options.min_workers,
        out=options.out,
        folder=options.run_dir,
        resume=options.resume,
        checkpoint_s=options.checkpoint,
        console=options.console,
        csv=bool(options.csv_prefix),
        metrics_port=options.metrics_port,
        remote_write=options.remote_write or None,
        web=not options.headless,
        web_port=options.web_port,
    )


def _targets(host: str | None, also: Sequence[str]) -> list[str]:
    if also and not host:
        raise ConfigError("targets", "--also: expected together with --host, whose load is spread")
    return [host, *also] if host else []


def _left_out(options: Namespace, form: Mapping[str, str], available: Sequence[str]) -> list[str]:
    """The classes that were not picked by name, in the form of `--class-picker` or behind Locust's options."""
    picked = getattr(form, "getlist", lambda key: [form[key]] if form.get(key) else [])("user_classes")
    picked = list(picked) or list(options.user_classes or [])
    return [name for name in available if picked and name not in picked]


def _offered(chosen: str | None) -> list[str]:
    """Plans for the form, the chosen one among them; without one the first is empty, so that none is by mistake."""
    shipped = shipped_plans()
    if not chosen:
        return ["", *shipped]
    return shipped if chosen in shipped else [*shipped, chosen]


def _variable(flag: str) -> str:
    return f"LOCUST_{flag.removeprefix('--').replace('-', '_').upper()}"
