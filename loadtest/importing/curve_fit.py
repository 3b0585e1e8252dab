"""A rate curve for counted requests: few knots, and every bin within a tolerance of what was counted in it.

The counts of bins become straight lines, each as long as it can be (a swing filter: Elmeleegy et al., "Online
piece-wise linear approximation of numerical streams with precision guarantees", VLDB 2009, on the means of bins).
Over a bin a line's mean is its value at the bin's middle, so a line through (start, rate) keeps a bin within its
tolerance for an interval of slopes; it goes on while the intervals have slopes in common. Where none is left, the
next line begins where this one ends, or, where the rate jumps, at a rate of its own.
"""

from collections.abc import Sequence
from math import inf

Knot = tuple[float, float]
"""(seconds, requests per second)."""


def exact_knots(counts: Sequence[float], bin_s: float = 1.0) -> list[Knot]:
    """Knots that replay each bin at the rate counted in it: steps, of which equal neighbours are one."""
    knots: list[Knot] = []
    for number, count in enumerate(counts):
        rate, end_s = count / bin_s, (number + 1) * bin_s
        if knots and knots[-1][1] == rate:
            knots[-1] = (end_s, rate)
        else:
            knots += [(number * bin_s, rate), (end_s, rate)]
    return knots


def fitted_knots(counts: Sequence[float], bin_s: float, tolerance: float) -> list[Knot]:
    """Knots whose mean over each bin of `bin_s` seconds is within `tolerance` (a share) of the bin's count."""
    rates = [count / bin_s for count in counts]
    knots: list[Knot] = []
    at = 0
    while at < len(rates):
        joined = _line(rates, at, knots[-1][1], tolerance) if knots else (at, 0.0)
        if joined[0] > at:
            end, slope = joined
            start_rate = knots[-1][1]
        else:
            start_rate = max(_starts(rates, at), key=lambda rate: _line(rates, at, rate, tolerance)[0])
            end, slope = _line(rates, at, start_rate, tolerance)
            if not knots or knots[-1][1] != start_rate:
                knots.append((at * bin_s, start_rate))
        knots.append((end * bin_s, max(start_rate + slope * (end - at), 0.0)))
        at = end
    return knots


def _starts(rates: Sequence[float], at: int) -> list[float]:
    """Where a line may begin that need not go on from another: level, or as steep as the first two bins are."""
    level = rates[at]
    rise = rates[at + 1] - level if at + 1 < len(rates) else 0.0
    return [level, max(level - rise / 2, 0.0)]


def _line(rates: Sequence[float], at: int, start_rate: float, tolerance: float) -> tuple[int, float]:
    """The bin before which a line from the edge `at` has to end, and its slope a bin; (`at`, 0) if there is none."""
    low, high, end = -inf, inf, at
    for number in range(at, len(rates)):
        middle = number + 0.5 - at
        wanted = rates[number]
        lowest = max(low, (wanted * (1 - tolerance) - start_rate) / middle)
        # Nothing is below no traffic: the line's end, half a bin further on, is at least 0.
        highest = min(high, (wanted * (1 + tolerance) - start_rate) / middle)
        lowest_end = -start_rate / (middle + 0.5)
        if max(lowest, lowest_end) > highest:
            break
        low, high, end = lowest, highest, number + 1
    if end == at:
        return at, 0.0
    low = max(low, -start_rate / (end - at))
    return end, (low + high) / 2 if low > 0 or high < 0 else 0.0
