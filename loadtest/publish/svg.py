"""The one writer of SVG files, for README, docs and terminals; what a browser shows is drawn by `assets/chart.js`."""

import math

import jinja2

_FRAME = """
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {{ width }} {{ height }}" width="{{ width }}" \
height="{{ height }}" role="img" font-family="system-ui, sans-serif" font-size="13">
<title>{{ label }}</title>
""".lstrip()


def document(body: str, *, width: int, height: int, label: str, **content: object) -> str:
    """An SVG file of so many pixels: a Jinja template with its content, which is escaped.

    `label` says in words what it shows. Numbers with a fraction are coordinates and get a tenth of a pixel.
    """
    writer = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=px
    )
    template = writer.from_string(f"{_FRAME}{body.strip()}\n</svg>\n")
    return template.render(width=width, height=height, label=label, **content) + "\n"


def px(value: object) -> object:
    """A coordinate with a tenth of a pixel, as short as it can be written; anything else as it is."""
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else value


def points(line: list[tuple[float, float]]) -> str:
    """A line through points, as the attribute of that name has it."""
    return " ".join(f"{px(x)},{px(y)}" for x, y in line)


def linear_ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) within [low, high], about so many."""
    rough = (high - low) / max(1, about)
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]
