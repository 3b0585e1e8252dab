"""Flags of `singlesday`: those that several commands share, and those that take too many words to be read there."""

from pathlib import Path
from typing import Annotated

import typer

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
