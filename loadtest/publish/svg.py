"""The one writer of SVG files, for README, docs and terminals; what a browser shows is drawn by `assets/chart.js`."""

import math
from html import escape


class Drawing:
    """A picture in progress: parts are added from back to front, then `document` gives the SVG. Sizes are pixels."""

    def __init__(self, width: int, height: int, *, label: str, style: str = "") -> None:
        """An empty picture; `label` says in words what it shows, `style` is its style sheet."""
        frame = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            f'height="{height}" role="img" font-family="system-ui, sans-serif" font-size="13">'
        )
        self._parts = [frame, f"<title>{escape(label)}</title>"]
        if style:
            self._parts.append(f"<style>{style}</style>")

    def add(self, name: str, **attributes: object) -> None:
        """Add an element; a trailing underscore of an attribute's name is left out, others become hyphens."""
        self._parts.append(f"<{name}{_attributes(attributes)}/>")

    def text(self, x: float, y: float, words: str, **attributes: object) -> None:
        """Add a text, escaped; its baseline begins at (x, y)."""
        self._parts.append(f"<text{_attributes({'x': x, 'y': y, **attributes})}>{escape(words)}</text>")

    def line(self, points: list[tuple[float, float]], *, closed: bool = False, **attributes: object) -> None:
        """Add a line through points, or the surface within it."""
        name = "polygon" if closed else "polyline"
        self.add(name, points=" ".join(f"{px(x)},{px(y)}" for x, y in points), **attributes)

    def document(self) -> str:
        """The finished file."""
        return "\n".join([*self._parts, "</svg>\n"])


def linear_ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) within [low, high], about so many."""
    rough = (high - low) / max(1, about)
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def px(value: float) -> str:
    """A coordinate with a tenth of a pixel, as short as it can be written."""
    return f"{value:.1f}".removesuffix(".0")


def _attributes(given: dict[str, object]) -> str:
    written = ((name.rstrip("_").replace("_", "-"), value) for name, value in given.items())
    return "".join(
        f' {name}="{escape(px(value) if isinstance(value, float) else str(value))}"'
        for name, value in written
    )
