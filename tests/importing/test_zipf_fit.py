"""Zipf's exponent found again in keys drawn with it."""

from collections import Counter
from random import Random

import pytest

from loadtest.importing.zipf_fit import fit_zipf
from loadtest.zipf import ZipfSampler


@pytest.mark.parametrize("theta", [0.5, 0.7, 0.9, 1.1, 1.22, 1.5])
@pytest.mark.parametrize(("keys", "drawn"), [(1_000, 50_000), (100_000, 200_000)])
def test_the_exponent_of_a_generated_sample_is_found(theta: float, keys: int, drawn: int) -> None:
    """Where the skew is slight, the head of so few draws from so many keys is short; the error says so."""
    weights = [rank**-theta for rank in range(1, keys + 1)]
    sample = Random(7).choices(range(keys), weights, k=drawn)
    skew = fit_zipf(sorted(Counter(sample).values(), reverse=True))
    assert skew is not None
    assert abs(skew.theta - theta) < max(0.05, 3 * skew.error)
    assert skew.error < 0.05 or theta == 0.5


@pytest.mark.parametrize("theta", [0.9, 1.22])
def test_the_exponent_of_our_own_sampler_is_found(theta: float) -> None:
    sampler = ZipfSampler(100_000, theta, Random(7))
    skew = fit_zipf(sorted(Counter(sampler.draw() for _ in range(100_000)).values(), reverse=True))
    assert skew is not None
    assert abs(skew.theta - theta) < 0.05


def test_equal_keys_have_no_skew() -> None:
    skew = fit_zipf([100] * 500)
    assert skew is not None
    assert abs(skew.theta) < 0.001


@pytest.mark.parametrize("counts", [[], [1000], [1] * 50, [10, 9, 8]])
def test_too_little_says_nothing(counts: list[int]) -> None:
    assert fit_zipf(counts) is None
