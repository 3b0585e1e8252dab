"""Flags of `singlesday`: those of several commands, and those of commands that have many."""

import inspect
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from loadtest.configuration.run_config import CHECKPOINT_S
from loadtest.measure.run_result import RESULT
from loadtest.records import RECORD_TPS


def example(command: str) -> str:
    """The last line of a command's `--help`: an example to type."""
    return f"Example: {command}"


class Schemas(StrEnum):
    """The files that have a JSON Schema."""

    RESULT = "result"
    PLAN = "plan"


SchemaOf = Annotated[Schemas, typer.Argument(help="Which file the schema is for.", metavar="[result|plan]")]

PLAN, LOAD, TARGET, JUDGE, OUTPUT, METRICS, WEB, FLEET = (
    "Plan",
    "Load generator",
    "Target",
    "Objectives",
    "Output",
    "Metrics",
    "Web UI",
    "Other machines",
)
"""The groups of options in `--help`, in their order."""


def option(group: str, metavar: str | None, words: str, *names: str, **more: Any) -> Any:
    """An option of a command; `metavar` stands for its value in `--help`, None for a flag without one."""
    return typer.Option(*names, help=words, rich_help_panel=group, metavar=metavar, **more)


PlanName = Annotated[
    str, typer.Argument(help="A shipped plan's name, or a plan file (.toml).", metavar="PLAN")
]
Duration = Annotated[
    str | None,
    option(
        PLAN,
        "TIME",
        "Play this much of the plan, from its beginning: 60s, 5m, 1h. Beyond its curve the last rate goes on.",
    ),
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
        "File with the secret that master and workers share (16 characters or more); or set LOADTEST_TOKEN.",
    ),
]
ServiceWorkers = Annotated[
    int | None,
    option(
        TARGET,
        "N",
        "Worker processes of the order service. Default: one for each core it is given, up to 4.",
        min=1,
    ),
]
Targets = Annotated[
    list[str] | None,
    option(
        TARGET,
        "URL",
        "Address to send the load to, instead of the order service. Repeatable: the load is spread.",
    ),
]
AllowHosts = Annotated[
    list[str] | None,
    option(
        TARGET, "HOST", "Allow load on this host; without it only this machine may be loaded. Repeatable."
    ),
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
        TARGET,
        "MODULE:CLASS",
        "Your class with keys(run_id) and problems(run_id), which read what your service stored, to audit the run.",
    ),
]
Slos = Annotated[
    list[str] | None,
    option(JUDGE, "EXPR", 'An objective besides the plan\'s: "p99(POST /orders) < 250ms". Repeatable.'),
]
Out = Annotated[Path, option(OUTPUT, "DIR", "Folder to write into; each run gets its own folder there.")]
WebPort = Annotated[int, option(WEB, "PORT", "Port of the web UI.")]
MetricsPort = Annotated[
    int | None,
    option(METRICS, "PORT", "Port on which Prometheus can scrape the run's metrics.", min=0, max=65535),
]
TraceFraction = Annotated[
    float | None,
    option(
        METRICS, "SHARE", "Share of the requests to trace: 0.01 sends a traceparent header with every 100th."
    ),
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


def _folder(path: Path) -> Path:
    """The folder of a run whose result may have been named instead, as `compare` takes it too."""
    return path.parent if path.name == RESULT and path.is_file() else path


RunFolder = Annotated[Path, typer.Argument(help="The folder of a run.", metavar="RUN", callback=_folder)]
ToResume = Annotated[
    Path,
    typer.Argument(help="The folder of a run that was killed or stopped.", metavar="RUN", callback=_folder),
]


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
    """Flags of `singlesday run`."""

    plan: PlanName = "singles-day"
    peak_tps: Annotated[
        str | None,
        option(
            PLAN,
            "N|auto",
            "Orders a second at the peak; auto: measure this machine and take up to 40 % of what it can do. "
            "Default: the plan's own; auto for a shipped plan at the order service.",
        ),
    ] = None
    duration: Duration = None
    time_scale: TimeScale = None
    seed: Annotated[
        int | None,
        option(PLAN, "N", "Seed of all random choices; the same seed plays the same arrivals again."),
    ] = None
    workers: Workers = None
    expect_workers: Annotated[
        int | None,
        option(
            FLEET,
            "N",
            "Wait for N workers started by `singlesday worker` on other machines. "
            "None is started here unless --workers asks for it.",
            min=1,
        ),
    ] = None
    bind: Annotated[
        str,
        option(FLEET, "HOST:PORT", "Address and port of this machine that those workers connect to."),
    ] = "127.0.0.1:5557"
    token_file: TokenFile = None
    min_workers: Annotated[
        int, option(FLEET, "N", "End the run when fewer than N workers are left.", min=1)
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
        str | None,
        option(METRICS, "URL", "Address of the target's own Prometheus metrics, to watch its memory."),
    ] = None
    web: Annotated[
        bool,
        option(WEB, None, "Serve the web UI and start runs there, instead of starting one now.", "--web"),
    ] = False
    web_port: WebPort = 8089


class WatchFlags:
    """Flags of `singlesday watch`."""

    workers: Workers = None
    service_workers: ServiceWorkers = None
    out: Out = Path("runs")
    web_port: WebPort = 8089
    prometheus_port: Annotated[int, option(METRICS, "PORT", "Port of Prometheus.")] = 9090


class DrillFlags:
    """Flags of `singlesday drill`."""

    names: Annotated[
        list[str] | None, typer.Argument(help="Drills to run. Default: all.", metavar="[NAME]...")
    ] = None
    listed: Annotated[bool, option(PLAN, None, "List the drills and exit.", "--list")] = False
    workers: Workers = None
    service_workers: Annotated[int, option(TARGET, "N", "Worker processes of the order service.", min=1)] = 1
    slo: Slos = None
    out: Out = Path("runs")


class CapacityFlags:
    """Flags of `singlesday capacity`."""

    plan: PlanName = "steady"
    start_tps: Annotated[
        float | None,
        option(
            "Search",
            "N",
            "First rate to try, in orders a second. Default: 70 % of full speed, or a quarter of an agreed rate.",
            min=1,
        ),
    ] = None
    duration: Annotated[
        str | None,
        option(
            "Search",
            "TIME",
            "How long to measure each rate. Default: 3 s to 10 s, as long as the objectives need to be judged.",
        ),
    ] = None
    tolerance: Annotated[
        float, option("Search", "SHARE", "How exactly to find the highest rate: 0.05 is within 5 %.")
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
            "Machines",
            "MACHINES=TPS",
            "Send nothing: compute machines from these measurements, for example 4=14000. Repeat for each size.",
        ),
    ] = None
    for_tps: Annotated[
        float,
        option(
            "Machines",
            "N",
            "The rate, in orders a second, to compute the number of machines for.",
            "--for",
            min=1,
        ),
    ] = RECORD_TPS
    out: Out = Path("runs")
    quiet: Quiet = False
    json_lines: JsonLines = False


class SimulateFlags:
    """Flags of `singlesday simulate`."""

    plan: PlanName = "singles-day"
    replicas: Annotated[
        list[int] | None,
        option(
            "What if",
            "N",
            "Number of replicas of the measured service. Repeat to compare. Default: 1.",
            min=1,
        ),
    ] = None
    source: Annotated[
        Path | None,
        option(
            "Measured",
            "FOLDER",
            "Folder of a `singlesday capacity` search or of a run, which measured one replica.",
            "--from",
        ),
    ] = None
    replica_tps: Annotated[
        float | None,
        option(
            "Measured",
            "N",
            "The most orders a second that one replica does; needed if --from is a run.",
            min=1,
        ),
    ] = None
    at_once: Annotated[
        int,
        option(
            "Measured",
            "N",
            "Requests that a replica works on at the same time; others wait. 0: it commits in groups, "
            "as the order service does.",
            min=0,
        ),
    ] = 0
    under_way: Annotated[
        int | None,
        option(
            "Measured",
            "N",
            "Requests that a replica has under way at most, waiting ones included; more are refused. Default: "
            "half a second of work, with --at-once any number.",
            min=1,
        ),
    ] = None
    bill: Annotated[
        bool,
        option(
            "Bill", None, "Simulate nothing: print the machines that --for needs, line by line.", "--bill"
        ),
    ] = False
    for_tps: Annotated[
        float, option("Bill", "N", "The rate, in orders a second, that --bill is for.", "--for", min=1)
    ] = RECORD_TPS
    inputs: Annotated[
        Path | None,
        option(
            "Bill", "FILE", "Your own measurements for --bill: a file written by `python -m benchmarks.bill`."
        ),
    ] = None
    slower: Annotated[
        float,
        option("What if", "FACTOR", "Make a replica's work (its commits) take this many times as long."),
    ] = 1.0
    zone_lost: Annotated[
        str | None,
        option("What if", "TIME", "Lose one zone this long after the plan begins, for example 30s."),
    ] = None
    zones: Annotated[int, option("What if", "N", "Number of zones that the replicas are spread over.")] = 3
    peak_tps: Annotated[float | None, option(PLAN, "N", "Orders a second at the peak.")] = None
    duration: Duration = None
    time_scale: TimeScale = None
    seed: Annotated[int | None, option(PLAN, "N", "Seed of all random choices.")] = None
    page: Annotated[
        Path | None, option(OUTPUT, "FILE", "Also write a page with charts to this file.", "--html")
    ] = None
    json_lines: Annotated[
        bool, option(OUTPUT, None, "Print one document of JSON, for programs.", "--json")
    ] = False
