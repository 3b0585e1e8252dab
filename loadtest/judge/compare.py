"""Compares a run with one or several baselines and tells change from noise.

All runs play the same plan, so the same period of time in two of them is due to show the same: it is the
differences, period by period, that are looked at, which takes the profile's ups and downs out. Differences are
taken by the sample (a second, in a short run), those far out are pulled in (`joint_bootstrap.winsorised`): the
typical second decides, and a stall or two do not. Samples are averaged into `BATCHES` equal periods, so that
neighbouring seconds, which wander together, count once (the method of batch means: B. Schmeiser, Operations
Research 30, 1982, which also says why ten to thirty are enough). `joint_bootstrap` then gives every metric an
interval; the confidence holds for all of them together.

Latencies and throughput are compared as ratios, in logarithms, error rates as differences of means, since the
typical second has no error at all.

What one pair of runs cannot show is how much the machine differs from run to run. Several baselines do: the
variance between them that their own noise does not explain widens the intervals. With a single one compare on a
quiet machine.

A run of which most requests failed has no times to compare: its fast answers are refusals. Such a HEAD can be worse,
and is never the same or better; with such a baseline nothing is the same. Then, and where runs are too short, the
finding is UNKNOWN, with the reason.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import fmean, median

from loadtest.judge.joint_bootstrap import Interval, joint_intervals, run_to_run_variance, winsorised
from loadtest.measure.run_result import RunResult, TimelinePoint
from loadtest.records import transaction_noun

BATCHES = 20
LEAST_BATCHES = 8
SAMPLES_A_BATCH = 60
"""At most: a sample of a two-hour soak is six seconds long."""
CONFIDENCE = 0.975
"""That no metric at all raises a false alarm, if periods were independent. They are not quite; what comes of it
in simulations, tests/judge/test_compare.py says."""
RESAMPLES = 4000
LEAST_RATIO = 0.02
"""A shift of less than 2 % is not worth a verdict, however certain."""
MOSTLY_FAILED = 0.5
"""The share of failed requests from which on a run has no times to compare."""
LEAST_SHARE = 0.0005
"""Nor is one of the error rate by less than 0.05 percentage points."""
MOST_LOG_RATIO = math.log(1e9)
"""An interval that reaches further, in logarithms, says nothing: too few seconds have answers in both runs."""


class CompareError(ValueError):
    """Runs that cannot be compared, and why."""


class Finding(Enum):
    """What became of a metric from BASE to HEAD."""

    WORSE = "worse"
    BETTER = "better"
    SAME = "noise"
    UNKNOWN = "too little data"


class Unit(Enum):
    """What a metric's values count."""

    MS = "milliseconds"
    TPS = "transactions a second"
    SHARE = "share of requests"


@dataclass(frozen=True, slots=True)
class Metric:
    """Something that is compared: its value in one second, and how differences are taken."""

    name: str
    """`{noun}` stands for what the runs' transactions are."""
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
    """The typical second's value, over all baselines."""
    head: float
    """The same, moved by `shift`."""
    shift: float
    low: float
    high: float
    unit: Unit
    finding: Finding
    unbounded: bool = False
    """Whether it has data in both runs, but so little that its interval has no useful end."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every metric's shift from the baselines to a run."""

    base_ids: Sequence[str]
    head_id: str
    shifts: Sequence[Shift]
    notes: Sequence[str]
    """What differs between the runs' settings: reasons why a shift may not be the code's doing."""
    base_failed: str = ""
    """Says so where most requests of a baseline failed."""
    head_failed: str = ""
    """The same of HEAD."""
    too_little: str = ""
    """How much data there is, where it is too little for any metric."""

    @property
    def finding(self) -> Finding:
        """WORSE if any metric got worse, else BETTER if any got better, else SAME; UNKNOWN with a `reason`."""
        found = {shift.finding for shift in self.shifts}
        order = (Finding.WORSE, Finding.BETTER, Finding.SAME)
        first = next((finding for finding in order if finding in found), Finding.UNKNOWN)
        doubtful = {Finding.BETTER, Finding.SAME} if self.head_failed else set()
        unbounded = any(shift.unbounded for shift in self.shifts)
        doubtful |= {Finding.SAME} if self.base_failed or unbounded else set()
        return Finding.UNKNOWN if first in doubtful else first

    @property
    def reason(self) -> str:
        """Why the runs cannot be compared; empty if they can."""
        if self.finding is not Finding.UNKNOWN:
            return ""
        return self.head_failed or self.base_failed or self.too_little


def _quantile(name: str) -> Callable[[TimelinePoint], float | None]:
    return lambda point: float(getattr(point.response_ms, name)) if point.response_ms.count else None


METRICS = (
    Metric("response p50", _quantile("p50"), Unit.MS),
    Metric("response p90", _quantile("p90"), Unit.MS),
    Metric("response p99", _quantile("p99"), Unit.MS),
    Metric("response p99.9", _quantile("p99_9"), Unit.MS),
    Metric("completed {noun}s/s", lambda p: p.completed_tps or None, Unit.TPS, higher_is_worse=False),
    Metric("error rate", lambda p: p.failures / p.requests if p.requests else None, Unit.SHARE),
)


def compare(
    bases: RunResult | Sequence[RunResult], head: RunResult, *, resamples: int = RESAMPLES
) -> Comparison:
    """Compare HEAD with one baseline or the pool of several. The same records give the same answer.

    Raises `CompareError` when one of them is INVALID: it says nothing about its target.
    """
    bases = [bases] if isinstance(bases, RunResult) else bases
    if not bases:
        raise CompareError("expected at least one run as BASE")
    for name, run in (*(("BASE", base) for base in bases), ("HEAD", head)):
        if run.validity.verdict == "INVALID":
            raise CompareError(f"{name} ({run.run.id}) is INVALID: {' '.join(run.validity.reasons)}")
    ids = [base.run.id for base in bases]
    rng = random.Random(" ".join([*ids, head.run.id]))  # noqa: S311  # a bootstrap, not a secret
    notes = list(dict.fromkeys(note for base in bases for note in _differences(base, head)))
    return Comparison(
        ids,
        head.run.id,
        _shifts(bases, head, resamples, rng),
        notes,
        base_failed=next(filter(None, (_mostly_failed("BASE", base) for base in bases)), ""),
        head_failed=_mostly_failed("HEAD", head),
        too_little=_how_little(bases, head),
    )


def _mostly_failed(name: str, run: RunResult) -> str:
    requests = sum(point.requests for point in run.timeline)
    failures = sum(point.failures for point in run.timeline)
    if not requests or failures < MOSTLY_FAILED * requests:
        return ""
    whose = f"of the requests of {name} ({run.run.id})"
    return f"{failures / requests:.0%} {whose} failed, so there are no times to compare"


def _how_little(bases: Sequence[RunResult], head: RunResult) -> str:
    known = min(sum(point.response_ms.count > 0 for point in base.timeline) for base in bases)
    ours = sum(point.response_ms.count > 0 for point in head.timeline)
    return (
        f"BASE has {known} seconds with answers and HEAD {ours}; at least {LEAST_BATCHES} of the same seconds are "
        "needed in both, and a minute or more for a sharp answer"
    )


def _shifts(bases: Sequence[RunResult], head: RunResult, resamples: int, rng: random.Random) -> list[Shift]:
    columns = [[_batched_differences(metric, base, head) for base in bases] for metric in METRICS]
    means = [[_mean_of(row) for row in zip(*runs, strict=True)] for runs in columns]
    known = [place for place, row in enumerate(means) if sum(v is not None for v in row) >= LEAST_BATCHES]
    # A new run differs from the mean of k as one run does from another, once more by a k-th.
    unseen = [run_to_run_variance(columns[place]) * (1 + 1 / len(bases)) for place in known]
    intervals = joint_intervals([means[place] for place in known], CONFIDENCE, resamples, rng, unseen)
    found = dict(zip(known, intervals, strict=True))
    noun = transaction_noun(head.endpoints)
    return [_shift(metric, noun, bases, found.get(place)) for place, metric in enumerate(METRICS)]


def _batched_differences(metric: Metric, base: RunResult, head: RunResult) -> list[float | None]:
    """HEAD less BASE in each of the `BATCHES` periods; None where one of them has no data."""
    each = max(1, min(SAMPLES_A_BATCH, min(len(base.timeline), len(head.timeline)) // BATCHES))
    pairs = zip(_samples(metric, base, each * BATCHES), _samples(metric, head, each * BATCHES), strict=True)
    differences = {place: h - b for place, (b, h) in enumerate(pairs) if b is not None and h is not None}
    if metric.is_ratio and differences:
        differences = dict(zip(differences, winsorised(list(differences.values())), strict=True))
    return [
        _mean_of([differences.get(place) for place in range(batch * each, (batch + 1) * each)])
        for batch in range(BATCHES)
    ]


def _samples(metric: Metric, run: RunResult, samples: int) -> list[float | None]:
    """What represents each sample of a run, in logarithms where ratios are compared; None where it has no data."""
    values: list[list[float]] = [[] for _ in range(samples)]
    for point in run.timeline:
        value = metric.read(point)
        place = int(point.t_s / run.run.duration_s * samples) if run.run.duration_s else samples
        if value is not None and 0 <= place < samples and not (metric.is_ratio and value <= 0):
            values[place].append(math.log(value) if metric.is_ratio else value)
    middle = median if metric.is_ratio else fmean
    return [middle(found) if found else None for found in values]


def _mean_of(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _shift(metric: Metric, noun: str, bases: Sequence[RunResult], interval: Interval | None) -> Shift:
    name = metric.name.format(noun=noun)
    if interval is None:
        return Shift(name, 0, 0, 0, 0, 0, metric.unit, Finding.UNKNOWN)
    if metric.is_ratio and max(map(abs, interval)) > MOST_LOG_RATIO:
        return Shift(name, 0, 0, 0, 0, 0, metric.unit, Finding.UNKNOWN, unbounded=True)
    level = fmean(value for base in bases for value in _samples(metric, base, BATCHES) if value is not None)
    outwards, back = (math.expm1, math.exp) if metric.is_ratio else (float, float)
    shift, low, high = (outwards(value) for value in interval)
    typical = back(level), back(level + interval.mean)
    return Shift(name, *typical, shift, low, high, metric.unit, _finding(metric, shift, low, high))


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
