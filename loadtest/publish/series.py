"""The one shape in which charts reach a browser: what `assets/chart.js` draws in every page of ours.

A `Sheet` is a page's charts over one time axis. Values stand in columns beside the instants they belong to, None
where nothing was measured. Times are seconds since the run began; units are the chart's.
"""

from collections.abc import Sequence
from string import ascii_lowercase, digits
from typing import Literal

import msgspec

_DIGITS = digits + ascii_lowercase

Column = list[float | None]
Unit = Literal["ms", "per_s", "count", "share", "bytes"]
"""How a value is written: a latency, a rate, a number of things, a share of 1, bytes."""


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a chart."""

    key: str
    """The name of its colour in the style sheet."""
    label: str
    values: Column
    area: bool = False
    """Whether the surface below it is filled."""


class Heat(msgspec.Struct, frozen=True, kw_only=True):
    """How many requests took how long, for each instant of the chart."""

    upper_ms: list[float]
    """The upper bound of each row, ascending."""
    columns: list[str]
    """A character a cell, from the lowest row up: `.` for no request, else the whole part of the binary logarithm of
    their number, as a digit of base 36. A day's heat map is most of a report's size."""


class Chart(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One chart: lines and a heat map over time, or lines over quantiles or rates."""

    id: str
    title: str
    unit: Unit
    counts: str
    """What the vertical axis counts, in words: `orders/s`."""
    log: bool = False
    axis: Literal["time", "quantile", "rate"] = "time"
    """What `t` counts: seconds, the nines of a quantile (2 is p99), or what was offered a second."""
    t: list[float] = []
    """The instants at which its points begin, where they are not the sheet's, and how long each lasts."""
    bin_s: float | None = None
    lines: list[Line] = []
    heat: Heat | None = None
    limit: float | None = None
    """A value that the lines should stay below."""


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """Charts that share a time axis."""

    end_s: float
    """Where the axis ends."""
    t: list[float] = []
    """The instants at which points begin, ascending; each lasts `bin_s`."""
    bin_s: float = 1.0
    phases: list[tuple[float, float, str]] = []
    """(from_s, to_s, name) of the plan's phases."""
    marks: list[tuple[float, str]] = []
    """(t_s, what happened): numbered lines across every chart."""
    now_s: float | None = None
    """How far a run that goes on has come."""
    charts: list[Chart] = []


def heat_of(cells: Sequence[Sequence[tuple[int, int]]]) -> Heat:
    """The heat map of (upper bound in microseconds, requests), a list for each instant."""
    bounds_us = sorted({upper for column in cells for upper, count in column if count})
    rows = {upper: row for row, upper in enumerate(bounds_us)}
    columns = []
    for column in cells:
        drawn = ["."] * len(bounds_us)
        for upper, count in column:
            if count:
                drawn[rows[upper]] = _DIGITS[count.bit_length() - 1]
        columns.append("".join(drawn).rstrip("."))
    return Heat(upper_ms=[upper / 1000 for upper in bounds_us], columns=columns)


def short(value: float | None) -> float | None:
    """A value with the four digits that a chart can show."""
    if value is None:
        return None
    return float(f"{value:.4g}") if abs(value) < 1000 else round(value)
