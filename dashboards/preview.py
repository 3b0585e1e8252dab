"""`python -m dashboards.preview URL`: draws each dashboard from a Prometheus' answers, one SVG a dashboard.

For looking at a run where no Grafana is: the same panels in the same places, from the same queries. It draws
lines, figures, heat maps and states plainly; what Grafana adds in colour and interaction is not imitated.
"""

import argparse
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from html import escape
from pathlib import Path

from dashboards.catalogue import DASHBOARDS
from dashboards.query import QueryError, Series, Source
from dashboards.spec import Dashboard, Kind, Panel, Unit
from loadtest.publish.svg import decade_ticks, linear_ticks

WIDTH_PX, COLUMN_PX, ROW_PX = 1200, 50, 30
HEADING_PX, TITLE_PX, GAP_PX = 34, 26, 8
COLOURS = ("#2f6fb3", "#16855c", "#d98a1f", "#c43a2f", "#7a5ab5", "#4aa3a2", "#9aa3ad", "#b0577f")
STYLE = (
    "text{font:12px sans-serif;fill:#5b646e}.t{font-size:13px;font-weight:600;fill:#16191d}.h{font-size:17px;"
    "font-weight:600;fill:#16191d}.f{font-size:30px;font-weight:600;fill:#143f73}.e{text-anchor:end}.m{text-anchor:"
    "middle}.box{fill:#fff;stroke:#e4e7ea}.grid{stroke:#e4e7ea}.limit{stroke:#c43a2f;stroke-dasharray:6 4}"
)


def draw(dashboard: Dashboard, source: Source) -> str:
    """The dashboard as one SVG document. Raises `QueryError`, `OSError`."""
    parts: list[str] = []
    y = HEADING_PX + 10
    for heading, panels in dashboard.rows:
        parts.append(f'<text class="h" x="8" y="{y + 20}">{escape(heading)}</text>')
        y += HEADING_PX
        x, tallest = 0, 0
        for panel in panels:
            if x + panel.width > WIDTH_PX // COLUMN_PX:
                x, y, tallest = 0, y + tallest * ROW_PX, 0
            frame = _Frame(x * COLUMN_PX, y, panel.width * COLUMN_PX, panel.height * ROW_PX)
            parts.append(_panel(panel, source, frame))
            x, tallest = x + panel.width, max(tallest, panel.height)
        y += tallest * ROW_PX + 6
    title = f"{dashboard.title} · {source.variables['run'] or 'no run yet'}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH_PX} {y}" width="{WIDTH_PX}" height="{y}">'
        f'<style>{STYLE}</style><rect width="100%" height="100%" fill="#f5f6f7"/>'
        f'<text class="h" x="8" y="26">{escape(title)}</text>{"".join(parts)}</svg>\n'
    )


class _Frame:
    """Where a panel stands, and the scales of what is drawn in it."""

    def __init__(self, x: float, y: float, width: float, height: float) -> None:
        self.x, self.y, self.width, self.height = x + GAP_PX / 2, y, width - GAP_PX, height - GAP_PX
        self.left, self.right = self.x + 64, self.x + self.width - 10
        self.top, self.bottom = self.y + TITLE_PX + 8, self.y + self.height - 40

    def across(self, at_s: float, source: Source) -> float:
        share = (at_s - source.from_s) / max(source.to_s - source.from_s, 1e-9)
        return self.left + min(max(share, 0), 1) * (self.right - self.left)

    def up(self, share: float) -> float:
        return self.bottom - min(max(share, 0), 1) * (self.bottom - self.top)


def _panel(panel: Panel, source: Source, frame: _Frame) -> str:
    lines = source.panel(panel)
    draw_kind = {Kind.LINES: _lines, Kind.FIGURE: _figure, Kind.HEATMAP: _heatmap, Kind.STATES: _states}[
        panel.kind
    ]
    box = f'<rect class="box" x="{frame.x}" y="{frame.y}" width="{frame.width}" height="{frame.height}" rx="3"/>'
    title = f'<text class="t" x="{frame.x + 10}" y="{frame.y + 18}">{escape(panel.title)}</text>'
    inside = draw_kind(panel, lines, source, frame) if lines else _say("no data", frame)
    return f"<g>{box}{title}{inside}</g>"


def _say(words: str, frame: _Frame) -> str:
    middle_x, middle_y = frame.x + frame.width / 2, frame.y + frame.height / 2
    return f'<text class="m" x="{middle_x}" y="{middle_y + 5}">{escape(words)}</text>'


def _figure(panel: Panel, lines: Sequence[Series], _: Source, frame: _Frame) -> str:
    value = lines[0].points[-1][1]
    x, y = frame.x + frame.width / 2, frame.y + frame.height / 2 + 18
    return f'<text class="f m" x="{x}" y="{y}">{escape(written(value, panel.unit))}</text>'


def _lines(panel: Panel, lines: Sequence[Series], source: Source, frame: _Frame) -> str:
    values = [value for line in lines for _, value in line.points if value > 0 or not panel.logarithmic]
    values += [panel.limit] if panel.limit is not None else []
    low, high = (
        (min(values, default=1), max(values, default=10))
        if panel.logarithmic
        else (0, max(values, default=1))
    )
    share = _logarithmic(low, high) if panel.logarithmic else _linear(high or 1)
    parts = [_tick(frame, share, value, panel.unit) for value in _ticks(low, high or 1, panel.logarithmic)]
    if panel.limit is not None:
        y = frame.up(share(panel.limit))
        parts.append(f'<path class="limit" d="M{frame.left:.1f} {y:.1f}H{frame.right:.1f}"/>')
    for number, line in enumerate(lines):
        at = [f"{frame.across(t, source):.1f} {frame.up(share(value)):.1f}" for t, value in line.points]
        colour = COLOURS[number % len(COLOURS)]
        parts.append(f'<path d="M{"L".join(at)}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
    return "".join(parts) + _legend(lines, frame)


def _heatmap(panel: Panel, lines: Sequence[Series], source: Source, frame: _Frame) -> str:
    """Rows are buckets; Prometheus counts them cumulatively, a cell is the difference to the row below."""
    rows = sorted(lines, key=lambda line: float(line.legend))
    counts = [dict(row.points) for row in rows]
    most = max((max(row.values(), default=0) for row in counts), default=0) or 1
    tall = (frame.bottom - frame.top) / len(rows)
    wide = (frame.right - frame.left) * source.step_s / (source.to_s - source.from_s)
    parts = []
    for number, row in enumerate(counts):
        below = counts[number - 1] if number else {}
        y = frame.bottom - (number + 1) * tall
        if number % 3 == 0:
            name = written(float(rows[number].legend), panel.unit)
            parts.append(
                f'<text class="e" x="{frame.left - 6}" y="{y + tall / 2 + 4:.1f}">{escape(name)}</text>'
            )
        for t, value in row.items():
            opacity = max(value - below.get(t, 0), 0) / most
            if opacity > 0.002:
                x = frame.across(t, source)
                cell = min(wide, frame.right - x)
                parts.append(
                    f'<rect x="{x:.1f}" y="{y:.1f}" width="{cell:.1f}" height="{tall:.1f}" fill="#143f73" '
                    f'opacity="{0.12 + 0.88 * math.sqrt(opacity):.2f}"/>'
                )
    return "".join(parts)


def _states(_panel: Panel, lines: Sequence[Series], source: Source, frame: _Frame) -> str:
    tall = min(34.0, (frame.bottom - frame.top + 30) / len(lines))
    wide = (frame.right - frame.x - 10) * source.step_s / (source.to_s - source.from_s)
    parts = []
    for number, line in enumerate(lines):
        y = frame.top + number * tall
        parts.append(f'<text x="{frame.x + 10}" y="{y + 11:.1f}">{escape(line.legend)}</text>')
        for t, value in line.points:
            x = (
                frame.x
                + 10
                + (frame.across(t, source) - frame.left)
                * (frame.right - frame.x - 10)
                / (frame.right - frame.left)
            )
            colour = "#17734d" if value else "#b3261e"
            size = f'width="{wide + 0.5:.1f}" height="{tall - 20:.1f}"'
            parts.append(f'<rect x="{x:.1f}" y="{y + 15:.1f}" {size} fill="{colour}"/>')
    return "".join(parts)


def _legend(lines: Sequence[Series], frame: _Frame) -> str:
    x, parts = frame.x + 10, []
    for number, line in enumerate(lines):
        if x + 7 * len(line.legend) > frame.right:
            break
        colour, y = COLOURS[number % len(COLOURS)], frame.y + frame.height - 12
        parts.append(f'<rect x="{x}" y="{y - 6}" width="12" height="3" fill="{colour}"/>')
        parts.append(f'<text x="{x + 16}" y="{y}">{escape(line.legend)}</text>')
        x += 34 + 6.6 * len(line.legend)
    return "".join(parts)


def _tick(frame: _Frame, share: "_Share", value: float, unit: Unit) -> str:
    y = frame.up(share(value))
    return (
        f'<path class="grid" d="M{frame.left:.1f} {y:.1f}H{frame.right:.1f}"/>'
        f'<text class="e" x="{frame.left - 6}" y="{y + 4:.1f}">{escape(written(value, unit))}</text>'
    )


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


def _ticks(low: float, high: float, logarithmic: bool) -> list[float]:
    if logarithmic:
        return decade_ticks(10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high * 1.001)))
    return linear_ticks(0, high, 4)


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
