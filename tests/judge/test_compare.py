"""Two runs compared: noise is called noise, a real shift is found. Simulated, with noise that wanders."""

import math
import random
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.judge.compare import CompareError, Comparison, Finding, compare
from loadtest.measure.run_result import Arrivals, Quantiles, RunInfo, RunResult, TimelinePoint, Transactions

SECONDS = 120
RESAMPLES = 1000  # enough for verdicts, and four times as fast


def run(seed: int, p99_factor: float = 1.0, error_share: float = 0.001, rate: float = 1.0) -> RunResult:
    """Two minutes along a ramp: latency follows the load, wanders (AR(1)), and stalls now and then."""
    rng = random.Random(seed)
    wander, timeline = 0.0, []
    for second in range(SECONDS):
        wander = 0.5 * wander + rng.gauss(0, 0.04)
        load = 0.2 + 0.8 * second / SECONDS
        stall = 20.0 if rng.random() < 0.01 else 1.0
        middle = 3 * (1 + load) * math.exp(wander)
        p99 = middle * 4 * p99_factor * stall * math.exp(rng.gauss(0, 0.05))
        quantiles = Quantiles(
            count=1000,
            p50=middle,
            p90=middle * 2 * math.exp(rng.gauss(0, 0.02)),
            p99=p99,
            p99_9=p99 * 2 * math.exp(rng.gauss(0, 0.15)),
        )
        timeline.append(
            TimelinePoint(
                t_s=second,
                completed_tps=1000 * load * rate + rng.gauss(0, 30),
                requests=2000,
                failures=sum(rng.random() < error_share for _ in range(200)) * 10,
                response_ms=quantiles,
            )
        )
    info = RunInfo(
        id=f"run-{seed}", plan="ramp", started_at="", duration_s=SECONDS, seed=seed, versions={}, machine={}
    )
    return RunResult(run=info, arrivals=Arrivals(), transactions=Transactions(), timeline=timeline)


def compared(base: RunResult, head: RunResult) -> Comparison:
    return compare(base, head, resamples=RESAMPLES)


def found(comparison: Comparison, metric: str) -> Finding:
    return next(shift.finding for shift in comparison.shifts if shift.metric == metric)


def test_the_same_code_twice_raises_an_alarm_in_at_most_one_of_twenty_comparisons() -> None:
    alarms = [
        seed for seed in range(100) if compared(run(seed), run(seed + 10_000)).finding is not Finding.SAME
    ]
    assert len(alarms) <= 5


def test_a_p99_that_is_ten_percent_higher_is_found_in_at_least_19_of_20_comparisons() -> None:
    missed = [
        seed
        for seed in range(60)
        if found(compared(run(seed), run(seed + 10_000, p99_factor=1.1)), "response p99") is not Finding.WORSE
    ]
    assert len(missed) <= 3


def test_an_improvement_is_found_too() -> None:
    comparison = compared(run(1), run(2, p99_factor=0.7))
    assert found(comparison, "response p99") is Finding.BETTER
    assert comparison.finding is Finding.BETTER


def test_anything_worse_outweighs_what_got_better() -> None:
    assert compared(run(1), run(2, p99_factor=0.7, error_share=0.05)).finding is Finding.WORSE


def test_fewer_orders_are_worse() -> None:
    assert found(compared(run(1), run(2, rate=0.8)), "completed orders/s") is Finding.WORSE


def test_errors_are_compared_as_a_difference() -> None:
    comparison = compared(run(1, error_share=0), run(2, error_share=0.02))
    (errors,) = [shift for shift in comparison.shifts if shift.metric == "error rate"]
    assert errors.finding is Finding.WORSE
    assert errors.shift == pytest.approx(0.02, abs=0.005)
    assert errors.low < 0.02 < errors.high


def test_a_shift_tells_the_typical_second_of_both_runs() -> None:
    shifts = {shift.metric: shift for shift in compared(run(1), run(2, p99_factor=2.0)).shifts}
    p99 = shifts["response p99"]
    assert p99.head / p99.base == pytest.approx(1 + p99.shift)
    assert p99.low < 1 < p99.high


def test_one_long_stall_is_noise() -> None:
    head = run(2)
    calm = head.timeline[30].response_ms
    head.timeline[30].response_ms = Quantiles(count=10, p50=900, p90=950, p99=1000, p99_9=1000, max=1000)
    assert calm.p50 < 20
    assert compared(run(1), head).finding is Finding.SAME


def test_a_certain_but_tiny_shift_is_no_change() -> None:
    base = run(1)
    head = run(1)
    head.run.id = "other"
    for point in head.timeline:
        point.completed_tps *= 0.99
    assert found(compared(base, head), "completed orders/s") is Finding.SAME


def test_a_run_that_ended_at_once_is_unknown() -> None:
    short = run(1)
    short.timeline = short.timeline[:5]
    comparison = compared(short, run(2))
    assert comparison.finding is Finding.UNKNOWN
    empty = run(3)
    empty.timeline, empty.run.duration_s = [], 0.0
    assert compared(empty, empty).finding is Finding.UNKNOWN


def test_the_same_records_give_the_same_answer() -> None:
    assert compared(run(1), run(2)) == compared(run(1), run(2))


def test_what_differs_in_the_settings_is_noted() -> None:
    base, head = run(1), run(2)
    head.run.machine, head.run.settings = {"cores": 4}, {"peak_tps": 10}
    assert compare(base, head, resamples=10).notes == [
        "peak_tps: none in BASE, 10 in HEAD",
        "machine cores: none in BASE, 4 in HEAD",
    ]


def test_an_invalid_run_is_not_compared() -> None:
    base = run(1)
    base.validity.verdict, base.validity.reasons = "INVALID", ["worker 1 was late."]
    with pytest.raises(CompareError, match=r"BASE \(run-1\) is INVALID: worker 1 was late\."):
        compare(base, run(2))


def test_the_interval_holds_the_true_mean_as_often_as_it_says() -> None:
    rng = random.Random(5)
    hits = 0
    for _ in range(300):
        values = [rng.lognormvariate(0, 0.5) for _ in range(20)]
        _, low, high = bootstrap_mean(values, 0.9, 400, rng)
        hits += low <= math.exp(0.125) <= high
    assert 0.85 <= hits / 300 <= 0.96


@settings(max_examples=50)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30), st.integers())
def test_the_interval_encloses_the_mean_and_moves_with_its_values(values: list[float], seed: int) -> None:
    mean, low, high = bootstrap_mean(values, 0.9, 100, random.Random(seed))
    assert mean == pytest.approx(fmean(values))
    assert low <= high
