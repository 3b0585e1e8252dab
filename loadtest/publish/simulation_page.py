"""Simulations of a plan as an HTML page like the report, and as a table for the terminal."""

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from loadtest.measure.whole_file import write_whole
from loadtest.publish import wording
from loadtest.publish.page import document
from loadtest.publish.series import Chart, Line, Sheet, short
from loadtest.simulate.simulation import Moment, Simulated

COLUMNS = ("replicas", "offered", "completed", "refused", "failed", "p50", "p99", "p99.9", "busiest")


def cells(found: Simulated) -> tuple[str, ...]:
    """A simulation's figures, one for each of `COLUMNS`."""
    return (
        f"{found.replicas:,}",
        f"{found.offered:,}",
        f"{found.goodput:.2%}",
        wording.percent(found.refused / max(found.offered, 1)),
        wording.percent(found.failed / max(found.offered, 1)),
        wording.latency(found.p50_ms),
        wording.latency(found.p99_ms),
        wording.latency(found.p99_9_ms),
        wording.percent(found.busy),
    )


def table(every: Sequence[Simulated]) -> Table:
    """A row for each number of replicas."""
    made = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    for column in COLUMNS:
        made.add_column(column, justify="right", no_wrap=True)
    for found in every:
        made.add_row(*cells(found))
    return made


def render(title: str, settings: Sequence[str], every: Sequence[Simulated]) -> str:
    """The simulations as one HTML document that opens offline; `settings` are sentences on what was assumed."""
    first = every[0].moments
    marks = [
        (found.zone_lost_at_s, "a zone is lost") for found in every[:1] if found.zone_lost_at_s is not None
    ]
    sheet = Sheet(
        end_s=first[-1].t_s + (first[1].t_s if len(first) > 1 else 1.0),
        t=[moment.t_s for moment in first],
        marks=marks,
        charts=[chart for found in every for chart in _charts(found)],
    )
    return document(
        "simulation.html.j2",
        sheet,
        title=title,
        settings=settings,
        every=every,
        columns=COLUMNS,
        rows=[cells(found) for found in every],
        marks=marks,
    )


def write(title: str, settings: Sequence[str], every: Sequence[Simulated], path: Path) -> None:
    """Write the page to `path` whole or not at all. Raises `OSError`."""
    write_whole(render(title, settings, every), path)


def _charts(found: Simulated) -> list[Chart]:
    moments, of = found.moments, f"{found.replicas:,} replicas"

    def line(key: str, label: str, name: str) -> Line:
        return Line(key=key, label=label, values=[_value(moment, name) for moment in moments])

    return [
        Chart(
            id=f"rates-{found.replicas}",
            title=f"Offered and completed, {of} (projected)",
            unit="per_s",
            counts="transactions/s",
            lines=[
                line("planned", "offered", "offered_tps"),
                line("completed", "completed", "completed_tps"),
                line("failed", "refused", "refused_tps"),
                line("error-2", "failed", "failed_tps"),
            ],
        ),
        Chart(
            id=f"times-{found.replicas}",
            title=f"Response time, {of} (projected)",
            unit="ms",
            counts="response time",
            log=True,
            lines=[line("p50", "p50", "p50_ms"), line("p99", "p99", "p99_ms")],
        ),
    ]


def _value(moment: Moment, name: str) -> float | None:
    value: float | None = getattr(moment, name)
    return short(value) if value or name == "offered_tps" else None
