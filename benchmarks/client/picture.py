"""A bar chart as SVG: groups of labelled horizontal bars, nothing more."""

from collections.abc import Mapping

from loadtest.publish.svg import Drawing

_WIDTH, _LABEL_WIDTH, _VALUE_WIDTH, _ROW, _TITLE = 760, 220, 90, 26, 44


def bars(title: str, groups: Mapping[str, Mapping[str, float]], highlighted: str) -> str:
    """The chart, as the text of an SVG document. Bars are to one scale over all groups."""
    longest = max((value for group in groups.values() for value in group.values()), default=1) or 1
    rows = sum(_ROW * (1 + len(group)) + _ROW // 2 for group in groups.values())
    drawing = Drawing(_WIDTH, _TITLE + rows, label=title)
    drawing.add("rect", width="100%", height="100%", fill="white")
    drawing.text(12, 26, title, font_weight="bold", font_size=16)
    y = _TITLE
    for heading, group in groups.items():
        drawing.text(12, y + 18, heading, font_style="italic")
        y += _ROW
        for label, value in group.items():
            length = value / longest * (_WIDTH - _LABEL_WIDTH - _VALUE_WIDTH)
            colour = "#c2410c" if label == highlighted else "#94a3b8"
            drawing.text(_LABEL_WIDTH - 8, y + 17, label, text_anchor="end")
            drawing.add("rect", x=_LABEL_WIDTH, y=y + 4, width=length, height=18, fill=colour)
            drawing.text(_LABEL_WIDTH + length + 6, y + 17, f"{value:,.0f}")
            y += _ROW
        y += _ROW // 2
    return drawing.document()
