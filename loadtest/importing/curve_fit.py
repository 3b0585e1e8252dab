"""A rate curve for counted requests: few knots, and every bin within a tolerance of what was counted in it.

The counts of bins become straight lines, each as long as it can be (a swing filter: Elmeleegy et al., "Online
piece-wise linear approximation of numerical streams with precision guarantees", VLDB 2009, on the means of bins).
Over a bin a line's mean is its value at the bin's middle, so a line through (start, rate) keeps a bin within its
tolerance for an interval of slopes; it goes on while the intervals have slopes in common. Where none is left, the
next line begins where this one ends, or, where the rate jumps, at a rate of its own. No line ends higher or lower
than the bins beside its end say, so the curve's peak is the log's.
"""

from collections.abc import Sequence
from math import inf

Knot = tuple[float, float]
"""(seconds, requests per second)."""
_OWN_DIRECTION_BINS = 3
"""Over fewer, what looks like a climb may be chance."""


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
        joined = _line(rates, at, knots[-1][1], tolerance, joined=True) if knots else (at, 0.0)
        if joined[0] > at:
            end, slope = joined
            start_rate = knots[-1][1]
        else:
            lines = {rate: _line(rates, at, rate, tolerance, joined=False) for rate in _starts(rates, at)}
            start_rate = max(lines, key=lambda rate: lines[rate][0])
            end, slope = lines[start_rate]
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


def _line(
    rates: Sequence[float], at: int, start_rate: float, tolerance: float, *, joined: bool
) -> tuple[int, float]:
    """The bin before which a line from the edge `at` has to end, and its slope a bin; (`at`, 0) if there is none."""
    low, high = -inf, inf
    end, slope = at, 0.0
    likely_start = joined or abs(start_rate - rates[at]) <= tolerance * rates[at]
    for number in range(at, len(rates)):
        middle = number + 0.5 - at
        wanted = rates[number]
        low = max(low, (wanted * (1 - tolerance) - start_rate) / middle)
        high = min(high, (wanted * (1 + tolerance) - start_rate) / middle)
        if low > high:
            break
        bins = number + 1 - at
        lowest, highest = _end_rates(rates, at, number + 1, tolerance)
        flattest = max(low, (lowest - start_rate) / bins), min(high, (highest - start_rate) / bins)
        if flattest[0] <= flattest[1] and (likely_start or bins >= _OWN_DIRECTION_BINS):
            end = number + 1
            slope = 0.0 if flattest[0] <= 0 <= flattest[1] else sum(flattest) / 2
    return end, slope


def _end_rates(rates: Sequence[float], at: int, end: int, tolerance: float) -> tuple[float, float]:
    """The lowest and the highest rate at which a line over bins `at` to `end` may end.

    Between those of the bins on both sides; else lines that each correct the one before swing ever wider around
    counts that differ by chance. A line over three bins or more has a direction of its own, and may go on in it.
    """
    sides = rates[end - 1 : end + 1]
    onward = abs(rates[end - 1] - rates[end - 2]) / 2 if end - at >= _OWN_DIRECTION_BINS else 0.0
    return max(min(sides) * (1 - tolerance) - onward, 0.0), max(sides) * (1 + tolerance) + onward
