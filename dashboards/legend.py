"""The names below a panel: in as many lines as they need up to `MOST_LINES`, cut only where they stay apart.

A name is cut in its middle, since routes differ at their ends and endpoints at both; the whole one is its tooltip.
What finds no room is counted rather than left out in silence.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

CHARACTER_PX = 6.8
"""The mean width of a character of 12 px."""
LINE_PX = 17
MOST_LINES = 3
LONGEST = 30
"""Characters of a name that is not cut."""
_MARK_PX, _GAP_PX = 16, 14


def shortened(names: Sequence[str], longest: int = LONGEST) -> list[str]:
    """The names, each cut in its middle to `longest` characters, or to as many as keep all of them different."""
    while True:
        cut = [_cut(name, longest) for name in names]
        if len(set(cut)) == len(set(names)):
            return cut
        longest += 4


def _cut(name: str, longest: int) -> str:
    if len(name) <= longest:
        return name
    tail = (longest - 1) // 2
    return f"{name[: longest - 1 - tail]}…{name[len(name) - tail :]}"


class _Entry(NamedTuple):
    words: str
    name: str
    x_px: float


class Legend:
    """The names of a panel, laid out in a width."""

    def __init__(self, names: Sequence[str], width_px: float) -> None:
        different = list(dict.fromkeys(names))
        self._lines: list[list[_Entry]] = [[]] if different else []
        x_px = 0.0
        rest: list[str] = []
        for words, name in zip(shortened(different), different, strict=True):
            wide = _MARK_PX + CHARACTER_PX * len(words)
            if x_px + wide > self._room(width_px) and x_px:
                if len(self._lines) == MOST_LINES:
                    rest = different[different.index(name) :]
                    break
                self._lines.append([])
                x_px = 0.0
            self._lines[-1].append(_Entry(words, name, x_px))
            x_px += wide + _GAP_PX
        self._rest, self._rest_x_px = rest, x_px

    def _room(self, width_px: float) -> float:
        """Less in the last line, which may have to say how many more there are."""
        return width_px - (70 if len(self._lines) == MOST_LINES else 0)

    @property
    def height_px(self) -> float:
        """What it takes of the panel."""
        return len(self._lines) * LINE_PX

    def drawn(self, x_px: float, y_px: float, colours: Mapping[str, str]) -> str:
        """As SVG with its upper left corner there."""
        parts = []
        for number, line in enumerate(self._lines):
            y = y_px + number * LINE_PX + 12
            for words, name, at_px in line:
                x = x_px + at_px
                parts.append(
                    f'<g><title>{escape(name)}</title><rect x="{x:.1f}" y="{y - 6:.1f}" width="12" height="3" '
                    f'fill="{colours[name]}"/><text x="{x + _MARK_PX:.1f}" y="{y:.1f}">{escape(words)}</text></g>'
                )
        if self._rest:
            x, y = x_px + self._rest_x_px, y_px + (MOST_LINES - 1) * LINE_PX + 12
            parts.append(
                f"<g><title>{escape(', '.join(self._rest))}</title>"
                f'<text x="{x:.1f}" y="{y:.1f}">+{len(self._rest)} more</text></g>'
            )
        return "".join(parts)
