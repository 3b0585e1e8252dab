"""Finds what gets slowly worse in a soak: a leak, a latency that creeps, errors that pile up.

A trend is the Theil-Sen slope (the median of the slopes between all pairs of points), with Sen's confidence
interval from the variance of Kendall's S (P. K. Sen, J. Am. Stat. Assoc. 63, 1968). Medians make it
indifferent to a stall or two, which would tilt a least-squares line, and it needs no library.

Neighbouring seconds resemble each other, which would make any slope look certain; so the run is cut into
periods whose medians are nearly independent, and the start, where caches fill, is left out. A trend counts
as drift when its whole interval lies on the bad side *and* it is big enough to matter.

A run that was interrupted and resumed has parts, and between them the target may have been restarted, so its level
may have moved: a leak that began anew would look like none. Only pairs within a part are compared then, and the
variances of their S add up, as in the seasonal Kendall test (R. M. Hirsch, J. R. Slack & R. A. Smith, Water Resour.
Res. 18, 1982). Each part has a warm-up of its own.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import sqrt
from statistics import NormalDist, median

from loadtest.measure.run_result import RunResult
from loadtest.measure.run_result import TimelinePoint as Point

CONFIDENCE = 0.999
"""Two-sided. With four metrics that is one false alarm in 500 soaks; 1,000 simulated ones raised 3
(`soak` in tests/judge/test_drift.py), and none of 200 with a leak of 1 % an hour went unnoticed."""
PERIODS = 24
LEAST_PERIODS = 12
"""With fewer points Sen's normal approximation is too coarse at this confidence."""
LEAST_IN_A_PART = 3
"""Parts with fewer points have hardly a slope between them."""
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
    starts_s = [0.0, *result.run.resumed_s]
    watched: list[tuple[str, Series, bool, float | None]] = [
        ("response_p99_ms", _p99(result.timeline), True, None),
        ("errors", _errors(result.timeline), True, LEAST_ERRORS_PER_H),
        ("completed_share", _completed(result.timeline), False, None),
        *((name, series, True, None) for name, series in sorted(result.gauges.items())),
    ]
    trends = (
        trend(name, series, duration_s, bad_is_up=up, least_per_h=least, starts_s=starts_s)
        for name, series, up, least in watched
    )
    return [found for found in trends if found is not None]


def trend(
    metric: str,
    series: Series,
    duration_s: float,
    *,
    bad_is_up: bool,
    least_per_h: float | None = None,
    starts_s: Sequence[float] = (0.0,),
) -> Trend | None:
    """The trend of (t_s, value) pairs over a run of `duration_s` seconds; None when there are too few.

    `least_per_h` is the smallest slope that counts, in the metric's unit; by default a share of the level.
    `starts_s` are where the run's parts begin, ascending.
    """
    parts = _medians(series, duration_s, starts_s)
    points = [point for part in parts for point in part]
    if len(points) < LEAST_PERIODS or max(map(len, parts)) < LEAST_IN_A_PART:
        return None
    slope, low, high = theil_sen(parts, CONFIDENCE)
    level = median(value for _, value in points)
    least = LEAST_RELATIVE_PER_H * abs(level) if least_per_h is None else least_per_h
    worsening = low > 0 if bad_is_up else high < 0
    drifting = worsening and abs(slope) >= least
    return Trend(metric, level, slope, low, high, bad_is_up, drifting)


def theil_sen(parts: Sequence[Series], confidence: float) -> tuple[float, float, float]:
    """(slope, low, high) in y per x, from parts whose x are distinct; at least one has three points.

    Each part may have a level of its own. See the module's docstring.
    """
    slopes = sorted((y2 - y1) / (x2 - x1) for part in parts for (x1, y1), (x2, y2) in combinations(part, 2))
    variance = sum(n * (n - 1) * (2 * n + 5) / 18 for n in map(len, parts))
    spread = NormalDist().inv_cdf((1 + confidence) / 2) * sqrt(variance)
    below = int((len(slopes) - spread) / 2)
    low = slopes[max(below, 0)]
    high = slopes[min(len(slopes) - 1 - below, len(slopes) - 1)]
    return median(slopes), low, high


def _medians(series: Series, duration_s: float, starts_s: Sequence[float]) -> list[list[tuple[float, float]]]:
    """For each part, (hours, median) of equal periods after its warm-up; those without a value are left out."""
    warm_up_s = duration_s * WARM_UP_SHARE
    width_s = (duration_s - warm_up_s) / PERIODS
    parts = []
    for start_s, end_s in pairwise([*starts_s, duration_s]):
        from_s = start_s + warm_up_s
        values: defaultdict[int, list[float]] = defaultdict(list)
        for t_s, value in series:
            if from_s <= t_s < end_s:
                values[min(int((t_s - from_s) / width_s), PERIODS - 1)].append(value)
        parts.append([((from_s + (i + 0.5) * width_s) / 3600, median(values[i])) for i in sorted(values)])
    return parts


def _p99(timeline: Sequence[Point]) -> Series:
    return [(p.t_s, p.response_ms.p99) for p in timeline if p.response_ms.count]


def _errors(timeline: Sequence[Point]) -> Series:
    return [(p.t_s, p.failures / p.requests) for p in timeline if p.requests]


def _completed(timeline: Sequence[Point]) -> Series:
    """Completed orders as a share of the planned ones, which a changing profile does not tilt."""
    return [(p.t_s, p.completed_tps / p.planned_tps) for p in timeline if p.planned_tps]
