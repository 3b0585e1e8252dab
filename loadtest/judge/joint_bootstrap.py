"""Confidence intervals for several means at once, by the studentised bootstrap.

Each sample is a metric, each of its values a period of time. A resample draws *periods* and takes them from
every metric, so metrics that wander together are resampled together; the cut-off is the quantile of the largest
score among them (max-T: P. Westfall and S. Young, Resampling-Based Multiple Testing, 1993, section 2.3). All
intervals together then hold with the confidence asked for, without what Bonferroni's rule pays for metrics that
say nearly the same. Scores are studentised (P. Hall, Ann. Statist. 16, 1988), since the plain percentile
bootstrap is too sure of itself with so few values.
"""

import math
import random
from collections.abc import Sequence
from operator import mul
from statistics import fmean, median, stdev
from typing import NamedTuple

WINSOR_REACH = 2.5
"""Robust standard deviations from the median beyond which a value is pulled in."""
NORMAL_MAD = 1.4826
"""The standard deviation of a normal distribution over its median absolute deviation."""

Values = Sequence[float | None]
"""One metric by period; None where a period has no data."""


class Interval(NamedTuple):
    """A mean and the range that holds the true one."""

    mean: float
    low: float
    high: float


def winsorised(values: Sequence[float]) -> list[float]:
    """The values, with those far from the median pulled in to it: a stall counts, but as one bad value.

    Their mean is nearly as sharp as that of clean data (a median throws away a third of it) and as steady as a
    median against a few outliers (J. Tukey and D. McLaughlin, Sankhya A 25, 1963).
    """
    middle = median(values)
    reach = WINSOR_REACH * NORMAL_MAD * median(abs(value - middle) for value in values)
    return [min(max(value, middle - reach), middle + reach) for value in values] if reach else list(values)


def run_to_run_variance(columns: Sequence[Values]) -> float:
    """How much the mean of a column varies beyond what its own values' noise explains; 0 for a single column.

    A column is one run, a row a period that all have. This is the method of moments of the two-way layout with
    random columns (H. Scheffe, The Analysis of Variance, 1959, section 7.4), held at 0 from below.
    """
    rows = [row for row in zip(*columns, strict=True) if None not in row]
    runs, size = len(columns), len(rows)
    if runs < 2 or size < 2:
        return 0.0
    table = [[value for value in row if value is not None] for row in rows]
    means = [fmean(column) for column in zip(*table, strict=True)]
    grand = fmean(means)
    residuals = (
        (value - fmean(row) - mean + grand) for row in table for value, mean in zip(row, means, strict=True)
    )
    noise = math.fsum(residual * residual for residual in residuals) / ((size - 1) * (runs - 1))
    return max(0.0, stdev(means) ** 2 - noise / size)


def joint_intervals(
    samples: Sequence[Values],
    confidence: float,
    resamples: int,
    rng: random.Random,
    extra_variance: Sequence[float] | None = None,
) -> list[Interval]:
    """Each sample's mean with an interval, such that all hold together with `confidence`.

    Samples are equally long; each has at least two values that are not None. `extra_variance` is added to the
    variance of each mean: what the values themselves do not show.
    """
    extra = extra_variance or [0.0] * len(samples)
    known = [[value for value in sample if value is not None] for sample in samples]
    means = [fmean(values) for values in known]
    errors = [
        math.sqrt(stdev(values) ** 2 / len(values) + more) for values, more in zip(known, extra, strict=True)
    ]
    cut = _cut_off(samples, means, confidence, resamples, rng) if samples else 0.0
    return [
        Interval(mean, mean - cut * error, mean + cut * error)
        for mean, error in zip(means, errors, strict=True)
    ]


def _cut_off(
    samples: Sequence[Values], means: list[float], confidence: float, resamples: int, rng: random.Random
) -> float:
    """The score that the largest of all metrics stays below with `confidence`."""
    centred = [
        [None if value is None else value - mean for value in sample]
        for sample, mean in zip(samples, means, strict=True)
    ]
    periods = list(zip(*centred, strict=True))
    largest = sorted(
        max(abs(_score(column)) for column in zip(*rng.choices(periods, k=len(periods)), strict=True))
        for _ in range(resamples)
    )
    return largest[min(resamples - 1, math.ceil(confidence * resamples) - 1)]


def _score(drawn: Values) -> float:
    """How many of its own standard errors the mean of a resample lies from 0; 0 for one without spread."""
    sample = [value for value in drawn if value is not None]
    size = len(sample)
    if size < 2:
        return 0.0
    total = math.fsum(sample)
    variance = (math.fsum(map(mul, sample, sample)) - total * total / size) / (size - 1)
    return total / size / math.sqrt(variance / size) if variance > 1e-24 else 0.0
