"""The popularity of keys: Zipf's exponent by maximum likelihood.

Of keys in the order of their counts, the k-th is wanted in proportion to k ** -theta. The likelihood of counts c_k of
the first n ranks is -theta * sum(c_k ln k) - C ln(sum(k ** -theta)); its derivative falls in theta, so its zero is
found by Newton's steps, and by halving where one would leave the interval that holds it. The curvature there, C times
the variance of ln k, gives the standard error (Clauset, Shalizi and Newman, "Power-law distributions in empirical
data", SIAM Review 2009, who treat the same likelihood).

Only ranks with enough counts are fitted: among keys seen once or twice, the order is chance, and sorting by it makes
the tail look steeper than it is.
"""

from collections.abc import Sequence
from math import exp, log, sqrt
from typing import NamedTuple

ENOUGH = 20
"""Counts from which a key's rank is mostly its own: the order is then off by some 20 % of the rank."""
MOST_RANKS = 20_000
_FEWEST_RANKS = 10
_HIGHEST = 5.0
_MOST_TRIES = 40
_NEAR = 1e-9


class Skew(NamedTuple):
    """Zipf's exponent and its standard error."""

    theta: float
    error: float


def fit_zipf(counts: Sequence[int]) -> Skew | None:
    """The skew of keys by their counts, which descend; None where there are too few to tell."""
    head = [count for count in counts[:MOST_RANKS] if count >= ENOUGH]
    if len(head) < _FEWEST_RANKS:
        head = list(counts[:MOST_RANKS]) if sum(counts) >= ENOUGH * _FEWEST_RANKS else []
    if len(head) < _FEWEST_RANKS:
        return None
    logs = [log(rank) for rank in range(1, len(head) + 1)]
    total = sum(head)
    observed = sum(map(float.__mul__, logs, map(float, head))) / total
    low, theta, high = 0.0, 1.0, _HIGHEST
    for _ in range(_MOST_TRIES):
        mean, variance = _moments(logs, theta)
        low, high = (theta, high) if mean > observed else (low, theta)
        nearer = theta + (mean - observed) / variance
        before, theta = theta, nearer if low < nearer < high else (low + high) / 2
        if abs(theta - before) < _NEAR:
            break
    return Skew(theta, 1 / sqrt(total * variance))


def _moments(logs: Sequence[float], theta: float) -> tuple[float, float]:
    """Mean and variance of ln k where k has Zipf's exponent `theta`."""
    weights = [exp(-theta * each) for each in logs]
    whole = sum(weights)
    mean = sum(map(float.__mul__, weights, logs)) / whole
    square = sum(weight * each * each for weight, each in zip(weights, logs, strict=True)) / whole
    return mean, max(square - mean * mean, 1e-12)
