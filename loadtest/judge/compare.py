"""Compares two runs and tells change from noise.

Each run is cut into `BATCHES` equal stretches (the method of batch means: B. Schmeiser, Operations Research
30, 1982, which also says why ten to thirty are enough). Both runs play the same plan, so stretch i of one is
set against stretch i of the other, which takes the profile's ups and downs out. The mean of these differences
is bootstrapped, in its studentised form (P. Hall, Ann. Statist. 16, 1988), since the plain percentile
bootstrap is too sure of itself with so few values. The confidence is shared out among the metrics
(Bonferroni), so that it holds for the comparison as a whole.

Latencies and throughput are compared as ratios, in logarithms, and a stretch is represented by its median
second: the typical second decides, and a stall or two do not. Error rates are compared as differences of
means, since the typical second has no error at all.

What one pair of runs cannot show is how much the machine differs from run to run: compare on a quiet one.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import fmean, median, stdev

from loadtest.measure.run_result import RunResult, TimelinePoint

BATCHES = 20
LEAST_BATCHES = 8
CONFIDENCE = 0.98
"""That no metric at all raises a false alarm, if stretches were independent. They are not quite: of 200
simulated pairs of two-minute runs whose latency wanders by 5 % (tests/judge/test_compare.py) 1.5 % raised one
and 0.5 % missed a p99 that was 10 % higher; with one-minute runs it was 5 % and 6.5 %."""
RESAMPLES = 4000
LEAST_RATIO = 0.02
"""A shift of less than 2 % is not worth a verdict, however certain."""
LEAST_SHARE = 0.0005
"""Nor is one of the error rate by less than 0.05 percentage points."""


Interval = tuple[float, float, float]
"""(mean, low, high)"""


class CompareError(ValueError):
    """Two runs that cannot be compared, and why."""


class Finding(Enum):
    """What became of a metric from BASE to HEAD."""

    WORSE = "worse"
    BETTER = "better"
    SAME = "noise"
    UNKNOWN = "too little data"


class Unit(Enum):
    """What a metric's values count."""

    MS = "milliseconds"
    TPS = "orders a second"
    SHARE = "share of requests"


@dataclass(frozen=True, slots=True)
class Metric:
    """Something that is compared: its value in one second, and how differences are taken."""

    name: str
    read: Callable[[TimelinePoint], float | None]
    unit: Unit
    higher_is_worse: bool = True

    @property
    def is_ratio(self) -> bool:
        """Whether a shift is a share of BASE rather than a difference from it."""
        return self.unit is not Unit.SHARE


@dataclass(frozen=True, slots=True)
class Shift:
    """How one metric moved: by a share of BASE (0.1 = 10 % more), the error rate by a difference."""

    metric: str
    base: float
    """The typical second's value."""
    head: float
    shift: float
    low: float
    high: float
    unit: Unit
    finding: Finding


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every metric's shift between two runs."""

    base_id: str
    head_id: str
    shifts: Sequence[Shift]
    notes: Sequence[str]
    """What differs between the two runs' settings: reasons why a shift may not be the code's doing."""

    @property
    def finding(self) -> Finding:
        """WORSE if any metric got worse, else BETTER if any got better, else SAME; UNKNOWN without data."""
        found = {shift.finding for shift in self.shifts}
        order = (Finding.WORSE, Finding.BETTER, Finding.SAME)
        return next((finding for finding in order if finding in found), Finding.UNKNOWN)


def _quantile(name: str) -> Callable[[TimelinePoint], float | None]:
    return lambda point: float(getattr(point.response_ms, name)) if point.response_ms.count else None


METRICS = (
    Metric("response p50", _quantile("p50"), Unit.MS),
    Metric("response p90", _quantile("p90"), Unit.MS),
    Metric("response p99", _quantile("p99"), Unit.MS),
    Metric("response p99.9", _quantile("p99_9"), Unit.MS),
    Metric("completed orders/s", lambda p: p.completed_tps or None, Unit.TPS, higher_is_worse=False),
    Metric("error rate", lambda p: p.failures / p.requests if p.requests else None, Unit.SHARE),
)


def compare(base: RunResult, head: RunResult, *, resamples: int = RESAMPLES) -> Comparison:
    """Compare HEAD with BASE. The same two records give the same answer.

    Raises `CompareError` when one of them is INVALID: it says nothing about its target.
    """
    for name, run in (("BASE", base), ("HEAD", head)):
        if run.validity.verdict == "INVALID":
            raise CompareError(f"{name} ({run.run.id}) is INVALID: {' '.join(run.validity.reasons)}")
    confidence = 1 - (1 - CONFIDENCE) / len(METRICS)
    rng = random.Random(f"{base.run.id} {head.run.id}")  # noqa: S311  # a bootstrap, not a secret

    def interval(values: Sequence[float]) -> Interval:
        return bootstrap_mean(values, confidence, resamples, rng)

    shifts = [_shift(metric, base, head, interval) for metric in METRICS]
    return Comparison(base.run.id, head.run.id, shifts, _differences(base, head))


def bootstrap_mean(
    values: Sequence[float], confidence: float, resamples: int, rng: random.Random
) -> Interval:
    """The mean and its confidence interval by the studentised bootstrap, of at least two values."""
    mean, error = fmean(values), stdev(values) / math.sqrt(len(values))
    if not error:
        return mean, mean, mean
    scores = sorted(_score(rng.choices(values, k=len(values)), mean) for _ in range(resamples))
    tail = int((1 - confidence) / 2 * resamples)
    return mean, mean - scores[-1 - tail] * error, mean - scores[tail] * error


def _score(sample: list[float], mean: float) -> float:
    """How many of its own standard errors a resample's mean lies from the mean; 0 for one without spread."""
    size = len(sample)
    total = math.fsum(sample)
    variance = (math.fsum(value * value for value in sample) - total * total / size) / (size - 1)
    return (total / size - mean) / math.sqrt(variance / size) if variance > 1e-24 else 0.0


def _shift(
    metric: Metric, base: RunResult, head: RunResult, interval: Callable[[Sequence[float]], Interval]
) -> Shift:
    pairs = [
        (b, h)
        for b, h in zip(_batches(metric, base), _batches(metric, head), strict=True)
        if b is not None and h is not None
    ]
    if len(pairs) < LEAST_BATCHES:
        return Shift(metric.name, 0, 0, 0, 0, 0, metric.unit, Finding.UNKNOWN)
    outwards = math.expm1 if metric.is_ratio else float
    shift, low, high = (outwards(value) for value in interval([h - b for b, h in pairs]))
    levels = (fmean(side) for side in zip(*pairs, strict=True))
    typical_base, typical_head = (math.exp(level) if metric.is_ratio else level for level in levels)
    finding = _finding(metric, shift, low, high)
    return Shift(metric.name, typical_base, typical_head, shift, low, high, metric.unit, finding)


def _batches(metric: Metric, run: RunResult) -> list[float | None]:
    """What represents each stretch, in logarithms where ratios are compared; None where it has no data."""
    values: list[list[float]] = [[] for _ in range(BATCHES)]
    for point in run.timeline:
        value = metric.read(point)
        place = int(point.t_s / run.run.duration_s * BATCHES) if run.run.duration_s else BATCHES
        if value is not None and 0 <= place < BATCHES and not (metric.is_ratio and value <= 0):
            values[place].append(math.log(value) if metric.is_ratio else value)
    middle = median if metric.is_ratio else fmean
    return [middle(found) if found else None for found in values]


def _finding(metric: Metric, shift: float, low: float, high: float) -> Finding:
    least = LEAST_RATIO if metric.is_ratio else LEAST_SHARE
    if low <= 0 <= high or abs(shift) < least:
        return Finding.SAME
    return Finding.WORSE if (shift > 0) == metric.higher_is_worse else Finding.BETTER


def _differences(base: RunResult, head: RunResult) -> list[str]:
    sides = [
        {
            "plan": run.run.plan,
            "duration": f"{round(run.run.duration_s)} s",
            "workers": run.generator.workers,
            **run.run.settings,
            **{f"machine {key}": value for key, value in run.run.machine.items()},
            **{f"version of {key}": value for key, value in run.run.versions.items()},
        }
        for run in (base, head)
    ]
    keys = dict.fromkeys([*sides[0], *sides[1]])
    return [
        f"{key}: {sides[0].get(key, 'none')} in BASE, {sides[1].get(key, 'none')} in HEAD"
        for key in keys
        if sides[0].get(key) != sides[1].get(key)
    ]
