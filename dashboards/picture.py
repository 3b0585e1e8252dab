"""`python -m dashboards.picture URL`: draws a dashboard's panels from a Prometheus' answers, for the documentation.

Every query is the dashboard's own, asked of a real Prometheus; how it looks is Matplotlib's, not Grafana's.
"""

import argparse
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from dashboards.catalogue import DASHBOARDS
from dashboards.query import QueryError, Series, Source
from dashboards.spec import Dashboard, Kind, Panel, Query, Unit

COLUMN_IN, ROW_IN = 0.5, 0.3
"""Of Grafana's grid, in inches."""
GRID_COLUMNS = 24


def draw(dashboard: Dashboard, source: Source) -> Figure:
    """The dashboard's panels in their places. Raises `QueryError`, `OSError`."""
    placed, rows = _placed(dashboard)
    width, height = GRID_COLUMNS * COLUMN_IN, rows * ROW_IN
    figure = Figure(figsize=(width, height), layout=None)
    began = f"{datetime.fromtimestamp(source.from_s, UTC):%d %b %Y %H:%M:%S} UTC"
    title = f"{dashboard.title}, run {source.variables['run']}, seconds since {began}"
    figure.text(0.5, 1 - 0.25 / height, title, ha="center", weight="bold")
    for panel, x, y in placed:
        axes = figure.add_axes(
            (
                (x * COLUMN_IN + 0.6) / width,
                1 - ((y + panel.height) * ROW_IN - 0.45) / height,
                (panel.width * COLUMN_IN - 0.8) / width,
                (panel.height * ROW_IN - 0.85) / height,
            )
        )
        axes.set_title(panel.title, loc="left", fontsize=9, weight="bold")
        axes.tick_params(labelsize=7)
        _draw_panel(axes, panel, source)
    return figure


def _placed(dashboard: Dashboard) -> tuple[list[tuple[Panel, int, int]], int]:
    """Each panel with its column and row in the grid, and how many rows there are."""
    placed, x, y, tallest = [], 0, 2, 0
    for _, panels in dashboard.rows:
        for panel in panels:
            if x + panel.width > GRID_COLUMNS:
                x, y, tallest = 0, y + tallest, 0
            placed.append((panel, x, y))
            x, tallest = x + panel.width, max(tallest, panel.height)
        x, y, tallest = 0, y + tallest, 0
    return placed, y


def _draw_panel(axes: Axes, panel: Panel, source: Source) -> None:
    lines = source.panel(panel)
    if not lines:
        axes.text(0.5, 0.5, "no data", ha="center")
        axes.axis("off")
    elif panel.kind is Kind.FIGURE:
        words = lines[-1].legend if panel.named else written(lines[0].points[-1][1], panel.unit)
        axes.text(0.5, 0.4, words, ha="center", fontsize=16, weight="bold")
        axes.axis("off")
    elif panel.kind is Kind.TABLE:
        _draw_table(axes, panel, source)
    elif panel.kind is Kind.HEATMAP:
        _draw_heatmap(axes, panel, lines, source)
    else:
        _draw_lines(axes, panel, lines, source)


def _draw_lines(axes: Axes, panel: Panel, lines: Sequence[Series], source: Source) -> None:
    for line in lines:
        limit = line.legend.startswith("limit of")
        seconds = [at_s - source.from_s for at_s, _ in line.points]
        values = [value for _, value in line.points]
        axes.plot(seconds, values, "r--" if limit else "-", label=line.legend, linewidth=1.2)
    if panel.limit is not None:
        axes.axhline(panel.limit, color="red", linestyle="--", linewidth=1)
    axes.set_yscale("log" if panel.logarithmic else "linear")
    if panel.kind is Kind.STATES:
        axes.set_ylim(-0.1, 1.1)
    elif not panel.logarithmic:
        axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: written(value, panel.unit)))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=6, loc="best", framealpha=0.6)


def _draw_heatmap(axes: Axes, panel: Panel, lines: Sequence[Series], source: Source) -> None:
    """Rows are buckets; Prometheus counts them cumulatively, a cell is the difference to the row below."""
    rows = sorted(lines, key=lambda line: float(line.legend))
    instants = sorted({at_s for row in rows for at_s, _ in row.points})
    counts = [[dict(row.points).get(at_s, 0.0) for at_s in instants] for row in rows]
    own = [
        [max(value - below, 0) for value, below in zip(row, under, strict=True)]
        for row, under in zip(counts, [[0.0] * len(instants), *counts], strict=False)
    ]
    seconds = [at_s - source.from_s for at_s in instants]
    axes.pcolormesh(seconds, range(len(rows)), own, cmap="Blues", shading="nearest")
    shown = range(0, len(rows), 3)
    axes.set_yticks(list(shown), [f"≤ {written(float(rows[row].legend), panel.unit)}" for row in shown])


def _draw_table(axes: Axes, panel: Panel, source: Source) -> None:
    """A row for each series' name, a column for each query that has a heading."""
    cells: dict[str, dict[str, str]] = {}
    shown = [query for query in panel.queries if query.column and query.column not in panel.hidden]
    for query in shown:
        for line in source.query(query):
            said = written(line.points[-1][1], query.unit or panel.unit)
            cells.setdefault(line.legend, {})[query.column] = said
    headings = [query.column for query in shown]
    text = [[name[:40], *(row.get(heading, "") for heading in headings)] for name, row in cells.items()]
    axes.axis("off")
    axes.table(text, colLabels=["", *headings], loc="upper left", cellLoc="right").auto_set_font_size(True)


def written(value: float, unit: Unit) -> str:
    """A value with its unit, as short as it can be read: `1.2 ms`, `45 %`, `2,000`."""
    if unit is Unit.SECONDS and math.isfinite(value):
        for size, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
            if value >= size:
                return f"{value / size:.3g} {name}"
        return "0 s"
    if unit is Unit.BYTES:
        return f"{value / 2**20:,.3g} MiB"
    if unit is Unit.SHARE:
        return f"{value * 100:.3g} %"
    if unit is Unit.INSTANT:
        return f"{datetime.fromtimestamp(value / 1000, UTC):%H:%M:%S}"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def main(arguments: Sequence[str]) -> int:
    """Draw the newest run, or the one that is named; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.picture", description=__doc__)
    parser.add_argument("url", help="a Prometheus, for example http://127.0.0.1:9090")
    parser.add_argument("--run", help="the run's id; default: the newest that Prometheus knows")
    parser.add_argument("--minutes", type=float, default=15, help="how far to look back (15)")
    parser.add_argument("--scrape", type=float, default=1, help="Prometheus' scrape interval in seconds (1)")
    parser.add_argument(
        "--out", type=Path, default=Path("pictures"), help="folder for the pictures (pictures)"
    )
    options = parser.parse_args(arguments)
    try:
        source = source_of(options.url, minutes=options.minutes, scrape_s=options.scrape, run=options.run)
        options.out.mkdir(parents=True, exist_ok=True)
        for dashboard in DASHBOARDS:
            draw(dashboard, source).savefig(options.out / f"{dashboard.uid}.png", dpi=80)
    except (QueryError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def source_of(url: str, *, minutes: float, scrape_s: float, run: str | None = None) -> Source:
    """The last `minutes` of a run, by default the newest that Prometheus knows. Raises `QueryError`, `OSError`."""
    to_s = time.time()
    looking = Source(url, to_s - minutes * 60, to_s, max(1.0, minutes * 60 / 300), scrape_s, {})
    run = run or max(looking.label_values("run", "loadtest_run_info"), default="")
    began = looking.query(Query(f'loadtest_run_started_timestamp_seconds{{run="{run}"}}', "began"))
    if began:
        from_s = max(looking.from_s, began[0].points[0][1] - 3)
        ended_s = max(at_s for at_s, _ in began[0].points) + 3
        looking = replace(looking, from_s=from_s, to_s=ended_s, step_s=max(1.0, (ended_s - from_s) / 300))
    endpoints = looking.label_values("endpoint", f'loadtest_requests_total{{run="{run}"}}') or ["none"]
    variables = {"run": run, "endpoint": endpoints, "traffic": ["live", "shadow"], "window": "1m"}
    return replace(looking, variables=variables)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
