"""The picture: one line for each generator, latency over quantile, both on logarithmic axes."""

from collections.abc import Mapping, Sequence
from html import escape
from math import log10

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

    drawn = [_text(_LEFT, 28, title, 'font-weight="bold" font-size="15"')]
    for x, q in zip(xs, quantiles, strict=True):
        drawn.append(_text(x, _HEIGHT - 22, f"p{100 * q:g}", 'text-anchor="middle"'))
    for tick in (10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000):
        if low <= log10(tick) <= high:
            drawn.append(f'<path d="M{_LEFT},{y(tick):.1f}H{_WIDTH - _RIGHT}" stroke="#e2e8f0"/>')
            drawn.append(_text(_LEFT - 8, y(tick) + 4, f"{tick:,} ms", 'text-anchor="end"'))
    for number, (name, row) in enumerate(rows.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        points = " ".join(f"{x:.1f},{y(value):.1f}" for x, value in zip(xs, row, strict=True))
        dash = ' stroke-dasharray="7 5"' if number == 0 else ""
        drawn.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.5"{dash}/>')
        drawn.append(_text(_WIDTH - _RIGHT + 20, _TOP + 20 + 22 * number, name, f'fill="{colour}"'))
    size = f'width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    body = "\n".join(drawn)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="13">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )


def _text(x: float, y: float, text: str, style: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>'
