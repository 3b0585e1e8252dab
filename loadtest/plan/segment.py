"""Segments: the closed forms that every traffic profile is built from.

A segment is a length of time with one formula for its rate r(t). Its cumulative N(t), the integral of r,
counts the arrivals since its start, and inverting N turns arrival numbers into instants. Two formulas
suffice: `Linear` (constants, ramps, knots) and `Decay` (exponential), both with an exact inverse; `Sum` adds
two of them and inverts by a bracketed Newton search that ends when the instant no longer moves.

Accuracy. In binary floating point an arrival number n is known to one part in 2^53, so its instant is known
to n / rate / 2^53 seconds whatever the formula. The formulas below lose no more than a few times that: under
1 ns as long as n / rate stays under about 10^6 s, which a full-size Singles' Day (1.4 billion orders in 24
hours) keeps by a factor of six. Only where a rate falls to zero does an instant become less certain, and
there only because the count itself leaves it open.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import exp, expm1, log1p, sqrt
from typing import Protocol

CONVERGED_S = 1e-8
"""`Sum` stops searching when a step is shorter: Newton's next one would be about its square."""

MAX_STEPS = 100
"""A bracket halved so often is as narrow as a float can tell; Newton needs three or four."""

MAX_TIME_CONSTANTS = 30.0
"""A `Decay` may last this many time constants; beyond, its cumulative cannot be told from its limit."""


class Segment(Protocol):
    """A length of time with a closed-form rate. Times are seconds from its start, counts are arrivals."""

    @property
    def duration_s(self) -> float: ...

    @property
    def total(self) -> float:
        """Arrivals in the whole segment."""
        ...

    def rate(self, t_s: float) -> float:
        """Arrivals per second at `t_s`, for 0 <= t_s <= duration_s."""
        ...

    def cumulative(self, t_s: float) -> float:
        """Arrivals in [0, t_s], for 0 <= t_s <= duration_s."""
        ...

    def inverses(self, numbers: Sequence[float], before: float, start_s: float) -> list[float]:
        """Instants at which the cumulative reaches each ascending number in (before, before + total].

        `before` arrivals came before this segment, which starts at `start_s`; the instants returned are on
        the same time axis as `start_s`. Taking many at once is what makes an arrival cost a fraction of a
        microsecond.
        """
        ...

    def scaled(self, factor: float) -> "Segment":
        """The same with `factor` times the rate."""
        ...

    def stretched(self, factor: float) -> "Segment":
        """The same rates passed through in `factor` times the time."""
        ...

    def part(self, from_s: float, to_s: float) -> "Segment":
        """The piece of it between two of its instants."""
        ...


@dataclass(frozen=True)
class Linear:
    """A rate that goes straight from one value to another; a constant when both are equal."""

    duration_s: float
    start_rate: float
    end_rate: float

    @cached_property
    def slope(self) -> float:
        """Change of the rate, in arrivals per second per second."""
        return (self.end_rate - self.start_rate) / self.duration_s

    @property
    def total(self) -> float:
        """Arrivals in the whole segment: the trapezoid's area."""
        return self.duration_s * (self.start_rate + self.end_rate) / 2

    def rate(self, t_s: float) -> float:
        """Arrivals per second at `t_s`."""
        if t_s == self.duration_s:
            return self.end_rate
        return self.start_rate + self.slope * t_s

    def cumulative(self, t_s: float) -> float:
        """Arrivals in [0, t_s]."""
        return t_s * (self.start_rate + self.slope * t_s / 2)

    def inverses(self, numbers: Sequence[float], before: float, start_s: float) -> list[float]:
        """Instants of the given arrival numbers; see `Segment.inverses`.

        Solves m = r t + s t^2 / 2 as t = 2m / (r + sqrt(r^2 + 2 s m)), the form of the quadratic's root that
        subtracts nothing when the rate rises, and needs no case for s near 0 (Numerical Recipes, section
        5.6).
        """
        rate, slope = self.start_rate, self.slope
        if slope == 0.0:
            return [start_s + (n - before) / rate for n in numbers]
        square, twice = rate * rate, 2 * slope
        # abs: the last arrival of a ramp to zero may find r^2 + 2sm one rounding below 0.
        counts = [n - before for n in numbers]
        return [start_s + 2 * m / (rate + sqrt(abs(square + twice * m))) for m in counts]

    def scaled(self, factor: float) -> "Linear":
        """The same with `factor` times the rate."""
        return Linear(self.duration_s, self.start_rate * factor, self.end_rate * factor)

    def stretched(self, factor: float) -> "Linear":
        """The same rates passed through in `factor` times the time."""
        return Linear(self.duration_s * factor, self.start_rate, self.end_rate)

    def part(self, from_s: float, to_s: float) -> "Linear":
        """The piece of it between two of its instants."""
        return Linear(to_s - from_s, self.rate(from_s), self.rate(to_s))


@dataclass(frozen=True)
class Decay:
    """An exponential decay: r(t) = start_rate * exp(-t / tau_s)."""

    duration_s: float
    start_rate: float
    tau_s: float

    def __post_init__(self) -> None:
        """Refuse a decay that lasts so long that nothing would be left to invert."""
        if self.duration_s > MAX_TIME_CONSTANTS * self.tau_s:
            raise ValueError(
                f"a decay may last {MAX_TIME_CONSTANTS:g} time constants: expected a duration of at most "
                f"{MAX_TIME_CONSTANTS * self.tau_s:g} s for tau {self.tau_s:g} s, got {self.duration_s:g} s"
            )

    @property
    def total(self) -> float:
        """Arrivals in the whole segment."""
        return self.cumulative(self.duration_s)

    def rate(self, t_s: float) -> float:
        """Arrivals per second at `t_s`."""
        return self.start_rate * exp(-t_s / self.tau_s)

    def cumulative(self, t_s: float) -> float:
        """Arrivals in [0, t_s]: r tau (1 - exp(-t/tau)), by expm1 since the difference may be tiny."""
        return -self.start_rate * self.tau_s * expm1(-t_s / self.tau_s)

    def inverses(self, numbers: Sequence[float], before: float, start_s: float) -> list[float]:
        """Instants of the given arrival numbers; see `Segment.inverses`. t = -tau ln(1 - m / (r tau))."""
        tau_s, limit = self.tau_s, self.start_rate * self.tau_s
        return [start_s - tau_s * log1p((before - n) / limit) for n in numbers]

    def scaled(self, factor: float) -> "Decay":
        """The same with `factor` times the rate."""
        return Decay(self.duration_s, self.start_rate * factor, self.tau_s)

    def stretched(self, factor: float) -> "Decay":
        """The same rates passed through in `factor` times the time."""
        return Decay(self.duration_s * factor, self.start_rate, self.tau_s * factor)

    def part(self, from_s: float, to_s: float) -> "Decay":
        """The piece of it between two of its instants."""
        return Decay(to_s - from_s, self.rate(from_s), self.tau_s)


@dataclass(frozen=True)
class Sum:
    """Two segments of one duration, added. One at least is a `Decay`, so the rate is never zero for long."""

    first: Segment
    second: Segment

    @property
    def duration_s(self) -> float:
        """Seconds both last."""
        return self.first.duration_s

    @property
    def total(self) -> float:
        """Arrivals of both."""
        return self.first.total + self.second.total

    def rate(self, t_s: float) -> float:
        """Arrivals per second of both at `t_s`."""
        return self.first.rate(t_s) + self.second.rate(t_s)

    def cumulative(self, t_s: float) -> float:
        """Arrivals of both in [0, t_s]."""
        return self.first.cumulative(t_s) + self.second.cumulative(t_s)

    def inverses(self, numbers: Sequence[float], before: float, start_s: float) -> list[float]:
        """Instants of the given arrival numbers; see `Segment.inverses`. Searched for, 3.6 us each.

        Each search starts afresh: begun where its neighbour's ended it would take fewer steps, but an arrival's
        instant must not depend on which others are asked for, or slots would not add up to the schedule.
        """
        return [start_s + self._solve(n - before) for n in numbers]

    def _solve(self, m: float) -> float:
        """The instant at which the cumulative reaches `m`: Newton's steps in a bracket."""
        low_s, high_s = 0.0, self.duration_s
        t_s = high_s * min(max(m / self.total, 0.0), 1.0)
        for _ in range(MAX_STEPS):
            missing = m - self.cumulative(t_s)
            if missing > 0:
                low_s = t_s
            else:
                high_s = t_s
            rate = self.rate(t_s)
            guess_s = t_s + missing / rate if rate > 0 else high_s
            if not low_s <= guess_s <= high_s:
                guess_s = (low_s + high_s) / 2
            if abs(guess_s - t_s) < CONVERGED_S:
                break
            t_s = guess_s
        return guess_s

    def scaled(self, factor: float) -> "Sum":
        """The same with `factor` times the rate."""
        return Sum(self.first.scaled(factor), self.second.scaled(factor))

    def stretched(self, factor: float) -> "Sum":
        """The same rates passed through in `factor` times the time."""
        return Sum(self.first.stretched(factor), self.second.stretched(factor))

    def part(self, from_s: float, to_s: float) -> "Sum":
        """The piece of it between two of its instants."""
        return Sum(self.first.part(from_s, to_s), self.second.part(from_s, to_s))


def added(first: Segment, second: Segment) -> Segment:
    """The sum of two segments of one duration, in closed form where both are linear."""
    if isinstance(first, Linear) and isinstance(second, Linear):
        start_rate, end_rate = first.start_rate + second.start_rate, first.end_rate + second.end_rate
        return Linear(first.duration_s, start_rate, end_rate)
    return Sum(first, second)
