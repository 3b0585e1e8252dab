"""The pictures of benchmarks, as SVG: groups of labelled bars, and latencies over quantiles."""

from collections.abc import Mapping, Sequence
from math import log10

from loadtest.publish import svg

_BARS = """
<rect width="100%" height="100%" fill="white"/>
<text x="12" y="26" font-weight="bold" font-size="16">{{ label }}</text>
{% set at = namespace(y=62) %}
{% for heading, group in groups.items() %}
<text x="12" y="{{ at.y }}" font-style="italic">{{ heading }}</text>
{% for name, value in group.items() %}
{% set at.y, length = at.y + 26, value / longest * 450 %}
<text x="212" y="{{ at.y - 1 }}" text-anchor="end">{{ name }}</text>
{% set colour = "#c2410c" if name == highlighted else "#94a3b8" %}
<rect x="220" y="{{ at.y - 14 }}" width="{{ length }}" height="18" fill="{{ colour }}"/>
<text x="{{ 226 + length }}" y="{{ at.y - 1 }}">{{ "{:,.0f}".format(value) }}</text>
{% endfor %}
{% set at.y = at.y + 39 %}
{% endfor %}
"""


def bars(title: str, groups: Mapping[str, Mapping[str, float]], highlighted: str) -> str:
    """The chart, as the text of an SVG document. Bars are to one scale over all groups."""
    longest = max((value for group in groups.values() for value in group.values()), default=1) or 1
    height = 44 + sum(39 + 26 * len(group) for group in groups.values())
    content = {"groups": groups, "longest": longest, "highlighted": highlighted}
    return svg.document(_BARS, width=760, height=height, label=title, **content)


_COLOURS = ("#0f172a", "#c2410c", "#2563eb", "#16a34a", "#9333ea", "#ca8a04", "#64748b", "#db2777")
_TICKS_MS = (10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
_LINES = """
<rect width="100%" height="100%" fill="white"/>
<text x="80" y="28" font-weight="bold" font-size="15">{{ label }}</text>
{% for x, q in quantiles %}
<text x="{{ x }}" y="398" text-anchor="middle">p{{ "%g"|format(100 * q) }}</text>
{% endfor %}
{% for ms in ticks if low <= ms <= high %}
<line x1="80" x2="580" y1="{{ y(ms) }}" y2="{{ y(ms) }}" stroke="#e2e8f0"/>
<text x="72" y="{{ y(ms) + 4 }}" text-anchor="end">{{ "{:,}".format(ms) }} ms</text>
{% endfor %}
{% for name, points in lines.items() %}
{% set colour, dash = colours[loop.index0 % 8], "7 5" if loop.first else "none" %}
<polyline points="{{ points }}" fill="none" stroke="{{ colour }}" stroke-width="2.5" stroke-dasharray="{{ dash }}"/>
<text x="600" y="{{ 48 + 22 * loop.index }}" fill="{{ colour }}">{{ name }}</text>
{% endfor %}
"""


def lines(title: str, quantiles: Sequence[float], rows: Mapping[str, Sequence[float]]) -> str:
    """The chart, as the text of an SVG document; `rows` are ms at each of `quantiles`."""
    values = [value for row in rows.values() for value in row]
    low, high = min(values) * 0.8, max(values) * 1.25
    nines = [-log10(1 - q) for q in quantiles]
    xs = [80 + (n - nines[0]) / (nines[-1] - nines[0]) * 500 for n in nines]

    def y(ms: float) -> float:
        return 50 + log10(high / ms) / log10(high / low) * 320

    drawn = {name: svg.points(list(zip(xs, map(y, row), strict=True))) for name, row in rows.items()}
    content = {"quantiles": list(zip(xs, quantiles, strict=True)), "lines": drawn, "colours": _COLOURS}
    axis = {"ticks": _TICKS_MS, "low": low, "high": high, "y": y}
    return svg.document(_LINES, width=770, height=420, label=title, **content, **axis)
