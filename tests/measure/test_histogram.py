"""Histograms: exact counts, bounded error, and a merge that loses nothing."""

from fractions import Fraction
from math import ceil, exp

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.measure.histogram import BUCKETS, MAX_US, Histogram, bucket_of, upper_us
from loadtest.measure.run_result import Quantiles

RELATIVE_ERROR = 0.008

magnitudes_us = st.floats(0, 22).map(lambda x: max(int(exp(x)), 1))
values_us = st.one_of(st.integers(1, MAX_US), st.integers(1, 1000), magnitudes_us)
out_of_range_us = st.integers(-(10**12), 10**13)


def histogram_of(values: list[int]) -> Histogram:
    histogram = Histogram()
    for value_us in values:
        histogram.record_ns(value_us * 1000)
    return histogram


def test_every_microsecond_has_one_bucket_and_buckets_ascend() -> None:
    """All of the first 2^18 values, and both edges of every bucket."""
    assert [bucket_of(v) for v in range(256)] == list(range(256))
    assert all(0 <= bucket_of(v + 1) - bucket_of(v) <= 1 for v in range(1 << 18))
    for bucket in range(BUCKETS - 1):
        assert bucket_of(upper_us(bucket)) == bucket
        assert bucket_of(upper_us(bucket) + 1) == bucket + 1


@settings(deadline=None)
@given(values_us)
def test_a_bucket_is_narrower_than_the_promised_error(value_us: int) -> None:
    lowest_us = upper_us(bucket_of(value_us) - 1) + 1
    highest_us = upper_us(bucket_of(value_us))
    assert lowest_us <= value_us <= highest_us
    assert Fraction(highest_us - lowest_us, lowest_us) <= Fraction(RELATIVE_ERROR)


@settings(max_examples=200, deadline=None)
@given(st.lists(values_us, min_size=1, max_size=200), st.floats(0, 1))
def test_a_quantile_is_the_ranked_value_to_within_the_error(values: list[int], q: float) -> None:
    exact_us = sorted(values)[max(ceil(round(q * len(values), 6)), 1) - 1]
    assert exact_us <= histogram_of(values).quantile(q) <= exact_us * (1 + RELATIVE_ERROR)


@settings(deadline=None)
@given(st.lists(out_of_range_us, max_size=100))
def test_count_sum_and_extremes_are_exact_and_nothing_is_dropped(values: list[int]) -> None:
    histogram = histogram_of(values)
    clamped = [min(max(v, 1), MAX_US) for v in values]
    assert histogram.count == len(values)
    assert histogram.sum_us == sum(clamped)
    assert histogram.below == sum(v < 1 for v in values)
    assert histogram.above == sum(v > MAX_US for v in values)
    if values:
        assert (histogram.min_us, histogram.max_us) == (min(clamped), max(clamped))


@settings(deadline=None)
@given(st.lists(st.lists(out_of_range_us, max_size=50), max_size=6))
def test_merging_many_is_the_same_as_recording_into_one(parts: list[list[int]]) -> None:
    merged = Histogram()
    for part in parts:
        merged.merge(histogram_of(part))
    assert merged == histogram_of([value for part in parts for value in part])


@settings(deadline=None)
@given(st.lists(st.tuples(out_of_range_us, st.integers(0, 5)), max_size=20))
def test_recording_many_is_the_same_as_one_by_one(values: list[tuple[int, int]]) -> None:
    many, single = Histogram(), Histogram()
    for value_us, n in values:
        many.record_many(value_us, n)
        for _ in range(n):
            single.record_us(value_us)
    assert many == single == histogram_of([v for v, n in values for _ in range(n)])


def test_merging_leaves_the_other_as_it_was() -> None:
    ours, theirs = histogram_of([5]), histogram_of([7])
    ours.merge(theirs)
    ours.record_us(7)
    assert theirs == histogram_of([7])


@pytest.mark.parametrize(("value_ns", "value_us"), [(1499, 1), (1500, 2), (499, 1), (500, 1), (-5, 1)])
def test_nanoseconds_are_rounded_to_the_nearest_microsecond(value_ns: int, value_us: int) -> None:
    histogram = Histogram()
    histogram.record_ns(value_ns)
    assert (histogram.quantile(1), histogram.below) == (value_us, int(value_ns < 500))


def test_quantiles_follow_their_definition() -> None:
    histogram = histogram_of([10, 20, 30, 40])
    assert [histogram.quantile(q) for q in (0, 0.25, 0.26, 0.5, 0.75, 0.76, 1)] == [
        10,
        10,
        20,
        20,
        30,
        40,
        40,
    ]
    assert histogram_of(list(range(1, 101))).quantile(0.07) == 7  # 0.07 * 100 > 7 in binary


def test_quantiles_are_given_in_milliseconds() -> None:
    histogram = histogram_of(list(range(1, 10_001)))
    quantiles = histogram.quantiles()
    assert (quantiles.count, quantiles.max, quantiles.mean) == (10_000, 10.0, 5.0005)
    for name, q in (
        ("p50", 0.5),
        ("p90", 0.9),
        ("p95", 0.95),
        ("p99", 0.99),
        ("p99_9", 0.999),
        ("p99_99", 0.9999),
    ):
        assert getattr(quantiles, name) == histogram.quantile(q) / 1000
        assert 10 * q <= getattr(quantiles, name) <= 10 * q * 1.008


def test_an_empty_histogram_has_nothing_to_say() -> None:
    empty = Histogram()
    assert empty.quantiles() == Quantiles()
    assert (empty.count, empty.quantile(0.99), empty.sum_us) == (0, 0, 0)
    assert (empty.buckets().counts, empty.heat()) == ([], [])


@settings(deadline=None)
@given(st.lists(values_us, max_size=60))
def test_buckets_and_heat_hold_every_value_under_its_bound(values: list[int]) -> None:
    histogram = histogram_of(values)
    buckets, heat = histogram.buckets(), histogram.heat()
    assert sum(buckets.counts) == sum(n for _, n in heat) == len(values)
    for uppers in (buckets.upper_us, [upper for upper, _ in heat]):
        assert uppers == sorted(set(uppers))
        if values:
            assert uppers[-1] >= max(values)


def test_heat_has_four_buckets_to_an_octave() -> None:
    heat = histogram_of(list(range(1024, 2048))).heat()
    assert heat == [(1279, 256), (1535, 256), (1791, 256), (2047, 256)]


@settings(max_examples=30, deadline=None)
@given(st.lists(values_us, min_size=1, max_size=300))
def test_quantiles_agree_with_hdrhistogram(values: list[int]) -> None:
    """HdrHistogram at four digits is exact to 0.01 %; ours may be 0.8 % above, and never below."""
    oracle = HdrHistogram(1, MAX_US, 4)
    for value_us in values:
        oracle.record_value(value_us)
    histogram = histogram_of(values)
    for q in (0.5, 0.9, 0.99, 0.999, 1.0):
        # HdrHistogram rounds the rank to the nearest where we take the ceiling: ask it for a rank.
        rank = max(ceil(round(q * len(values), 6)), 1)
        exact_us = oracle.get_value_at_percentile(100 * rank / len(values))
        assert exact_us * (1 - 1e-4) - 1 <= histogram.quantile(q) <= exact_us * (1 + RELATIVE_ERROR)


@pytest.mark.parametrize("q", [-0.1, 1.1, float("nan")])
def test_a_quantile_outside_0_to_1_is_refused(q: float) -> None:
    with pytest.raises(ValueError, match="expected quantiles from 0 to 1"):
        histogram_of([1]).quantile(q)


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a count of 0 or more, got -1"):
        Histogram().record_many(5, -1)


@given(st.lists(values_us), st.lists(values_us))
def test_what_is_left_without_a_part_is_the_other_part(kept: list[int], removed: list[int]) -> None:
    whole, part, rest = Histogram(), Histogram(), Histogram()
    for value in kept:
        whole.record_us(value)
        rest.record_us(value)
    for value in removed:
        whole.record_us(value)
        part.record_us(value)
    left = whole.without(part)
    assert left.counts == rest.counts
    assert left.count == len(kept)
    for q in (0.5, 0.99, 1.0):
        assert left.quantile(q) == pytest.approx(rest.quantile(q), rel=1 / 128, abs=1)


def test_taking_away_what_was_never_there_leaves_nothing_negative() -> None:
    part = Histogram()
    part.record_many(500, 9)
    left = Histogram().without(part)
    assert left.count == 0
    assert left.buckets().counts == []
