"""Finds what gets slowly worse in a soak: a leak, a latency that creeps, errors that pile up.

A trend is the Theil-Sen slope (the median of the slopes between all pairs of points), with Sen's confidence
interval from the variance of Kendall's S (P. K. Sen, J. Am. Stat. Assoc. 63, 1968). Medians make it
indifferent to a stall or two, which would tilt a least-squares line, and it needs no library.

Neighbouring seconds resemble each other, which would make any slope look certain; so the run is cut into
stretches whose medians are nearly independent, and the start, where caches fill, is left out. A trend counts
as drift when its whole interval lies on the bad side *and* it is big enough to matter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import sqrt
from statistics import NormalDist, median

from loadtest.measure.run_result import RunResult
from loadtest.measure.run_result import TimelinePoint as Point

CONFIDENCE = 0.999
"""Two-sided. With four metrics that is one false alarm in 500 soaks; 1,000 simulated ones raised 3
(`soak` in tests/judge/test_drift.py), and none of 200 with a leak of 1 % an hour went unnoticed."""
STRETCHES = 24
LEAST_STRETCHES = 12
"""With fewer points Sen's normal approximation is too coarse at this confidence."""
WARM_UP_SHARE = 0.1
LEAST_DURATION_S = 1800.0
"""Shorter runs are no soaks: their noise, extrapolated to an hour, looks like anything."""
LEAST_RELATIVE_PER_H = 0.003
"""A slope below 0.3 % of the level an hour is not worth waking anybody."""
LEAST_ERRORS_PER_H = 0.0001
"""Errors may start at zero, where a relative slope means nothing: 0.01 percentage points an hour."""

Series = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Trend:
    """How one metric moved over a run. Slopes are in the metric's unit per hour."""

    metric: str
    level: float
    """The median."""
    slope_per_h: float
    low_per_h: float
    high_per_h: float
    bad_is_up: bool
    drifting: bool

    @property
    def relative_per_h(self) -> float:
        """The slope as a share of the level; 0 where the level is 0."""
        return self.slope_per_h / self.level if self.level else 0.0


def find_drift(result: RunResult) -> list[Trend]:
    """The trend of p99, errors, throughput and every sampled gauge, where there is enough to tell."""
    duration_s = result.run.duration_s
    if duration_s < LEAST_DURATION_S:
        return []
    watched: list[tuple[str, Series, bool, float | None]] = [
        ("response_p99_ms", _p99(result.timeline), True, None),
        ("errors", _errors(result.timeline), True, LEAST_ERRORS_PER_H),
        ("completed_share", _completed(result.timeline), False, None),
        *((name, series, True, None) for name, series in sorted(result.gauges.items())),
    ]
    trends = (
        trend(name, series, duration_s, bad_is_up=up, least_per_h=least)
        for name, series, up, least in watched
    )
    return [found for found in trends if found is not None]


def trend(
    metric: str, series: Series, duration_s: float, *, bad_is_up: bool, least_per_h: float | None = None
) -> Trend | None:
    """The trend of (t_s, value) pairs over a run of `duration_s` seconds; None when there are too few.

    `least_per_h` is the smallest slope that counts, in the metric's unit; by default a share of the level.
    """
    points = _medians(series, duration_s)
    if len(points) < LEAST_STRETCHES:
        return None
    slope, low, high = theil_sen(points, CONFIDENCE)
    level = median(value for _, value in points)
    least = LEAST_RELATIVE_PER_H * abs(level) if least_per_h is None else least_per_h
    worsening = low > 0 if bad_is_up else high < 0
    drifting = worsening and abs(slope) >= least
    return Trend(metric, level, slope, low, high, bad_is_up, drifting)


def theil_sen(points: Series, confidence: float) -> tuple[float, float, float]:
    """(slope, low, high) of at least three points with distinct x, in y per x. See the module's docstring."""
    slopes = sorted((y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(points, 2))
    n = len(points)
    spread = NormalDist().inv_cdf((1 + confidence) / 2) * sqrt(n * (n - 1) * (2 * n + 5) / 18)
    below = int((len(slopes) - spread) / 2)
    low = slopes[max(below, 0)]
    high = slopes[min(len(slopes) - 1 - below, len(slopes) - 1)]
    return median(slopes), low, high


def _medians(series: Series, duration_s: float) -> list[tuple[float, float]]:
    """(hours, median) of equal stretches after the warm-up; stretches without a value are left out."""
    start_s = duration_s * WARM_UP_SHARE
    width_s = (duration_s - start_s) / STRETCHES
    values: list[list[float]] = [[] for _ in range(STRETCHES)]
    for t_s, value in series:
        if start_s <= t_s < duration_s:
            values[min(int((t_s - start_s) / width_s), STRETCHES - 1)].append(value)
    middles = [(start_s + (i + 0.5) * width_s) / 3600 for i in range(STRETCHES)]
    return [(hour, median(found)) for hour, found in zip(middles, values, strict=True) if found]


def _p99(timeline: Sequence[Point]) -> Series:
    return [(p.t_s, p.response_ms.p99) for p in timeline if p.response_ms.count]


def _errors(timeline: Sequence[Point]) -> Series:
    return [(p.t_s, p.failures / p.requests) for p in timeline if p.requests]


def _completed(timeline: Sequence[Point]) -> Series:
    """Completed orders as a share of the planned ones, which a changing profile does not tilt."""
    return [(p.t_s, p.completed_tps / p.planned_tps) for p in timeline if p.planned_tps]
