"""Intervals that hold together, and what they are made of."""

import math
import random
from statistics import fmean, stdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.judge.joint_bootstrap import joint_intervals, run_to_run_variance, winsorised


def test_the_interval_holds_the_true_mean_as_often_as_it_says() -> None:
    rng = random.Random(5)
    hits = 0
    for _ in range(300):
        values = [rng.lognormvariate(0, 0.5) for _ in range(20)]
        ((_, low, high),) = joint_intervals([values], 0.9, 400, rng)
        hits += low <= math.exp(0.125) <= high
    assert 0.85 <= hits / 300 <= 0.96


def test_several_intervals_hold_together_as_often_as_they_say() -> None:
    rng = random.Random(6)
    hits = 0
    for _ in range(200):
        common = [rng.gauss(0, 1) for _ in range(20)]
        samples = [[value + rng.gauss(0, spread) for value in common] for spread in (0.1, 0.5, 1, 2)]
        hits += all(low <= 0 <= high for _, low, high in joint_intervals(samples, 0.9, 300, rng))
    assert 0.85 <= hits / 200 <= 0.96


def test_metrics_that_say_the_same_cost_no_more_than_one() -> None:
    values = [random.Random(1).gauss(0, 1) for _ in range(20)]
    alone = joint_intervals([values], 0.95, 1000, random.Random(2))[0]
    repeated = joint_intervals([values] * 6, 0.95, 1000, random.Random(2))[0]
    assert repeated == alone


def test_a_period_without_data_is_left_out() -> None:
    whole, gaps = [float(n) for n in range(20)], [None, *(float(n) for n in range(1, 20))]
    intervals = joint_intervals([whole, gaps], 0.9, 200, random.Random(3))
    assert [interval.mean for interval in intervals] == [9.5, 10.0]


def test_no_samples_have_no_intervals() -> None:
    assert joint_intervals([], 0.9, 10, random.Random(1)) == []


@settings(max_examples=50)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30), st.integers())
def test_the_interval_encloses_the_mean(values: list[float], seed: int) -> None:
    ((mean, low, high),) = joint_intervals([values], 0.9, 100, random.Random(seed))
    assert mean == pytest.approx(fmean(values))
    assert low <= mean <= high


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40))
def test_winsorising_keeps_order_and_never_leaves_the_range(values: list[float]) -> None:
    pulled = winsorised(values)
    assert min(values) <= min(pulled) <= max(pulled) <= max(values)
    assert all(
        a <= b for (_, a), (_, b) in zip(*[iter(sorted(zip(values, pulled, strict=True)))] * 2, strict=False)
    )


def test_an_outlier_counts_as_one_bad_value_however_far_out() -> None:
    calm = [1.0, 1.1, 0.9, 1.05, 0.95, 1.0, 1.1, 0.9]
    assert winsorised([*calm, 50.0]) == winsorised([*calm, 5000.0])
    assert fmean(winsorised([*calm, 5000.0])) < 1.1


def test_the_variance_between_runs_is_found_beneath_the_noise_within_them() -> None:
    rng = random.Random(8)
    found = [
        run_to_run_variance([[level + rng.gauss(0, 1) for _ in range(20)] for level in levels])
        for levels in ([rng.gauss(0, 2) for _ in range(5)] for _ in range(300))
    ]
    assert fmean(found) == pytest.approx(4.0, abs=3 * stdev(found) / math.sqrt(300))


def test_what_all_runs_share_is_no_variance_between_them() -> None:
    ramp = [float(n) for n in range(20)]
    assert run_to_run_variance([ramp, ramp, ramp]) == 0
    assert run_to_run_variance([ramp]) == 0
    assert run_to_run_variance([ramp, [None] * 20]) == 0
