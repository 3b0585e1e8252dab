"""Draws dashboards from a Prometheus' answers, for the documentation (`python -m tests.dashboards.retake`).

Every query is the dashboard's own, asked of a real Prometheus; the report's charts show the answers, not Grafana.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from dashboards.chromium import chromium
from dashboards.query import Series, Source
from dashboards.spec import Dashboard, Kind, Panel, Query, Unit
from loadtest.publish.page import SCRIPTS, asset, embedded
from loadtest.publish.series import Chart, Heat, Line, Sheet, heat_of, short
from loadtest.publish.series import Unit as Measure

WIDTH_PX = 1500
COLOURS = ("started", "completed", "service", "error-3", "p99-9", "error-1", "error-6", "p50")
KNOWN = {
    "planned", "started", "completed", "failed", "p50", "p90", "p99", "p99-9", "max", "service", "response", "lag"
}  # fmt: skip
MEASURES: dict[Unit, Measure] = {
    Unit.SECONDS: "ms",
    Unit.SHARE: "share",
    Unit.COUNT: "count",
    Unit.BYTES: "bytes",
    Unit.BYTES_PER_S: "bytes",
}
SCALE = {Unit.SECONDS: 1000}
_WRITE = """
for (const each of document.querySelectorAll("data")) each.append(words.of[each.dataset.unit](Number(each.value)));
"""
_STYLE = """
body { max-width: none; } main { display: grid; grid-template-columns: repeat(24, 1fr); gap: 10px; }
h1 { font-size: 24px; } header p { margin-left: auto; }
main > h2 { grid-column: 1 / -1; margin: 18px 0 0; }
section { border: 1px solid var(--rule); border-radius: 6px; padding: 10px 12px; min-width: 0; overflow: hidden; }
main h3, main figure { margin: 0; } .figure { font-size: 30px; font-weight: 650; letter-spacing: -0.02em; }
svg .line.limit { stroke: var(--bad); } i.limit { background: var(--bad); }
td:first-child { max-width: 420px; white-space: normal; overflow-wrap: anywhere; }
"""


def document(dashboard: Dashboard, source: Source) -> str:
    """The dashboard as an HTML page, its panels in their order and widths. Raises `OSError`."""
    charts: list[Chart] = []
    parts = []
    for heading, panels in dashboard.rows:
        parts += [f"<h2>{escape(heading)}</h2>", *(_panel(panel, source, charts) for panel in panels)]
    data = embedded(Sheet(end_s=source.to_s - source.from_s, bin_s=source.step_s, charts=charts))
    began = f"{datetime.fromtimestamp(source.from_s, UTC):%d %b %Y %H:%M:%S} UTC"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><style>{asset("report.css")}{_STYLE}</style>'
        f"<header><h1>{dashboard.title}</h1><p>run {source.variables['run']}, from {began}</p></header>"
        f'<main>{"".join(parts)}</main><script type="application/json" id="data">{data}</script>'
        f"<script>{''.join(map(asset, SCRIPTS))}{_WRITE}</script>"
    )


def take(page: str, path: Path) -> None:
    """A picture of a page as a PNG file. Raises `OSError` where there is no Chromium."""
    with chromium() as browser:
        tab = browser.new_page(viewport={"width": WIDTH_PX, "height": 400})
        tab.set_content(page)
        tab.screenshot(path=path, full_page=True)


def _panel(panel: Panel, source: Source, charts: list[Chart]) -> str:
    """A panel's HTML; a chart is added to `charts` and drawn into its figure."""
    lines = source.panel(panel)
    inside = '<p class="note">no data</p>'
    if lines and panel.kind is Kind.FIGURE:
        asked = source.query(Query(panel.limit_from, "limit")) if panel.limit_from else []
        limits = [line.last for line in asked] + ([] if panel.limit is None else [panel.limit])
        over = any(lines[0].last > limit for limit in limits)
        said = escape(lines[-1].legend) if panel.named else _figure(lines[0].last, panel.unit)
        inside = f'<p class="figure{" over" * over}">{said}</p>'
    elif lines and panel.kind in {Kind.TABLE, Kind.STATES}:
        inside = _table(panel, source)
    elif lines:
        charts.append(_chart(f"panel-{len(charts)}", panel, lines, source))
        inside = f'<figure data-chart="{charts[-1].id}"></figure>'
    return (
        f'<section style="grid-column: span {panel.width}"><h3>{escape(panel.title)}</h3>{inside}</section>'
    )


def _figure(value: float, unit: Unit) -> str:
    """A value for the page's script to write in its unit."""
    return f'<data data-unit="{MEASURES.get(unit, "per_s")}" value="{value * SCALE.get(unit, 1)}"></data>'


def _table(panel: Panel, source: Source) -> str:
    """A row for each series' name, a column for each query."""
    cells: dict[str, dict[str, str]] = {}
    shown = [query for query in panel.queries if query.column not in panel.hidden]
    for query in shown:
        for line in source.query(query):
            state = "met" if line.last else "missed"
            said = state if panel.kind is Kind.STATES else _figure(line.last, query.unit or panel.unit)
            cells.setdefault(line.legend, {})[query.column] = said
    head = "".join(f"<th>{query.column}</th>" for query in shown)
    rows = (
        f"<tr><td>{escape(name)}" + "".join(f"<td>{row.get(query.column, '')}" for query in shown)
        for name, row in cells.items()
    )
    return f"<table><tr><th></th>{head}</tr>{''.join(rows)}</table>"


def _chart(name: str, panel: Panel, lines: Sequence[Series], source: Source) -> Chart:
    scale, heat = SCALE.get(panel.unit, 1), panel.kind is Kind.HEATMAP
    instants = sorted({at_s for line in lines for at_s in line.points})
    drawn = [
        Line(
            key=key,
            label=line.legend,
            values=[short(line.points[at_s] * scale) if at_s in line.points else None for at_s in instants],
            area=line.legend == "planned",
        )
        for key, line in zip(_colours(lines), lines, strict=True)
    ]
    return Chart(
        id=name,
        title=panel.title,
        unit=MEASURES.get(panel.unit, "per_s"),
        counts="",
        log=panel.logarithmic or heat,
        t=[at_s - source.from_s for at_s in instants],
        lines=[] if heat else drawn,
        heat=_heat(lines, instants) if heat else None,
        limit=None if panel.limit is None else panel.limit * scale,
    )


def _colours(lines: Sequence[Series]) -> list[str]:
    """Keys of the report's colours: red for limits, the lines' names if it knows them all, else one by one."""
    names = [line.legend.replace(".", "-") for line in lines]
    known = all(name in KNOWN or name.startswith("limit of") for name in names)
    keys = names if known else [COLOURS[number % len(COLOURS)] for number in range(len(names))]
    return ["limit" if name.startswith("limit of") else key for name, key in zip(names, keys, strict=True)]


def _heat(lines: Sequence[Series], instants: Sequence[float]) -> Heat:
    """Rows are buckets; Prometheus counts them cumulatively, a cell is the difference to the row below."""
    rows = sorted((float(line.legend), line.points) for line in lines if line.legend != "+Inf")
    columns = []
    for at_s in instants:
        counts = [round(points.get(at_s, 0.0)) for _, points in rows]
        own = [max(0, count - below) for count, below in zip(counts, [0, *counts], strict=False)]
        columns.append([(round(upper_s * 1e6), n) for (upper_s, _), n in zip(rows, own, strict=True)])
    return heat_of(columns)
