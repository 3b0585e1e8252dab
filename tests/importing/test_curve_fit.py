"""The fitted curve: every bin within its tolerance, whatever was counted."""

from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from loadtest.importing.curve_fit import Knot, exact_knots, fitted_knots
from loadtest.plan.curve import CURVES
from loadtest.plan.profile import knots

TOLERANCE = 0.03
a_count = st.integers(0, 100_000)
counted = st.lists(a_count, min_size=1, max_size=60) | st.lists(
    st.integers(0, 3) | st.just(0), min_size=1, max_size=60
)


def counts_of(fitted: list[Knot], bins: int, bin_s: float) -> list[float]:
    profile = knots(fitted)
    edges = [profile.cumulative(number * bin_s) for number in range(bins + 1)]
    return [later - earlier for earlier, later in pairwise(edges)]


@given(counted, st.sampled_from([1.0, 5.0]))
def test_every_bin_of_a_fitted_curve_is_within_its_tolerance(counts: list[int], bin_s: float) -> None:
    played = counts_of(fitted_knots(counts, bin_s, TOLERANCE), len(counts), bin_s)
    for count, found in zip(counts, played, strict=True):
        assert abs(found - count) <= TOLERANCE * count + 1e-6


@given(counted)
def test_an_exact_curve_plays_what_was_counted(counts: list[int]) -> None:
    played = counts_of(exact_knots(counts), len(counts), 1.0)
    assert all(abs(found - count) < 1e-6 for count, found in zip(counts, played, strict=True))


@given(st.integers(250, 10_000), st.integers(0, 500), st.integers(3, 200))
def test_a_straight_climb_takes_two_knots(start: int, step: int, bins: int) -> None:
    assert len(fitted_knots([start + number * step for number in range(bins)], 5.0, TOLERANCE)) <= 3


def test_the_curve_of_singles_day_takes_a_few_knots() -> None:
    profile = CURVES["singles-day"]().scale(50_000).cut(600)
    edges = [profile.cumulative(5.0 * number) for number in range(121)]
    counts = [round(b - a) for a, b in pairwise(edges)]
    assert len(fitted_knots(counts, 5.0, TOLERANCE)) < 25


@given(st.integers(0, 1000), st.sampled_from([30, 300, 3000]), st.integers(3, 300))
def test_counts_that_differ_by_chance_do_not_make_the_curve_swing(seed: int, mean: int, bins: int) -> None:
    random = Random(seed)
    counts = [max(round(random.gauss(mean, mean**0.5)), 0) for _ in range(bins)]
    played = [rate * 5 for _, rate in fitted_knots(counts, 5.0, TOLERANCE)]
    half_a_step = (
        max(abs(later - earlier) for earlier, later in pairwise(counts)) / 2
    )  # a climb may begin so far below
    assert max(played) <= max(counts) * (1 + TOLERANCE) + half_a_step + 1e-6
    assert min(played) >= min(counts) * (1 - TOLERANCE) - half_a_step - 1e-6


def test_a_gap_between_two_climbs_does_not_make_the_curve_swing() -> None:
    counts = [0 if 40 <= number < 60 else 1000 + 10 * number for number in range(120)]
    fitted = fitted_knots(counts, 15.0, TOLERANCE)
    assert len(fitted) < 12
    assert max(rate for _, rate in fitted) * 15 <= max(counts) * 1.05
