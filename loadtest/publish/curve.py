"""The planned curve as a picture: in a terminal, as SVG, and as CSV, for `singlesday show`.

All three take a profile, by its shape alone (see `Drawable`), so that this package need not know
`loadtest.plan`. Both pictures show the same things: transactions per second over the seconds of the plan, the
peak with its figure, and the named phases. A column of the terminal is as high as the highest rate within it,
so a spike narrower than a column keeps its height.
"""

import csv
from bisect import bisect_right
from collections.abc import Sequence
from io import StringIO
from itertools import pairwise
from math import nextafter
from typing import Protocol

from loadtest.publish.svg import Drawing, linear_ticks

Point = tuple[float, float]

_BLOCKS = " ▁▂▃▄▅▆▇█"
_TIME_STEPS_S = (0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200)


class Drawable(Protocol):
    """What a picture needs to know of a profile. Times in seconds, rates in transactions per second."""

    @property
    def duration_s(self) -> float: ...

    @property
    def phases(self) -> Sequence[tuple[float, float, str]]:
        """(from_s, to_s, name) of the named periods."""
        ...

    @property
    def peak(self) -> Point:
        """When the rate is highest, and that rate."""
        ...

    def outline(self) -> list[Point]:
        """The points of a line that draws the rate; two at one instant are a jump."""
        ...

    def rate(self, t_s: float) -> float:
        """Transactions per second at an instant."""
        ...

    def cumulative(self, t_s: float) -> float:
        """Transactions up to an instant."""
        ...


def as_text(name: str, profile: Drawable, width: int = 100, height: int = 12) -> str:
    """The curve in characters, `width` columns wide, with `height` rows of curve between title and axes."""
    top = profile.peak[1] or 1.0
    labels = _row_labels(top, height)
    margin = max(map(len, labels))
    columns = max(width - margin - 2, 20)
    levels = [round(rate / top * height * 8) for rate in _column_heights(profile, columns)]
    lines = [headline(name, profile)]
    for row, label in zip(range(height - 1, -1, -1), labels, strict=True):
        bar = "".join(_BLOCKS[min(max(level - row * 8, 0), 8)] for level in levels)
        lines.append(f"{label:>{margin}} {'┤' if label else '│'}{bar}".rstrip())
    indent = " " * (margin + 1)
    lines.append(f"{'0':>{margin}} └{'─' * columns}")
    lines.append(f"{indent} {_time_row(profile.duration_s, columns)}".rstrip())
    lines += [f"{indent} {row}".rstrip() for row in _phase_rows(profile, columns)]
    return "\n".join(lines) + "\n"


def headline(name: str, profile: Drawable) -> str:
    """One line: how high, when, how long and how many."""
    at_s, peak_tps = profile.peak
    total = profile.cumulative(profile.duration_s)
    return (
        f"{name}: peak {peak_tps:,.0f} TPS at {clock(at_s)}, {clock(profile.duration_s)} in all, "
        f"{total:,.0f} transactions"
    )


def clock(t_s: float) -> str:
    """An instant as people read it: 26s, 1:30, 2:00:00; tenths only where there are."""
    if t_s < 60:
        return f"{t_s:.1f}".removesuffix(".0") + "s"
    minutes, seconds = divmod(round(t_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def short(rate: float) -> str:
    """A rate for an axis: 950, 2k, 583k, 1.5M."""
    for size, suffix in ((1e6, "M"), (1e3, "k")):
        if rate >= size:
            return f"{rate / size:.3g}{suffix}"
    return f"{rate:.3g}"


def as_csv(profile: Drawable, step_s: float = 1.0) -> str:
    """Lines of t_s, planned_tps and transactions so far, every `step_s` seconds and at the end."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["t_s", "planned_tps", "transactions"])
    instants_s = [k * step_s for k in range(int(profile.duration_s / step_s) + 1)]
    if instants_s[-1] < profile.duration_s:
        instants_s.append(profile.duration_s)
    for t_s in instants_s:
        writer.writerow([f"{t_s:.6g}", f"{profile.rate(t_s):.6f}", f"{profile.cumulative(t_s):.3f}"])
    return out.getvalue()


def _column_heights(profile: Drawable, columns: int) -> list[float]:
    """The highest rate within each of the columns the duration is divided into."""
    edges_s = [profile.duration_s * k / columns for k in range(columns + 1)]
    heights = [max(profile.rate(a), profile.rate(nextafter(b, a))) for a, b in pairwise(edges_s)]
    for t_s, rate in profile.outline():
        column = bisect_right(edges_s, t_s) - 1
        if column < columns:
            heights[column] = max(heights[column], rate)
    return heights


def _row_labels(top: float, height: int) -> list[str]:
    """What stands left of each row, from the highest down: the peak, and every fourth row's upper edge."""
    return [
        short(top * (row + 1) / height) if row == height - 1 or (row + 1) % 4 == 0 else ""
        for row in range(height - 1, -1, -1)
    ]


def time_ticks(duration_s: float, at_most: int) -> list[float]:
    """Round instants from 0 to the duration."""
    fitting = (step for step in _TIME_STEPS_S if duration_s / step <= at_most)
    step_s = next(fitting, duration_s / at_most)
    return [k * step_s for k in range(int(duration_s / step_s + 1e-9) + 1)]


def _time_row(duration_s: float, columns: int) -> str:
    row = ""
    for t_s in time_ticks(duration_s, at_most=max(columns // 10, 1)):
        label = clock(t_s)
        place = min(int(t_s / duration_s * (columns - 1)), columns - len(label))
        if place >= len(row):
            row = f"{row:<{place}}{label} "
    return row


def _phase_rows(profile: Drawable, columns: int) -> list[str]:
    """The names of the phases, each under its beginning, in rows enough for none to hide another."""
    rows: list[str] = []
    for from_s, _, name in profile.phases:
        place = int(from_s / profile.duration_s * columns)
        for i, row in enumerate(rows):
            if place >= len(row):
                rows[i] = f"{row:<{place}}╵{name} "
                break
        else:
            rows.append(f"{'':<{place}}╵{name} ")
    return rows


_WIDTH, _PLOT_HEIGHT = 960, 288
_LEFT, _RIGHT = 70, 32
_HEADER, _FOOTER = 66, 32
_LABEL_ROW = 16
_CHARACTER = 6.6
"""Width of a character of the labels, which are 11 px high. All sizes here are pixels."""

_STYLE = """
.paper{fill:#fff}.title{font:600 18px system-ui,sans-serif;fill:#1c1b22} .label{font:11px
system-ui,sans-serif;fill:#5b5a66}.grid{stroke:#e4e3ea}.axis{stroke:#8b8a96}
.band{fill:#f0eff5}.tick{stroke:#b9b8c4}.area{fill:#e8442e;fill-opacity:.16}.line{fill:none;stroke:#e8442e;stroke-width:2}
.dot{fill:#e8442e}.peak{font:600 12px system-ui,sans-serif;fill:#b3301d}
@media(prefers-color-scheme:dark){.paper{fill:#17161c}.title{fill:#f2f1f7}.label{fill:#a5a4b1}.grid{stroke:#2c2b34}
.axis,.tick{stroke:#6d6c78}.band{fill:#1f1e26}.peak{fill:#ff8b78}}
""".strip()


def as_svg(name: str, profile: Drawable) -> str:
    """The curve as an SVG picture, 960 pixels wide, light or dark as the viewer prefers."""
    return _Picture(name, profile).drawing.document()


class _Picture:
    """The picture in progress, from back to front."""

    def __init__(self, name: str, profile: Drawable) -> None:
        self.profile = profile
        ticks = linear_ticks(0, profile.peak[1] * 1.06 or 1.0, 7)
        self.grid = [*ticks, ticks[-1] + ticks[1]]  # room above the peak for its label
        names = _placed([(self.x(from_s), phase) for from_s, _, phase in profile.phases])
        self.top = _HEADER + _LABEL_ROW * (1 + max((row for _, row, _ in names), default=0))
        self.bottom = self.top + _PLOT_HEIGHT
        said = headline(name, profile)
        self.drawing = Drawing(_WIDTH, self.bottom + _FOOTER, label=said, style=_STYLE)
        self.drawing.add("rect", class_="paper", width=_WIDTH, height=self.bottom + _FOOTER)
        self.drawing.text(_LEFT, 30, name, class_="title")
        self.drawing.text(_LEFT, 50, said.removeprefix(f"{name}: "), class_="label")
        self._add_phases(names)
        self._add_axes()
        self._add_curve()

    def x(self, t_s: float) -> float:
        """Where an instant is."""
        return round(_LEFT + t_s / self.profile.duration_s * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(self, rate: float) -> float:
        """Where a rate is."""
        return round(self.bottom - rate / self.grid[-1] * _PLOT_HEIGHT, 1)

    def _add_phases(self, names: list[tuple[float, int, str]]) -> None:
        """A band for every other phase, and over the plot each one's name with a line down to its beginning."""
        for from_s, to_s, _ in self.profile.phases[1::2]:
            x, width = self.x(from_s), self.x(to_s) - self.x(from_s)
            self.drawing.add("rect", class_="band", x=x, y=self.top, width=width, height=_PLOT_HEIGHT)
        for x, row, name in names:
            y = self.top - row * _LABEL_ROW - 5
            self.drawing.add("line", class_="tick", x1=x, x2=x, y1=y - 9, y2=self.top)
            self.drawing.text(x + 4, y, name, class_="label")

    def _add_axes(self) -> None:
        for rate in self.grid:
            y, kind = self.y(rate), "grid" if rate else "axis"
            self.drawing.add("line", class_=kind, x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y, y2=y)
            self.drawing.text(_LEFT - 8, y + 4, f"{short(rate)}/s", class_="label", text_anchor="end")
        for t_s in time_ticks(self.profile.duration_s, at_most=12):
            x = self.x(t_s)
            self.drawing.add("line", class_="axis", x1=x, x2=x, y1=self.bottom, y2=self.bottom + 4)
            self.drawing.text(x, self.bottom + 18, clock(t_s), class_="label", text_anchor="middle")

    def _add_curve(self) -> None:
        outline = [(self.x(t_s), self.y(rate)) for t_s, rate in self.profile.outline()]
        ends = [(self.x(self.profile.duration_s), float(self.bottom)), (float(_LEFT), float(self.bottom))]
        self.drawing.line([*outline, *ends], closed=True, class_="area")
        self.drawing.line(outline, class_="line")
        at_s, peak_tps = self.profile.peak
        x, y = self.x(at_s), self.y(peak_tps)
        anchor, shift = ("end", -9) if x > _WIDTH * 0.75 else ("start", 9)
        self.drawing.add("circle", class_="dot", cx=x, cy=y, r=4)
        self.drawing.text(x + shift, y - 5, f"{peak_tps:,.0f} TPS", class_="peak", text_anchor=anchor)


def _placed(labels: list[tuple[float, str]]) -> list[tuple[float, int, str]]:
    """(x, row, text) of labels over the plot: each above those it reaches over, for no line to cross it."""
    placed: list[tuple[float, int, str]] = []
    for x, text in reversed(labels):
        end = x + (len(text) + 1) * _CHARACTER
        placed.append((x, max((row + 1 for later, row, _ in placed if later < end), default=0), text))
    return placed
