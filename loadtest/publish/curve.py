"""The planned curve as a picture: in a terminal, as SVG, and as CSV, for `singlesday show`.

Both pictures show the same things: transactions per second over the seconds of the plan, the
peak with its figure, and the named phases. A column of the terminal is as high as the highest rate within it,
so a spike narrower than a column keeps its height.
"""

from bisect import bisect_right
from itertools import pairwise
from math import ceil, nextafter
from typing import TYPE_CHECKING

from loadtest.publish import svg, wording

if TYPE_CHECKING:
    from loadtest.plan.profile import Piecewise

_BLOCKS = " ▁▂▃▄▅▆▇█"
_TIME_STEPS_S = (0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200)


def as_text(name: str, profile: "Piecewise", width: int = 100, height: int = 12) -> str:
    """The curve in characters, `width` columns wide, with `height` rows of curve between title and axes."""
    top = profile.peak[1] or 1.0
    labels = [
        wording.rate(top * row / height) if row % 4 == 0 or row == height else ""
        for row in range(1, height + 1)
    ]
    margin = max(map(len, labels))
    columns = max(width - margin - 2, 20)
    levels = [round(rate / top * height * 8) for rate in _column_heights(profile, columns)]
    lines = [headline(name, profile)]
    for row, label in reversed(list(enumerate(labels))):
        bar = "".join(_BLOCKS[min(max(level - row * 8, 0), 8)] for level in levels)
        lines.append(f"{label:>{margin}} {'┤' if label else '│'}{bar}".rstrip())
    lines.append(f"{'0':>{margin}} └{'─' * columns}")
    names = [(from_s / profile.duration_s * columns, f"╵{phase}") for from_s, _, phase in profile.phases]
    below = [_time_row(profile.duration_s, columns), *_in_rows(names)]
    lines += [f"{'':{margin + 2}}{row}".rstrip() for row in below]
    return "\n".join(lines) + "\n"


def headline(name: str, profile: "Piecewise") -> str:
    """One line: how high, when, how long and how many."""
    at_s, peak_tps = profile.peak
    when, length = wording.duration(round(at_s, 1)), wording.duration(round(profile.duration_s, 1))
    total = profile.cumulative(profile.duration_s)
    return f"{name}: peak {peak_tps:,.0f} TPS at {when}, {length} in all, {total:,.0f} transactions"


def as_csv(profile: "Piecewise", step_s: float = 1.0) -> str:
    """Lines of t_s, planned_tps and transactions so far, every `step_s` seconds and at the end."""
    instants_s = [k * step_s for k in range(ceil(profile.duration_s / step_s))] + [profile.duration_s]
    rows = (f"{t_s:.6g},{profile.rate(t_s):.6f},{profile.cumulative(t_s):.3f}\n" for t_s in instants_s)
    return "t_s,planned_tps,transactions\n" + "".join(rows)


def _column_heights(profile: "Piecewise", columns: int) -> list[float]:
    """The highest rate within each of the columns the duration is divided into."""
    edges_s = [profile.duration_s * k / columns for k in range(columns + 1)]
    heights = [max(profile.rate(a), profile.rate(nextafter(b, a))) for a, b in pairwise(edges_s)]
    for t_s, rate in profile.outline():
        column = bisect_right(edges_s, t_s) - 1
        if column < columns:
            heights[column] = max(heights[column], rate)
    return heights


def time_ticks(duration_s: float, at_most: int) -> list[float]:
    """Round instants from 0 to the duration."""
    fitting = (step for step in _TIME_STEPS_S if duration_s / step <= at_most)
    step_s = next(fitting, duration_s / at_most)
    return [k * step_s for k in range(int(duration_s / step_s + 1e-9) + 1)]


def _time_row(duration_s: float, columns: int) -> str:
    row = ""
    for t_s in time_ticks(duration_s, at_most=max(columns // 10, 1)):
        label = wording.duration(t_s)
        place = min(int(t_s / duration_s * (columns - 1)), columns - len(label))
        if place >= len(row):
            row = f"{row:<{place}}{label} "
    return row


def _in_rows(labels: list[tuple[float, str]]) -> list[str]:
    """Texts at their columns, in rows enough for none to hide another."""
    placed = _placed(labels, 1)
    rows = [""] * (1 + max((row for _, row, _ in placed), default=-1))
    for place, row, text in reversed(placed):
        rows[row] = f"{rows[row]:<{int(place)}}{text}"
    return rows


def _placed(labels: list[tuple[float, str]], character: float) -> list[tuple[float, int, str]]:
    """(x, row, text) of labels, the last one first: each is in a row beyond those it reaches over."""
    placed: list[tuple[float, int, str]] = []
    for x, text in reversed(labels):
        end = x + (len(text) + 1) * character
        placed.append((x, max((row + 1 for later, row, _ in placed if later < end), default=0), text))
    return placed


_CHARACTER = 6.6
"""Width in pixels of a character of the picture's labels, which are 11 pixels high."""
_PICTURE = """
<style>
.paper{fill:#fff}.title{font:600 18px system-ui,sans-serif;fill:#1c1b22} .label{font:11px
system-ui,sans-serif;fill:#5b5a66}.grid{stroke:#e4e3ea}.axis{stroke:#8b8a96}
.band{fill:#f0eff5}.tick{stroke:#b9b8c4}.area{fill:#e8442e;fill-opacity:.16}.line{fill:none;stroke:#e8442e;stroke-width:2}
.dot{fill:#e8442e}.peak{font:600 12px system-ui,sans-serif;fill:#b3301d}
@media(prefers-color-scheme:dark){.paper{fill:#17161c}.title{fill:#f2f1f7}.label{fill:#a5a4b1}.grid{stroke:#2c2b34}
.axis,.tick{stroke:#6d6c78}.band{fill:#1f1e26}.peak{fill:#ff8b78}}
</style>
<rect class="paper" width="960" height="{{ height }}"/>
<text x="70" y="30" class="title">{{ name }}</text>
<text x="70" y="50" class="label">{{ label.removeprefix(name ~ ": ") }}</text>
{% for from, to in bands %}
<rect class="band" x="{{ from }}" y="{{ top }}" width="{{ to - from }}" height="288"/>
{% endfor %}
{% for x, row, phase in names %}
<line class="tick" x1="{{ x }}" x2="{{ x }}" y1="{{ top - 16 * row - 14 }}" y2="{{ top }}"/>
<text x="{{ x + 4 }}" y="{{ top - 16 * row - 5 }}" class="label">{{ phase }}</text>
{% endfor %}
{% for y, rate in rates %}
<line class="{{ "axis" if loop.first else "grid" }}" x1="70" x2="928" y1="{{ y }}" y2="{{ y }}"/>
<text x="62" y="{{ y + 4 }}" class="label" text-anchor="end">{{ rate }}/s</text>
{% endfor %}
{% for x, time in times %}
<line class="axis" x1="{{ x }}" x2="{{ x }}" y1="{{ top + 288 }}" y2="{{ top + 292 }}"/>
<text x="{{ x }}" y="{{ top + 306 }}" class="label" text-anchor="middle">{{ time }}</text>
{% endfor %}
<polygon class="area" points="{{ outline }} 928,{{ top + 288 }} 70,{{ top + 288 }}"/>
<polyline class="line" points="{{ outline }}"/>
{% set x, y, rate = peak %}
<circle class="dot" cx="{{ x }}" cy="{{ y }}" r="4"/>
<text x="{{ x - 9 if x > 720 else x + 9 }}" y="{{ y - 5 }}" class="peak" \
text-anchor="{{ "end" if x > 720 else "start" }}">{{ rate }} TPS</text>
"""


def as_svg(name: str, profile: "Piecewise") -> str:
    """The curve as an SVG picture, 960 pixels wide, light or dark as the viewer prefers."""

    def x(t_s: float) -> float:
        return 70 + t_s / profile.duration_s * 858

    def y(rate: float) -> float:
        return top + 288 - rate / rates[-1] * 288

    at_s, peak_tps = profile.peak
    rates = svg.linear_ticks(0, peak_tps * 1.06 or 1.0, 7)
    rates.append(rates[-1] + rates[1])  # room above the peak for its label
    names = _placed([(x(from_s), phase) for from_s, _, phase in profile.phases], _CHARACTER)
    top = 82 + 16 * max((row for _, row, _ in names), default=0)
    content = {
        "name": name,
        "top": top,
        "names": names,
        "bands": [(x(from_s), x(to_s)) for from_s, to_s, _ in profile.phases[1::2]],
        "rates": [(y(rate), wording.rate(rate)) for rate in rates],
        "times": [(x(t_s), wording.duration(t_s)) for t_s in time_ticks(profile.duration_s, at_most=12)],
        "outline": svg.points([(x(t_s), y(rate)) for t_s, rate in profile.outline()]),
        "peak": (x(at_s), y(peak_tps), f"{peak_tps:,.0f}"),
    }
    return svg.document(_PICTURE, width=960, height=top + 320, label=headline(name, profile), **content)
