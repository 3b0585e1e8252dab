"""A slow second opinion on profiles: 50-digit decimals, formulas of formulas, and bisection.

It shares nothing with `loadtest.plan`: combinators wrap the cumulative instead of rewriting segments, and the
inverse knows no formula at all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, localcontext
from itertools import pairwise

DIGITS = 50
RESOLUTION_S = Decimal("1e-12")

Cumulative = Callable[[Decimal], Decimal]


@dataclass(frozen=True)
class Oracle:
    """A profile as its duration and its cumulative."""

    duration_s: Decimal
    count: Cumulative
    """Arrivals in [0, t], for 0 <= t <= duration_s."""

    def cumulative(self, t_s: float | Decimal) -> Decimal:
        """Arrivals in [0, t_s]."""
        with localcontext(prec=DIGITS):
            return self.count(min(max(Decimal(t_s), Decimal(0)), self.duration_s))

    def inverse(self, n: float | Decimal) -> Decimal:
        """The smallest instant with `n` arrivals, by bisection to a thousandth of a nanosecond."""
        with localcontext(prec=DIGITS):
            low, high, wanted = Decimal(0), self.duration_s, Decimal(n)
            while high - low > RESOLUTION_S:
                middle = (low + high) / 2
                if self.count(middle) >= wanted:
                    high = middle
                else:
                    low = middle
            return high

    def scale(self, factor: float) -> "Oracle":
        """See `Piecewise.scale`."""
        return Oracle(self.duration_s, lambda t: Decimal(factor) * self.count(t))

    def stretch(self, factor: float) -> "Oracle":
        """See `Piecewise.stretch`."""
        f = Decimal(factor)
        return Oracle(self.duration_s * f, lambda t: f * self.count(min(t / f, self.duration_s)))

    def then(self, other: "Oracle") -> "Oracle":
        """See `Piecewise.then`."""
        ours_s = self.duration_s
        return Oracle(
            ours_s + other.duration_s,
            lambda t: self.count(min(t, ours_s)) + other.count(max(t - ours_s, Decimal(0))),
        )

    def repeat(self, times: int) -> "Oracle":
        """See `Piecewise.repeat`."""

        def count(t: Decimal) -> Decimal:
            rounds = min(int(t / self.duration_s), times - 1)
            return rounds * self.count(self.duration_s) + self.count(t - rounds * self.duration_s)

        return Oracle(self.duration_s * times, count)

    def add(self, other: "Oracle", at_s: float) -> "Oracle":
        """See `Piecewise.add`."""
        at = Decimal(at_s)

        def count(t: Decimal) -> Decimal:
            theirs = min(max(t - at, Decimal(0)), other.duration_s)
            return self.count(min(t, self.duration_s)) + other.count(theirs)

        return Oracle(max(self.duration_s, at + other.duration_s), count)

    def cut(self, duration_s: float, from_s: float) -> "Oracle":
        """See `Piecewise.cut`."""
        start = Decimal(from_s)
        length = min(Decimal(duration_s), self.duration_s - start)
        return Oracle(length, lambda t: self.count(start + t) - self.count(start))


def ramp(from_rate: float, to_rate: float, duration_s: float) -> Oracle:
    """Straight from one rate to another."""
    a, b, d = Decimal(from_rate), Decimal(to_rate), Decimal(duration_s)
    return Oracle(d, lambda t: a * t + (b - a) / d * t * t / 2)


def decay(from_rate: float, tau_s: float, duration_s: float) -> Oracle:
    """An exponential decay."""
    r, tau = Decimal(from_rate), Decimal(tau_s)
    return Oracle(Decimal(duration_s), lambda t: r * tau * (1 - (-t / tau).exp()))


def knots(points: list[tuple[float, float]]) -> Oracle:
    """Straight lines from knot to knot."""
    whole: Oracle | None = None
    for (a, r), (b, q) in pairwise(points):
        if b > a:
            line = ramp(r, q, b - a)
            whole = whole.then(line) if whole else line
    assert whole is not None
    return whole
