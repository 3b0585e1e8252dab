"""The picture: one line for each generator, latency over quantile, both on logarithmic axes."""

from collections.abc import Mapping, Sequence
from math import log10

from loadtest.publish.svg import Drawing

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 770, 420, 80, 190, 50, 50
_COLOURS = ("#0f172a", "#c2410c", "#2563eb", "#16a34a", "#9333ea", "#ca8a04", "#64748b", "#db2777")


def lines(title: str, quantiles: Sequence[float], rows: Mapping[str, Sequence[float]]) -> str:
    """The chart, as the text of an SVG document; `rows` are ms at each of `quantiles`."""
    values = [value for row in rows.values() for value in row]
    low, high = log10(min(values) * 0.8), log10(max(values) * 1.25)
    nines = [-log10(1 - q) for q in quantiles]
    xs = [_LEFT + (n - nines[0]) / (nines[-1] - nines[0]) * (_WIDTH - _LEFT - _RIGHT) for n in nines]

    def y(value_ms: float) -> float:
        return _TOP + (high - log10(value_ms)) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    drawing = Drawing(_WIDTH, _HEIGHT, label=title)
    drawing.add("rect", width="100%", height="100%", fill="white")
    drawing.text(_LEFT, 28, title, font_weight="bold", font_size=15)
    for x, q in zip(xs, quantiles, strict=True):
        drawing.text(x, _HEIGHT - 22, f"p{100 * q:g}", text_anchor="middle")
    for tick in (10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000):
        if low <= log10(tick) <= high:
            drawing.line([(_LEFT, y(tick)), (_WIDTH - _RIGHT, y(tick))], stroke="#e2e8f0")
            drawing.text(_LEFT - 8, y(tick) + 4, f"{tick:,} ms", text_anchor="end")
    for number, (name, row) in enumerate(rows.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        dash = "7 5" if number == 0 else "none"
        points = [(x, y(value)) for x, value in zip(xs, row, strict=True)]
        drawing.line(points, fill="none", stroke=colour, stroke_width=2.5, stroke_dasharray=dash)
        drawing.text(_WIDTH - _RIGHT + 20, _TOP + 20 + 22 * number, name, fill=colour)
    return drawing.document()
