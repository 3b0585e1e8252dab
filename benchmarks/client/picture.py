"""A bar chart as SVG: groups of labelled horizontal bars, nothing more."""

from collections.abc import Mapping

from loadtest.publish import svg

_PICTURE = """
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
    return svg.document(_PICTURE, width=760, height=height, label=title, **content)
