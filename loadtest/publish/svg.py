"""The few parts of SVG that a chart is made of: scales, ticks, axes, lines, areas, cells.

Charts are drawn here, on the server's side, rather than by a script in the page: they then print, open with
scripts off, need no library in the file, and can be compared byte for byte by tests. Each chart is drawn
twice, wide and narrow, and the style sheet shows the one that fits; so text keeps its size on a phone.
Colours are CSS classes only, so that the page can be light, dark or on paper.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

Point = tuple[float, float]


@dataclass(frozen=True)
class Size:
    """A drawing's extent in CSS pixels, and the class that the style sheet chooses it by."""

    name: str
    width: int
    height: int
    x_ticks: int
    columns: int
    """How many points or cells there is room for along the x axis."""


WIDE = Size("wide", 1000, 280, x_ticks=12, columns=250)
HALF = Size("wide", 490, 230, x_ticks=7, columns=125)
"""Two abreast where `WIDE` fits once."""
NARROW = Size("narrow", 360, 230, x_ticks=5, columns=90)

MARGIN_LEFT, MARGIN_RIGHT, MARGIN_TOP, MARGIN_BOTTOM = 58, 10, 24, 30


@dataclass(frozen=True)
class Scale:
    """Maps values to pixels, linear in `transform(value)`; values beyond the ends stay at the ends."""

    low: float
    high: float
    start_px: float
    end_px: float
    transform: Callable[[float], float] = float

    def __call__(self, value: float) -> float:
        low, high = self.transform(self.low), self.transform(self.high)
        share = (self.transform(min(max(value, self.low), self.high)) - low) / (high - low)
        return self.start_px + share * (self.end_px - self.start_px)


def linear_ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) within [low, high], about so many."""
    rough = (high - low) / max(1, about)
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def time_ticks(duration_s: float, about: int) -> list[float]:
    """Whole seconds, minutes or hours within [0, duration_s], about so many."""
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
    if duration_s < 2:
        return linear_ticks(0, duration_s, about)
    step = next((s for s in steps if duration_s / s <= about), steps[-1])
    return [float(t) for t in range(0, int(duration_s) + 1, step)]


def decade_ticks(low: float, high: float) -> list[float]:
    """Powers of ten within [low, high]."""
    decades = range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
    return [10.0**decade for decade in decades]


def log_bounds(low: float, high: float) -> tuple[float, float]:
    """The 1, 2 or 5 times a power of ten just below `low` and just above `high`; at least a decade apart."""
    bottom = max(step for step in _steps(low) if step <= low * (1 + 1e-9))
    top = min(step for step in _steps(high) if step >= high * (1 - 1e-9))
    return bottom, max(top, bottom * 10)


def _steps(value: float) -> list[float]:
    magnitude = 10.0 ** math.floor(math.log10(value))
    return [factor * magnitude for factor in (0.5, 1, 2, 5, 10, 20)]


@dataclass
class Plot:
    """A drawing in progress: parts are added from back to front, then `markup` gives the SVG."""

    size: Size
    x: Scale
    y: Scale
    parts: list[Markup] = field(default_factory=list)

    @property
    def bottom(self) -> float:
        return self.size.height - MARGIN_BOTTOM

    @property
    def right(self) -> float:
        return self.size.width - MARGIN_RIGHT

    def add(self, template: str, *values: object) -> None:
        """Add markup; `values` fill its `{}` and are escaped."""
        self.parts.append(Markup(template).format(*values))  # noqa: S704  # templates are literals of ours

    def text(self, x: float, y: float, words: str, css: str = "tick") -> None:
        self.add('<text class="{}" x="{}" y="{}">{}</text>', css, _px(x), _px(y), words)

    def y_axis(self, ticks: Iterable[float], name: Callable[[float], str]) -> None:
        """Hairlines across the plot with their values at the left."""
        for tick in ticks:
            y = self.y(tick)
            self.add('<path class="grid" d="M{} {}H{}"/>', MARGIN_LEFT, _px(y), _px(self.right))
            self.text(MARGIN_LEFT - 8, y + 4, name(tick), "tick end")

    def x_axis(self, ticks: Sequence[float], name: Callable[[float], str]) -> None:
        self.add('<path class="base" d="M{} {}H{}"/>', MARGIN_LEFT, _px(self.bottom), _px(self.right))
        for tick in ticks:
            x = self.x(tick)
            self.add('<path class="base" d="M{} {}v4"/>', _px(x), _px(self.bottom))
            self.text(x, self.bottom + 17, name(tick), "tick end" if x > self.right - 14 else "tick mid")

    def line(self, points: Iterable[Point | None], css: str) -> None:
        """A line through data points; None breaks it, and a point without neighbours becomes a dot."""
        self.add('<path class="line {}" d="{}"/>', css, self._path(points))

    def area(self, points: Sequence[Point], css: str) -> None:
        """The surface between a line and the bottom of the plot."""
        if points:
            ends = f"L{_px(self.x(points[-1][0]))} {_px(self.bottom)}H{_px(self.x(points[0][0]))}Z"
            self.add('<path class="area {}" d="{}"/>', css, self._path(points) + ends)

    def _path(self, points: Iterable[Point | None]) -> str:
        path, pen = [], "M"
        for point in points:
            if point is None:
                pen = "M"
                continue
            path.append(
                f"{pen}{_px(self.x(point[0]))} {_px(self.y(point[1]))}" + ("h0" if pen == "M" else "")
            )
            pen = "L"
        return "".join(path)

    def markup(self, label: str) -> Markup:
        """The finished SVG; `label` says in words what the picture shows."""
        frame = Markup(
            '<svg class="{}" viewBox="0 0 {} {}" role="img" aria-label="{}" data-left="{}" data-right="{}">'
            '{}<path class="cross" d="M0 {}V{}"/></svg>'
        )
        return frame.format(
            self.size.name,
            self.size.width,
            self.size.height,
            label,
            MARGIN_LEFT,
            _px(self.right),
            Markup("").join(self.parts),
            MARGIN_TOP,
            _px(self.bottom),
        )


def _px(value: float) -> str:
    """A coordinate with a tenth of a pixel, as short as it can be written."""
    return f"{value:.1f}".removesuffix(".0")
