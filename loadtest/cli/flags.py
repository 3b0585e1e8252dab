"""Flags of `singlesday`: those that several commands share, and those that take too many words to be read there."""

import inspect
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer


class Schemas(StrEnum):
    """The files that have a JSON Schema."""

    RESULT = "result"
    PLAN = "plan"


SchemaOf = Annotated[Schemas, typer.Argument(help="Of which file.", metavar="[result|plan]")]
PlanName = Annotated[str, typer.Argument(help="A shipped plan's name, or a .toml file.")]
Duration = Annotated[str | None, typer.Option(help="Cut the plan to this length, for example 60s.")]
TimeScale = Annotated[float | None, typer.Option(help="Multiply the plan's time axis.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Generator processes.")]
ServiceWorkers = Annotated[int, typer.Option(min=1, help="Worker processes of the order service.")]
Targets = Annotated[
    list[str] | None,
    typer.Option(help="Load this address instead of starting the order service; repeat to spread."),
]
Slos = Annotated[
    list[str] | None,
    typer.Option(
        help='An objective besides the plan\'s, for example "p99(POST /orders) < 250ms"; repeatable.'
    ),
]
Out = Annotated[Path, typer.Option(help="Where run folders are made.")]
WebPort = Annotated[int, typer.Option(help="Port of the web UI.")]
MetricsPort = Annotated[
    int | None, typer.Option(min=0, max=65535, help="Serve the run's metrics to Prometheus on this port.")
]
TraceFraction = Annotated[
    float | None,
    typer.Option(help="Send a traceparent with this share of the requests; the slowest become exemplars."),
]
RemoteWrite = Annotated[
    str | None,
    typer.Option(
        envvar="LOADTEST_REMOTE_WRITE",
        help="Push the run's metrics to this Prometheus remote-write address.",
        metavar="URL",
        show_default=False,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress, only the verdict.")]
JsonLines = Annotated[bool, typer.Option("--json", help="JSON lines: progress each second, the verdict.")]
RunFolder = Annotated[Path, typer.Argument(help="A run folder.", metavar="RUN")]


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
        typer.Option(
            help="Orders a second at the peak; auto: up to 70 % of what this machine can do. "
            "Default: auto if a shipped plan drives the service started here, else the plan's own."
        ),
    ] = None
    duration: Duration = None
    time_scale: TimeScale = None
    workers: Workers = None
    service_workers: ServiceWorkers = 1
    store: Annotated[str | None, typer.Option(help="Where the order service keeps its books.")] = None
    target: Targets = None
    slo: Slos = None
    out: Out = Path("runs")
    seed: Annotated[int | None, typer.Option(help="Seed of whatever is random.")] = None
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A host beyond loopback that may be loaded.")
    ] = None
    quiet: Quiet = False
    json_lines: JsonLines = False
    web: Annotated[bool, typer.Option("--web", help="Serve the Locust web UI instead of starting.")] = False
    web_port: WebPort = 8089
    metrics_port: MetricsPort = None
    trace_fraction: TraceFraction = None
    remote_write: RemoteWrite = None
    service_metrics: Annotated[
        str | None, typer.Option(help="A --target's own Prometheus page, to sample its memory.")
    ] = None
    csv: Annotated[bool, typer.Option("--csv", help="Leave Locust's own CSV files in the run folder.")] = (
        False
    )
    checkpoint: Annotated[
        str, typer.Option(help="How often to save the run, so that it can be resumed if it is killed.")
    ] = "60s"


class WatchFlags:
    """Of `singlesday watch`."""

    workers: Workers = None
    service_workers: ServiceWorkers = 1
    web_port: WebPort = 8089
    prometheus_port: Annotated[int, typer.Option(help="Port of Prometheus.")] = 9090
    out: Out = Path("runs")


class CapacityFlags:
    """Of `singlesday capacity`."""

    start_tps: Annotated[float, typer.Option(min=1, help="The first rate to try.")] = 500
    duration: Annotated[str, typer.Option(help="How long each rate is held.")] = "10s"
    tolerance: Annotated[float, typer.Option(help="How close to the limit to come, as a share.")] = 0.1
    slo: Slos = None
    target: Targets = None
    workers: Workers = None
    service_workers: ServiceWorkers = 1
    out: Out = Path("runs")
    measured: Annotated[
        list[str] | None, typer.Option(help="MACHINES=TPS found elsewhere; searches nothing, fits these.")
    ] = None
    for_tps: Annotated[float, typer.Option("--for", min=1, help="The rate to find the machines for.")] = (
        583_000
    )
