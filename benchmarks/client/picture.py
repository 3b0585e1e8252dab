"""A bar chart as SVG: groups of labelled horizontal bars, nothing more."""

from collections.abc import Mapping
from html import escape

_WIDTH, _LABEL_WIDTH, _VALUE_WIDTH, _ROW, _TITLE = 760, 220, 90, 26, 44


def bars(title: str, groups: Mapping[str, Mapping[str, float]], highlighted: str) -> str:
    """The chart, as the text of an SVG document. Bars are to one scale over all groups."""
    longest = max((value for group in groups.values() for value in group.values()), default=1) or 1
    y = _TITLE
    drawn = [_text(12, 26, title, 'font-weight="bold" font-size="16"')]
    for heading, group in groups.items():
        drawn.append(_text(12, y + 18, heading, 'font-style="italic"'))
        y += _ROW
        for label, value in group.items():
            drawn += _bar(y, label, value, value / longest, label == highlighted)
            y += _ROW
        y += _ROW // 2
    size = f'width="{_WIDTH}" height="{y}" viewBox="0 0 {_WIDTH} {y}"'
    body = "\n".join(drawn)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="13">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )


def _bar(y: int, label: str, value: float, share: float, highlighted: bool) -> list[str]:
    length = share * (_WIDTH - _LABEL_WIDTH - _VALUE_WIDTH)
    colour = "#c2410c" if highlighted else "#94a3b8"
    return [
        _text(_LABEL_WIDTH - 8, y + 17, label, 'text-anchor="end"'),
        f'<rect x="{_LABEL_WIDTH}" y="{y + 4}" width="{length:.1f}" height="18" fill="{colour}"/>',
        _text(_LABEL_WIDTH + length + 6, y + 17, f"{value:,.0f}", ""),
    ]


def _text(x: float, y: float, text: str, style: str) -> str:
    return f'<text x="{x:.1f}" y="{y}" {style}>{escape(text)}</text>'
