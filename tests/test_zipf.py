"""Zipf's law: items come as often as it says, within range, and the same for the same seed."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.zipf import ZipfSampler


@pytest.mark.parametrize("theta", [0.8, 1.22])
def test_frequencies_follow_the_power_law(theta: float) -> None:
    """Against the law itself, k**-theta over its exact sum; 200,000 draws have 0.5 % of noise at rank 1."""
    n, draws = 1_000, 200_000
    sampler = ZipfSampler(n, theta, Random(1))
    counted = Counter(sampler.draw() for _ in range(draws))
    total = sum(k**-theta for k in range(1, n + 1))
    for rank in (1, 2, 5, 20):
        expected = draws * rank**-theta / total
        assert counted[rank] == pytest.approx(expected, rel=0.02 if rank == 1 else 0.10)
    top = sum(counted[k] for k in range(1, 101)) / draws
    assert top == pytest.approx(sum(k**-theta for k in range(1, 101)) / total, abs=0.02)


@given(n=st.integers(1, 1_000_000), theta=st.floats(0.1, 3.0).filter(lambda t: t != 1.0), seed=st.integers())
def test_every_draw_is_an_item(n: int, theta: float, seed: int) -> None:
    sampler = ZipfSampler(n, theta, Random(seed))
    assert all(1 <= sampler.draw() <= n for _ in range(20))


def test_equal_seeds_draw_equal_items() -> None:
    one, other = (ZipfSampler(1_000, 1.22, Random(7)) for _ in range(2))
    assert [one.draw() for _ in range(50)] == [other.draw() for _ in range(50)]


@pytest.mark.parametrize(("n", "theta"), [(0, 1.22), (10, 0.0), (10, 1.0), (10, -1.0)])
def test_what_has_no_distribution_is_refused(n: int, theta: float) -> None:
    with pytest.raises(ValueError, match="expected n >= 1 and theta > 0"):
        ZipfSampler(n, theta, Random(1))
