"""Paired blocks: a known effect is found, no effect stays unseen, and doubt is called doubt.

Blocks are made up: log-normal latencies whose level wanders from quartet to quartet, as a machine's does.
"""

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import paired
from benchmarks.paired import (
    Block,
    Estimate,
    Pair,
    Quartet,
    Record,
    Verdict,
    estimate,
    judge,
    plan_orders,
    pooled,
)
from loadtest.measure import codec
from loadtest.measure.histogram import Histogram

P99 = 0.99


def latencies(lot: np.random.Generator, level_us: float, count: int = 400) -> Histogram:
    histogram = Histogram()
    drawn = np.round(level_us * lot.lognormal(0, 0.4, count)).astype(int)
    for value_us, n in zip(*(array.tolist() for array in np.unique(drawn, return_counts=True)), strict=True):
        histogram.record_many(value_us, n)
    return histogram


def pairs(seed: int, quartets: int, factor: float, noise: float = 0.1) -> list[Pair]:
    """Quartets on a machine whose level wanders, with `factor` between the sides and some noise in each."""
    lot = np.random.default_rng(seed)
    made, level_us = [], 2000.0
    for _ in range(quartets):
        level_us = 2000 * (level_us / 2000) ** 0.7 * lot.lognormal(0, 0.3)
        sides = (level_us, level_us * factor)
        made.append(Pair(*(latencies(lot, side * lot.lognormal(0, noise)) for side in sides)))
    return made


def an_estimate(ratio: float, low: float, high: float, quartets: int = 20) -> Estimate:
    return Estimate(ratio, low, high, quartets, 1.0, ratio)


def test_an_effect_beyond_the_limit_is_found_though_the_machine_wanders_more() -> None:
    found = estimate(pairs(1, 30, 1.25), P99)
    assert found.low < 1.25 < found.high
    assert judge(found, None, 1.05).verdict is Verdict.MISSED


def test_no_effect_is_shown_to_be_below_the_limit() -> None:
    found = estimate(pairs(2, 30, 1.0), P99)
    assert judge(found, None, 1.2).verdict is Verdict.SHOWN


@pytest.mark.campaign
@pytest.mark.parametrize("factor", [1.0, 1.1])
def test_the_interval_misses_what_is_true_about_as_often_as_promised(
    monkeypatch: pytest.MonkeyPatch, factor: float
) -> None:
    monkeypatch.setattr(paired, "RESAMPLES", 500)
    found = [estimate(pairs(seed, 16, factor), P99) for seed in range(200)]
    missed = sum(not one.low <= factor <= one.high for one in found)
    # Promised are 5 %, that is 10 of 200. In other made-up noise, 400 runs each, it was 1.8 to 10.5 %: less where the
    # machine is steady, more where a quartet in twenty has a stall.
    assert 2 <= missed <= 20


def test_the_same_blocks_and_seed_give_the_same_interval() -> None:
    made = pairs(3, 12, 1.1)
    assert estimate(made, P99, seed=5) == estimate(made, P99, seed=5)
    assert estimate(made, P99, seed=5) != estimate(made, P99, seed=6)


def test_more_confidence_takes_a_wider_interval() -> None:
    made = pairs(4, 12, 1.1)
    sure, surer = estimate(made, P99, confidence=0.95), estimate(made, P99, confidence=0.99)
    assert surer.low <= sure.low < sure.ratio < sure.high < surer.high


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0.5, 0.9, 0.99]))
def test_exchanging_the_sides_inverts_the_ratio(seed: int, quantile: float) -> None:
    made = pairs(seed, 8, 1.3)
    there = estimate(made, quantile)
    back = estimate([Pair(pair.b, pair.a) for pair in made], quantile)
    assert back.ratio == pytest.approx(1 / there.ratio)
    assert (back.low, back.high) == pytest.approx((1 / there.high, 1 / there.low))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 10**7), min_size=1, max_size=200), st.sampled_from([0.0, 0.5, 0.99, 1.0]))
def test_a_resample_has_the_quantile_that_the_histogram_has(values_us: list[int], quantile: float) -> None:
    histogram = Histogram()
    for value_us in values_us:
        histogram.record_us(value_us)
    same = estimate([Pair(histogram, histogram)] * paired.LEAST_QUARTETS, quantile)
    assert [same.ratio, same.low, same.high] == pytest.approx([1.0, 1.0, 1.0])
    assert same.a_ms == histogram.quantile(quantile) / 1e3


def test_too_few_quartets_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 6 quartets, got 5"):
        estimate(pairs(5, 5, 1.0), P99)


def test_an_interval_around_the_limit_decides_nothing_and_says_how_many_quartets_would() -> None:
    doubt = judge(an_estimate(1.0, 1 / 1.1, 1.1), None, 1.05)
    assert doubt.verdict is Verdict.UNDECIDED
    # The interval must shrink from log 1.1 to log 1.05, to a half: four times as many, nearly.
    assert doubt.needed == math.ceil(20 * (math.log(1.1) / math.log(1.05)) ** 2)
    assert f"about {doubt.needed} quartets would decide" in doubt.reason


def test_a_ratio_that_is_the_limit_itself_can_never_be_decided() -> None:
    assert judge(an_estimate(1.05, 1.0, 1.1), None, 1.05).needed is None


def test_a_run_whose_a_differs_from_itself_decides_nothing() -> None:
    loud = judge(an_estimate(1.0, 0.99, 1.01), an_estimate(1.1, 1.02, 1.2), 1.05)
    assert loud.verdict is Verdict.UNDECIDED
    assert "even A/A differs" in loud.reason
    assert judge(an_estimate(1.0, 0.99, 1.01), an_estimate(1.0, 0.97, 1.03), 1.05).verdict is Verdict.SHOWN


def test_an_effect_that_a_a_reaches_as_well_decides_nothing() -> None:
    loud = an_estimate(1.0, 0.6, 3.0)
    assert judge(an_estimate(1.3, 1.1, 1.5), loud, 1.05).verdict is Verdict.UNDECIDED
    assert judge(an_estimate(1.0, 0.9, 1.04), loud, 1.05).verdict is Verdict.UNDECIDED
    quiet = an_estimate(1.0, 0.97, 1.04)
    assert judge(an_estimate(1.3, 1.1, 1.5), quiet, 1.05).verdict is Verdict.MISSED
    assert judge(an_estimate(1.0, 0.98, 1.04), quiet, 1.05).verdict is Verdict.SHOWN


def test_orders_are_drawn_by_lot_and_balance_what_drifts() -> None:
    orders = plan_orders(200, seed=1)
    assert orders == plan_orders(200, seed=1)
    assert set(orders) == {"ABBA", "BAAB"}
    for order in set(orders):
        places = {side: sum(n for n, label in enumerate(order) if label == side) for side in "AB"}
        assert places["A"] == places["B"]


def block(label: str, value_us: int) -> Block:
    histogram = Histogram()
    histogram.record_many(value_us, 100)
    return Block(label, {"response": codec.encode(histogram)})


def a_record(factor: float, effect: str = "scrape") -> Record:
    quartets = [
        Quartet(
            treated, [block(side, round(1000 * (factor if treated and side == "B" else 1))) for side in order]
        )
        for treated in (True, False)
        for order in plan_orders(6)
    ]
    return Record(effect, {}, quartets, {"response": 1.05})


def test_a_record_survives_being_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    paired.write(a_record(1.2), path)
    assert paired.read(path) == a_record(1.2)
    assert msgspec.json.decode(path.read_bytes())["figures"]["response"]["verdict"] == "missed"


def test_pooled_records_are_judged_as_one() -> None:
    record = pooled([a_record(1.2), a_record(1.2)])
    effect, noise, judgement = paired.judged(record, "response", P99, 1.05)
    assert (effect.quartets, judgement.verdict) == (12, Verdict.MISSED)
    assert noise is not None
    assert noise.ratio == 1
    assert "missed" in paired.report(record, P99)


def test_records_of_different_effects_are_not_pooled() -> None:
    with pytest.raises(ValueError, match="one effect"):
        pooled([a_record(1.2), a_record(1.2, "slow-clients")])


def test_a_quartet_without_two_blocks_of_each_side_is_refused() -> None:
    with pytest.raises(ValueError, match="two blocks of A and two of B"):
        Quartet(True, [block("A", 1), block("B", 1), block("B", 1)]).pair("response")


def test_a_file_that_is_no_record_is_named(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text("{}")
    with pytest.raises(ValueError, match=r"other\.json: expected the record of a paired run"):
        paired.read(path)
