"""`python -m dashboards.preview URL`: draws each dashboard from a Prometheus' answers, one SVG a dashboard.

For looking at a run where no Grafana is: the same panels in the same places, from the same queries. It draws
lines, figures, heat maps and states plainly; what Grafana adds in colour and interaction is not imitated.
"""

import argparse
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

from dashboards.catalogue import DASHBOARDS
from dashboards.colours import colours
from dashboards.frame import Frame, Phase
from dashboards.legend import CHARACTER_PX, Legend, shortened
from dashboards.query import QueryError, Series, Source
from dashboards.spec import Dashboard, Kind, Panel, Query, Unit
from loadtest.publish.svg import decade_ticks, linear_ticks

WIDTH_PX, COLUMN_PX, ROW_PX = 1200, 50, 30
HEADING_PX = 34
STYLE = (
    "text{font:12px sans-serif;fill:#5b646e}.t{font-size:13px;font-weight:600;fill:#16191d}.h{font-size:17px;"
    "font-weight:600;fill:#16191d}.f{font-size:30px;font-weight:600;fill:#143f73}.u{font-size:14px}.e{text-anchor:end}"
    ".m{text-anchor:middle}.p{font-size:11px;fill:#8a6d3b}.box{fill:#fff;stroke:#e4e7ea}.grid{stroke:#e4e7ea}"
    ".mark{stroke:#9aa3ad}.band{fill:#f0ead9;opacity:.55}.gap{fill:none}.phase{stroke:#cdbf9a;stroke-dasharray:2 3}"
    ".limit{stroke:#c43a2f;stroke-dasharray:6 4}.line{fill:none;stroke-width:1.6;stroke-linecap:round}"
)


@dataclass(frozen=True)
class _Drawing:
    """What a panel is drawn from, besides its own answers."""

    step_s: float
    colours: Mapping[str, str]
    phases: Sequence[Phase]


def draw(dashboard: Dashboard, source: Source) -> str:
    """The dashboard as one SVG document. Raises `QueryError`, `OSError`."""
    answers = [source.panel(panel) for panel in dashboard.panels]
    named = [
        {line.legend for line in lines}
        for panel, lines in zip(dashboard.panels, answers, strict=True)
        if panel.kind is Kind.LINES
    ]
    drawing = _Drawing(source.step_s, colours(named), phases_of(dashboard, source))
    waiting = iter(answers)
    parts: list[str] = []
    y = HEADING_PX + 10
    for heading, panels in dashboard.rows:
        parts.append(f'<text class="h" x="8" y="{y + 20}">{escape(heading)}</text>')
        y += HEADING_PX
        x, tallest = 0, 0
        for panel in panels:
            if x + panel.width > WIDTH_PX // COLUMN_PX:
                x, y, tallest = 0, y + tallest * ROW_PX, 0
            frame = Frame(x * COLUMN_PX, y, panel.width * COLUMN_PX, panel.height * ROW_PX)
            frame.lasting(source.from_s, source.to_s)
            parts.append(_panel(panel, next(waiting), drawing, frame))
            x, tallest = x + panel.width, max(tallest, panel.height)
        y += tallest * ROW_PX + 6
    title = f"{dashboard.title} · {source.variables['run'] or 'no run yet'}"
    day = time.strftime("%d %b %Y, times in UTC", time.gmtime(source.to_s))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH_PX} {y}" width="{WIDTH_PX}" height="{y}">'
        f'<style>{STYLE}</style><rect width="100%" height="100%" fill="#f5f6f7"/>'
        f'<text class="h" x="8" y="26">{escape(title)}</text><text class="e" x="{WIDTH_PX - 8}" y="26">{day}</text>'
        f"{''.join(parts)}</svg>\n"
    )


def phases_of(dashboard: Dashboard, source: Source) -> list[Phase]:
    """The stretches in which the dashboard's annotations have a series, in order of time. Raises as `draw`."""
    found = []
    for annotation in dashboard.annotations:
        for line in source.query(Query(annotation.expr, annotation.title)):
            found += [
                Phase(line.legend, run[0][0], run[-1][0] + source.step_s)
                for run in _unbroken(line, source.step_s)
            ]
    return sorted(found, key=lambda phase: phase.from_s)


def _unbroken(line: Series, step_s: float) -> list[list[tuple[float, float]]]:
    """The points of a line in stretches without a gap."""
    runs: list[list[tuple[float, float]]] = []
    for point in line.points:
        if runs and point[0] - runs[-1][-1][0] <= 1.5 * step_s:
            runs[-1].append(point)
        else:
            runs.append([point])
    return runs


def _panel(panel: Panel, lines: Sequence[Series], drawing: _Drawing, frame: Frame) -> str:
    draw_kind = {Kind.LINES: _lines, Kind.FIGURE: _figure, Kind.HEATMAP: _heatmap, Kind.STATES: _states}[
        panel.kind
    ]
    box = f'<rect class="box" x="{frame.x}" y="{frame.y}" width="{frame.width}" height="{frame.height}" rx="3"/>'
    title = f'<text class="t" x="{frame.x + 10}" y="{frame.y + 18}">{escape(panel.title)}</text>'
    inside = draw_kind(panel, lines, drawing, frame) if lines else _say("no data", frame)
    return f"<g>{box}{title}{inside}</g>"


def _say(words: str, frame: Frame) -> str:
    middle_x, middle_y = frame.x + frame.width / 2, frame.y + frame.height / 2
    return f'<text class="m" x="{middle_x}" y="{middle_y + 5}">{escape(words)}</text>'


def _figure(panel: Panel, lines: Sequence[Series], _: _Drawing, frame: Frame) -> str:
    value = lines[0].points[-1][1]
    x, y = frame.x + frame.width / 2, frame.y + frame.height / 2 + 18
    unit = ' <tspan class="u">orders/s</tspan>' if panel.unit is Unit.ORDERS_PER_S else ""
    return f'<text class="f m" x="{x}" y="{y}">{escape(written(value, panel.unit))}{unit}</text>'


def _lines(panel: Panel, lines: Sequence[Series], drawing: _Drawing, frame: Frame) -> str:
    values = [value for line in lines for _, value in line.points if value > 0 or not panel.logarithmic]
    values += [panel.limit] if panel.limit is not None else []
    low, high = (
        (min(values, default=1), max(values, default=10))
        if panel.logarithmic
        else (0, max(values, default=1))
    )
    share = _logarithmic(low, high) if panel.logarithmic else _linear(high or 1)
    ticks = [(share(value), written(value, panel.unit)) for value in _ticks(panel, low, high or 1)]
    legend = Legend([line.legend for line in lines], frame.width - 20)
    frame.leave(below_px=legend.height_px + 4, labels=[label for _, label in ticks])
    parts = [frame.phases(drawing.phases), frame.value_axis(ticks, panel.unit), frame.time_axis()]
    if panel.limit is not None:
        y = frame.up(share(panel.limit))
        parts.append(f'<path class="limit" d="M{frame.left:.1f} {y:.1f}H{frame.right:.1f}"/>')
    for line in lines:
        path = "".join(
            "M" + "L".join(f"{frame.across(t):.1f} {frame.up(share(value)):.1f}" for t, value in run) + "h0"
            for run in _unbroken(line, drawing.step_s)
        )
        parts.append(f'<path class="line" d="{path}" stroke="{drawing.colours[line.legend]}"/>')
    below_y = frame.y + frame.height - legend.height_px - 6
    return "".join(parts) + legend.drawn(frame.x + 10, below_y, drawing.colours)


def _heatmap(panel: Panel, lines: Sequence[Series], drawing: _Drawing, frame: Frame) -> str:
    """Rows are buckets; Prometheus counts them cumulatively, a cell is the difference to the row below."""
    rows = sorted(lines, key=lambda line: float(line.legend))
    counts = [dict(row.points) for row in rows]
    most = max((max(row.values(), default=0) for row in counts), default=0) or 1
    names = [f"≤ {written(float(row.legend), panel.unit)}" for row in rows[:-1]] + ["more"]
    frame.leave(labels=names)
    tall = (frame.bottom - frame.top) / len(rows)
    parts = [frame.phases(drawing.phases), frame.time_axis()]
    for number, row in enumerate(counts):
        below = counts[number - 1] if number else {}
        y = frame.bottom - (number + 1) * tall
        if number % 2 == 0:
            words = escape(names[number])
            parts.append(f'<text class="e" x="{frame.left - 6}" y="{y + tall / 2 + 4:.1f}">{words}</text>')
        for t, value in row.items():
            opacity = max(value - below.get(t, 0), 0) / most
            if opacity > 0.002:
                x, end = frame.across(t), frame.across(t + drawing.step_s)
                parts.append(
                    f'<rect x="{x:.1f}" y="{y:.1f}" width="{end - x:.1f}" height="{tall:.1f}" fill="#143f73" '
                    f'opacity="{0.12 + 0.88 * math.sqrt(opacity):.2f}"/>'
                )
    return "".join(parts)


def _states(_panel: Panel, lines: Sequence[Series], drawing: _Drawing, frame: Frame) -> str:
    frame.left = frame.x + 10
    tall = min(34.0, (frame.bottom - frame.top) / len(lines))
    parts = [frame.time_axis()]
    for number, line in enumerate(lines):
        y = frame.top - 8 + number * tall
        room = int((frame.right - frame.left) / CHARACTER_PX)
        words = shortened([line.legend], room)[0]
        parts.append(
            f"<g><title>{escape(line.legend)}</title>"
            f'<text x="{frame.left}" y="{y + 11:.1f}">{escape(words)}</text></g>'
        )
        parts += [_state(value, t, drawing, frame, (y + 15, tall - 20)) for t, value in line.points]
    return "".join(parts)


def _state(value: float, t: float, drawing: _Drawing, frame: Frame, place: tuple[float, float]) -> str:
    x, end = frame.across(t), frame.across(t + drawing.step_s)
    y, tall = place
    size = f'width="{end - x + 0.5:.1f}" height="{tall:.1f}"'
    return f'<rect x="{x:.1f}" y="{y:.1f}" {size} fill="{"#17734d" if value else "#b3261e"}"/>'


class _Share:
    """Which share of the height a value stands at."""

    def __init__(self, low: float, high: float, *, logarithmic: bool) -> None:
        self._low, self._high = (math.log10(low), math.log10(high)) if logarithmic else (low, high)
        self._logarithmic = logarithmic

    def __call__(self, value: float) -> float:
        at = math.log10(max(value, 1e-12)) if self._logarithmic else value
        return (at - self._low) / max(self._high - self._low, 1e-12)


def _linear(high: float) -> _Share:
    return _Share(0, high * 1.08, logarithmic=False)


def _logarithmic(low: float, high: float) -> _Share:
    return _Share(
        10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high * 1.001)), logarithmic=True
    )


def _ticks(panel: Panel, low: float, high: float) -> list[float]:
    if panel.logarithmic:
        return decade_ticks(10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high * 1.001)))
    whole = 2**20 if panel.unit is Unit.BYTES else 1
    return [tick * whole for tick in linear_ticks(0, high / whole, 4)]


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
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def main(arguments: Sequence[str]) -> int:
    """Draw the newest run, or the one that is named."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.preview", description=__doc__)
    parser.add_argument("url", help="a Prometheus, for example http://127.0.0.1:9090")
    parser.add_argument("--run", help="the run's id; default: the newest that Prometheus knows")
    parser.add_argument("--minutes", type=float, default=15, help="how far to look back (15)")
    parser.add_argument("--scrape", type=float, default=1, help="Prometheus' scrape interval in seconds (1)")
    parser.add_argument("--out", type=Path, default=Path("preview"), help="folder for the pictures (preview)")
    options = parser.parse_args(arguments)
    try:
        source = source_of(options.url, minutes=options.minutes, scrape_s=options.scrape, run=options.run)
        options.out.mkdir(parents=True, exist_ok=True)
        for dashboard in DASHBOARDS:
            (options.out / f"{dashboard.uid}.svg").write_text(draw(dashboard, source), encoding="utf-8")
    except (QueryError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def source_of(url: str, *, minutes: float, scrape_s: float, run: str | None = None) -> Source:
    """The last `minutes` of a run, by default the newest that Prometheus knows. Raises `QueryError`, `OSError`."""
    to_s = time.time()
    looking = Source(url, to_s - minutes * 60, to_s, max(1.0, minutes * 60 / 300), scrape_s, {})
    run = run or max(looking.label_values("run", "loadtest_run_info"), default="")
    endpoints = looking.label_values("endpoint", f'loadtest_requests_total{{run="{run}"}}') or ["none"]
    variables = {"run": run, "endpoint": endpoints, "traffic": ["live", "shadow"], "window": "1m"}
    return replace(looking, variables=variables)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
