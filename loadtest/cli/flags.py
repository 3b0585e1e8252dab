"""Flags of `singlesday`: those that several commands share, and those that take too many words to be read there."""

import inspect
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from loadtest.configuration.run_config import CHECKPOINT_S


def example(command: str) -> str:
    """How `--help` ends: what to type."""
    return f"Example: {command}"


class Schemas(StrEnum):
    """The files that have a JSON Schema."""

    RESULT = "result"
    PLAN = "plan"


SchemaOf = Annotated[Schemas, typer.Argument(help="The file that it describes.", metavar="[result|plan]")]

PLAN, LOAD, TARGET, JUDGE, OUTPUT, METRICS, WEB, FLEET = (
    "Plan",
    "Load generator",
    "What is loaded",
    "Objectives",
    "Output",
    "Metrics",
    "Web UI",
    "Other machines",
)
"""The groups of options that `--help` shows, in the order in which they come."""


def option(group: str, metavar: str | None, words: str, *names: str, **more: Any) -> Any:
    """An option of a command; `metavar` stands for its value in `--help`, None for a flag without one."""
    return typer.Option(*names, help=words, rich_help_panel=group, metavar=metavar, **more)


PlanName = Annotated[
    str, typer.Argument(help="A shipped plan's name, or a plan file (.toml).", metavar="PLAN")
]
Duration = Annotated[
    str | None, option(PLAN, "TIME", "Play only the first part of the plan, this long: 60s, 5m, 1h.")
]
TimeScale = Annotated[
    float | None, option(PLAN, "FACTOR", "Stretch the plan in time: 2 takes twice as long, 0.5 half as long.")
]
Workers = Annotated[
    int | None, option(LOAD, "N", "Processes that send requests. Default: one for every two cores.", min=1)
]
TokenFile = Annotated[
    Path | None,
    option(
        FLEET,
        "FILE",
        "The secret that master and workers share, at least 16 characters; or in LOADTEST_TOKEN.",
    ),
]
ServiceWorkers = Annotated[
    int | None,
    option(
        TARGET,
        "N",
        "Worker processes of the order service. Default: one for each of its cores, up to 4.",
        min=1,
    ),
]
Targets = Annotated[
    list[str] | None,
    option(TARGET, "URL", "Load this address instead of the order service. Repeat it to spread the load."),
]
AllowHosts = Annotated[
    list[str] | None,
    option(TARGET, "HOST", "Allow load on this host beyond 127.0.0.1. Repeatable."),
]
Store = Annotated[
    str | None,
    option(
        TARGET,
        "DSN",
        "The order service's database: sqlite:///FILE or postgresql://... Default: a new file.",
    ),
]
Auditor = Annotated[
    str | None,
    option(
        TARGET, "MODULE:CLASS", "A class of yours that reads what your service stored, to audit the run by."
    ),
]
Slos = Annotated[
    list[str] | None,
    option(JUDGE, "EXPR", 'An objective besides the plan\'s: "p99(POST /orders) < 250ms". Repeatable.'),
]
Out = Annotated[Path, option(OUTPUT, "DIR", "Folder in which each run gets a folder of its own.")]
WebPort = Annotated[int, option(WEB, "PORT", "Port of the web UI.")]
MetricsPort = Annotated[
    int | None, option(METRICS, "PORT", "Serve the run's metrics to Prometheus here.", min=0, max=65535)
]
TraceFraction = Annotated[
    float | None,
    option(METRICS, "SHARE", "Trace this share of the requests: 0.01 sends a traceparent with every 100th."),
]
RemoteWrite = Annotated[
    str | None,
    option(
        METRICS,
        "URL",
        "Push the run's metrics to this Prometheus remote-write address.",
        envvar="LOADTEST_REMOTE_WRITE",
        show_default=False,
    ),
]
Quiet = Annotated[bool, option(OUTPUT, None, "Print no progress, only the verdict.", "--quiet")]
JsonLines = Annotated[
    bool, option(OUTPUT, None, "Print progress and verdict as lines of JSON, for programs.", "--json")
]
RunFolder = Annotated[Path, typer.Argument(help="The folder of a run.", metavar="RUN")]


def takes(flags: type) -> Callable[[Callable[[typer.Context], None]], Callable[..., None]]:
    """Have a command take the flags that a class declares; it reads them from its context.

    Typer makes flags of a function's parameters, and nobody reads a function of twenty.
    """

    def declared(command: Callable[[typer.Context], None]) -> Callable[..., None]:
        def called(context: typer.Context, **_: Any) -> None:
            command(context)

        named = inspect.Parameter.KEYWORD_ONLY
        parameters = [inspect.Parameter("context", named, annotation=typer.Context)]
        for name, annotation in flags.__annotations__.items():
            default = getattr(flags, name, inspect.Parameter.empty)
            parameters.append(inspect.Parameter(name, named, default=default, annotation=annotation))
        called.__name__, called.__doc__ = command.__name__, command.__doc__
        called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # Typer looks it up
        return called

    return declared


class RunFlags:
    """Of `singlesday run`."""

    plan: PlanName = "singles-day"
    peak_tps: Annotated[
        str | None,
        option(
            PLAN,
            "N|auto",
            "Orders a second at the peak; auto: up to half of what this machine can do. Default: the plan's own, "
            "or auto for a shipped plan at the order service.",
        ),
    ] = None
    duration: Duration = None
    time_scale: TimeScale = None
    seed: Annotated[int | None, option(PLAN, "N", "Seed of everything random, to repeat a run.")] = None
    workers: Workers = None
    expect_workers: Annotated[
        int | None,
        option(
            FLEET,
            "N",
            "Wait for N workers that `singlesday worker` starts elsewhere; none is started here but by --workers.",
            min=1,
        ),
    ] = None
    bind: Annotated[
        str,
        option(FLEET, "HOST:PORT", "Where they reach this machine: one of its addresses, and a port."),
    ] = "127.0.0.1:5557"
    token_file: TokenFile = None
    min_workers: Annotated[
        int, option(FLEET, "N", "End the run when fewer workers than this are left.", min=1)
    ] = 1
    target: Targets = None
    allow_host: AllowHosts = None
    service_workers: ServiceWorkers = None
    store: Store = None
    slo: Slos = None
    out: Out = Path("runs")
    quiet: Quiet = False
    json_lines: JsonLines = False
    csv: Annotated[bool, option(OUTPUT, None, "Also write Locust's own CSV files.", "--csv")] = False
    checkpoint: Annotated[
        str, option(OUTPUT, "TIME", "How often to save the run, so that `resume` can go on with it.")
    ] = f"{CHECKPOINT_S:g}s"
    metrics_port: MetricsPort = None
    remote_write: RemoteWrite = None
    trace_fraction: TraceFraction = None
    auditor: Auditor = None
    service_metrics: Annotated[
        str | None, option(METRICS, "URL", "The target's own Prometheus page, to watch its memory.")
    ] = None
    web: Annotated[
        bool, option(WEB, None, "Serve the web UI, where runs are started, instead of starting one.", "--web")
    ] = False
    web_port: WebPort = 8089


class WatchFlags:
    """Of `singlesday watch`."""

    workers: Workers = None
    service_workers: ServiceWorkers = None
    out: Out = Path("runs")
    web_port: WebPort = 8089
    prometheus_port: Annotated[int, option(METRICS, "PORT", "Port of Prometheus.")] = 9090


class DrillFlags:
    """Of `singlesday drill`."""

    names: Annotated[
        list[str] | None, typer.Argument(help="Drills to run; all if none is named.", metavar="[NAME]...")
    ] = None
    listed: Annotated[bool, option(PLAN, None, "List the drills, and run none.", "--list")] = False
    workers: Workers = None
    service_workers: ServiceWorkers = 1
    slo: Slos = None
    out: Out = Path("runs")


class CapacityFlags:
    """Of `singlesday capacity`."""

    plan: PlanName = "steady"
    start_tps: Annotated[
        float | None,
        option(
            "Search",
            "N",
            "The first rate to try, in orders a second. Default: most of what a closed loop completes.",
            min=1,
        ),
    ] = None
    duration: Annotated[
        str | None,
        option(
            "Search",
            "TIME",
            "How long each rate is measured. Default: 3 s to 10 s, as the objectives need (docs/capacity.md).",
        ),
    ] = None
    tolerance: Annotated[
        float, option("Search", "SHARE", "How close to come to the limit: 0.05 is within 5 %.")
    ] = 0.03
    workers: Workers = None
    target: Targets = None
    allow_host: AllowHosts = None
    service_workers: ServiceWorkers = None
    store: Store = None
    slo: Slos = None
    measured: Annotated[
        list[str] | None,
        option(
            "Machines", "MACHINES=TPS", "Run nothing: fit these measurements instead. Repeat for each size."
        ),
    ] = None
    for_tps: Annotated[
        float, option("Machines", "N", "The rate to say how many machines it takes.", "--for", min=1)
    ] = 583_000
    out: Out = Path("runs")
    quiet: Quiet = False
    json_lines: JsonLines = False


class SimulateFlags:
    """Of `singlesday simulate`."""

    plan: PlanName = "singles-day"
    replicas: Annotated[
        list[int] | None,
        option(
            "What if", "N", "So many replicas of what was measured. Repeat it to compare. Default: 1.", min=1
        ),
    ] = None
    source: Annotated[
        Path | None,
        option(
            "Measured",
            "FOLDER",
            "What one replica does: the folder of `singlesday capacity`, or of a run.",
            "--from",
        ),
    ] = None
    replica_tps: Annotated[
        float | None,
        option("Measured", "N", "What a replica does at most, where --from does not tell.", min=1),
    ] = None
    at_once: Annotated[
        int,
        option(
            "Measured",
            "N",
            "A replica works on so many at once, others wait in line. Default: 0, it commits in groups.",
            min=0,
        ),
    ] = 0
    bill: Annotated[
        bool, option("Bill", None, "Simulate nothing: print what --for takes, machine by machine.", "--bill")
    ] = False
    for_tps: Annotated[float, option("Bill", "N", "The rate that the bill is for.", "--for", min=1)] = 583_000
    inputs: Annotated[
        Path | None,
        option("Bill", "FILE", "Measurements of yours, as `python -m benchmarks.bill` writes them."),
    ] = None
    slower: Annotated[float, option("What if", "FACTOR", "Commits, or work, take so many times as long.")] = (
        1.0
    )
    zone_lost: Annotated[
        str | None, option("What if", "TIME", "A zone is lost so long after the plan's beginning: 30s.")
    ] = None
    zones: Annotated[int, option("What if", "N", "How many zones there are, one of which may be lost.")] = 3
    peak_tps: Annotated[float | None, option(PLAN, "N", "Orders a second at the peak.")] = None
    duration: Duration = None
    time_scale: TimeScale = None
    seed: Annotated[int | None, option(PLAN, "N", "Seed of everything random.")] = None
    page: Annotated[Path | None, option(OUTPUT, "FILE", "Also write a page with charts here.", "--html")] = (
        None
    )
    json_lines: Annotated[
        bool, option(OUTPUT, None, "Print one document of JSON, for programs.", "--json")
    ] = False
