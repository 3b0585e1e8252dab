"""`python -m dashboards.picture URL`: draws dashboards from a Prometheus' answers, for the documentation.

Every query is the dashboard's own, asked of a real Prometheus; our own charts show the answers, not Grafana. Needs
Chromium.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from dashboards.catalogue import DASHBOARDS
from dashboards.chromium import chromium
from dashboards.query import QueryError, Series, Source
from dashboards.spec import Dashboard, Kind, Panel, Query, Unit
from loadtest.publish import wording
from loadtest.publish.page import CHARTS_ALONE, asset, embedded
from loadtest.publish.series import Chart, Heat, Limit, Line, Sheet, heat_of, short
from loadtest.publish.series import Unit as Measure

WIDTH_PX = 1500
LOOKS_BACK_S = 900.0
SCRAPED_EVERY_S = 1.0
POINTS = 300
"""Instants in a chart."""
COLOURS = ("started", "completed", "service", "error-3", "p99-9", "error-1", "error-6", "p50")
"""Keys of the report's style sheet, for lines in their order, unless the name of each is a key of its own."""
KNOWN = frozenset(
    [
        "planned",
        "started",
        "completed",
        "failed",
        "p50",
        "p90",
        "p99",
        "p99-9",
        "max",
        "service",
        "response",
        "lag",
    ]
)
_UNITS: dict[Unit, Measure] = {
    Unit.SECONDS: "ms",
    Unit.ORDERS_PER_S: "per_s",
    Unit.PER_S: "per_s",
    Unit.SHARE: "share",
    Unit.BYTES: "bytes",
    Unit.BYTES_PER_S: "bytes",
    Unit.COUNT: "count",
    Unit.INSTANT: "count",
}
_STYLE = """
body { max-width: none; } main { display: grid; grid-template-columns: repeat(24, 1fr); gap: 10px; }
h1 { font-size: 24px; } header p { margin-left: auto; }
main > h2 { grid-column: 1 / -1; margin: 18px 0 0; }
section { border: 1px solid var(--rule); border-radius: 6px; padding: 10px 12px; min-width: 0; overflow: hidden; }
main h3, main figure { margin: 0; } .figure { font-size: 30px; font-weight: 650; letter-spacing: -0.02em; }
td:first-child { max-width: 420px; white-space: normal; overflow-wrap: anywhere; }
"""


def document(dashboard: Dashboard, source: Source) -> str:
    """The dashboard as an HTML page, its panels in their order and widths. Raises `QueryError`, `OSError`."""
    began = f"{datetime.fromtimestamp(source.from_s, UTC):%d %b %Y %H:%M:%S} UTC"
    charts: list[Chart] = []
    parts = [
        f"<header><h1>{dashboard.title}</h1><p>run {source.variables['run']}, from {began}</p></header><main>"
    ]
    for heading, panels in dashboard.rows:
        parts += [f"<h2>{escape(heading)}</h2>", *(_panel(panel, source, charts) for panel in panels)]
    sheet = Sheet(end_s=source.to_s - source.from_s, bin_s=source.step_s, charts=charts)
    data = embedded(sheet)
    scripts = "\n".join(map(asset, CHARTS_ALONE))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><style>{asset("report.css")}{_STYLE}</style>'
        f'{"".join(parts)}</main><script type="application/json" id="data">{data}</script><script>{scripts}</script>'
    )


def _panel(panel: Panel, source: Source, charts: list[Chart]) -> str:
    """A panel's HTML; a chart is added to `charts` and drawn into its figure."""
    lines = source.panel(panel)
    inside = '<p class="note">no data</p>'
    if lines and panel.kind is Kind.FIGURE:
        value = lines[0].points[-1][1]
        asked = source.query(Query(panel.limit_from, "limit")) if panel.limit_from else []
        over = any(value > limit for limit in _limits(panel, asked))
        said = lines[-1].legend if panel.named else written(value, panel.unit)
        inside = f'<p class="figure{" over" * over}">{escape(said)}</p>'
    elif lines and panel.kind in {Kind.TABLE, Kind.STATES}:
        inside = _table(panel, source)
    elif lines:
        charts.append(_chart(f"panel-{len(charts)}", panel, lines, source))
        inside = f'<figure data-chart="{charts[-1].id}"></figure>'
    return (
        f'<section style="grid-column: span {panel.width}"><h3>{escape(panel.title)}</h3>{inside}</section>'
    )


def _limits(panel: Panel, lines: Sequence[Series]) -> list[float]:
    """What a panel's values must not exceed, by itself or by the plan's objectives, which are `lines`."""
    return [line.points[-1][1] for line in lines] + ([] if panel.limit is None else [panel.limit])


def _table(panel: Panel, source: Source) -> str:
    """A row for each series' name, a column for each query."""
    cells: dict[str, dict[str, str]] = {}
    shown = [query for query in panel.queries if query.column not in panel.hidden]
    for query in shown:
        for line in source.query(query):
            value = line.points[-1][1]
            state = "met" if value else "missed"
            said = state if panel.kind is Kind.STATES else written(value, query.unit or panel.unit)
            cells.setdefault(line.legend, {})[query.column] = said
    head = "".join(f"<th>{query.column}</th>" for query in shown)
    rows = (
        f"<tr><td>{escape(name)}" + "".join(f"<td>{row.get(query.column, '')}" for query in shown)
        for name, row in cells.items()
    )
    return f"<table><tr><th></th>{head}</tr>{''.join(rows)}</table>"


def _chart(name: str, panel: Panel, lines: Sequence[Series], source: Source) -> Chart:
    instants = sorted({at_s for line in lines for at_s, _ in line.points})
    scale = 1000.0 if panel.unit is Unit.SECONDS else 1.0
    heat = panel.kind is Kind.HEATMAP
    limits = _limits(panel, [line for line in lines if line.legend.startswith("limit of")])
    lines = [line for line in lines if not line.legend.startswith("limit of")]
    named = all(line.legend.replace(".", "-") in KNOWN for line in lines)
    return Chart(
        id=name,
        title=panel.title,
        says=panel.description,
        unit=_UNITS[panel.unit],
        counts="",
        log=panel.logarithmic or heat,
        t=[at_s - source.from_s for at_s in instants],
        bin_s=source.step_s,
        lines=[] if heat else [_line(i, line, instants, scale, named) for i, line in enumerate(lines)],
        heat=_heat(lines, instants) if heat else None,
        limit=Limit(value=limits[0] * scale, label="limit") if limits else None,
    )


def _line(number: int, line: Series, instants: Sequence[float], scale: float, named: bool) -> Line:
    key, values = line.legend.replace(".", "-"), dict(line.points)
    colour = key if named else COLOURS[number % len(COLOURS)]
    return Line(
        key=colour,
        label=line.legend,
        values=[short(values[at_s] * scale) if at_s in values else None for at_s in instants],
        area=colour == "planned",
    )


def _heat(lines: Sequence[Series], instants: Sequence[float]) -> Heat:
    """Rows are buckets; Prometheus counts them cumulatively, a cell is the difference to the row below."""
    rows = sorted((float(line.legend), dict(line.points)) for line in lines if line.legend != "+Inf")
    columns = []
    for at_s in instants:
        counts = [round(values.get(at_s, 0.0)) for _, values in rows]
        own = [max(0, count - below) for count, below in zip(counts, [0, *counts], strict=False)]
        columns.append([(round(upper_s * 1e6), n) for (upper_s, _), n in zip(rows, own, strict=True)])
    return heat_of(columns)


def written(value: float, unit: Unit) -> str:
    """A value with its unit, as the report writes it; an instant as its time of day."""
    if unit is Unit.INSTANT:
        return f"{datetime.fromtimestamp(value / 1000, UTC):%H:%M:%S}"
    match _UNITS[unit]:
        case "ms":
            return wording.latency(value * 1000)
        case "share":
            return wording.percent(value)
        case "bytes":
            return wording.size(value)
    return wording.rate(value)


def take(pages: dict[str, str], folder: Path) -> None:
    """A picture of each page, `NAME.png`. Raises `OSError` where there is no Chromium."""
    folder.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        for name, text in pages.items():
            page = browser.new_page(viewport={"width": WIDTH_PX, "height": 400})
            page.set_content(text)
            page.screenshot(path=folder / f"{name}.png", full_page=True)


def main(arguments: Sequence[str]) -> int:
    """Draw the newest run, or the one that is named; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.picture", description=__doc__)
    parser.add_argument("url", help="a Prometheus, for example http://127.0.0.1:9090")
    parser.add_argument("--run", help="the run's id; default: the newest that Prometheus knows")
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder for them (pictures)")
    options = parser.parse_args(arguments)
    try:
        source = source_of(options.url, options.run)
        take({dashboard.uid: document(dashboard, source) for dashboard in DASHBOARDS}, options.out)
    except (QueryError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def source_of(url: str, run: str | None = None) -> Source:
    """A run of the last minutes, by default the newest that Prometheus knows. Raises `QueryError`, `OSError`."""
    to_s = time.time()
    looking = Source(url, to_s - LOOKS_BACK_S, to_s, LOOKS_BACK_S / POINTS, SCRAPED_EVERY_S, {})
    run = run or max(looking.label_values("run", "loadtest_run_info"), default="")
    began = looking.query(Query(f'loadtest_run_started_timestamp_seconds{{run="{run}"}}', "began"))
    if began:
        from_s = max(looking.from_s, began[0].points[0][1] - 3)
        ended_s = max(at_s for at_s, _ in began[0].points) + 3
        looking = replace(looking, from_s=from_s, to_s=ended_s, step_s=max(1.0, (ended_s - from_s) / POINTS))
    endpoints = looking.label_values("endpoint", f'loadtest_requests_total{{run="{run}"}}') or ["none"]
    variables = {"run": run, "endpoint": endpoints, "traffic": ["live", "shadow"], "window": "1m"}
    return replace(looking, variables=variables)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
