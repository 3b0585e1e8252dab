"""Runs compared: noise is called noise, a real shift is found. Simulated, with noise that wanders."""

import math
import random
from collections.abc import Callable
from statistics import NormalDist

import pytest

from loadtest.judge.compare import CompareError, Comparison, Finding, compare
from loadtest.measure.run_result import (
    Arrivals,
    Endpoint,
    Quantiles,
    RunInfo,
    RunResult,
    TimelinePoint,
    Transactions,
)

MINUTE, TWO_MINUTES = 60, 120
REQUESTS = 1000
RESAMPLES = 1000  # enough for verdicts, and four times as fast


def run(
    seed: int,
    p99_factor: float = 1.0,
    error_share: float = 0.001,
    *,
    rate: float = 1.0,
    seconds: int = TWO_MINUTES,
    level: float = 1.0,
) -> RunResult:
    """A run along a ramp: latency follows the load, wanders (AR(1)), and stalls now and then."""
    rng = random.Random(seed)
    wander, timeline = 0.0, []
    for second in range(seconds):
        wander = 0.5 * wander + rng.gauss(0, 0.04)
        load = 0.2 + 0.8 * second / seconds
        stall = 20.0 if rng.random() < 0.01 else 1.0
        middle = 3 * (1 + load) * level * math.exp(wander)
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
    return result(seed, timeline)


def result(seed: int, timeline: list[TimelinePoint]) -> RunResult:
    info = RunInfo(
        id=f"run-{seed}",
        plan="ramp",
        started_at="",
        duration_s=len(timeline),
        seed=seed,
        versions={},
        machine={},
    )
    return RunResult(run=info, arrivals=Arrivals(), transactions=Transactions(), timeline=timeline)


def measured_run(seed: int, p99_factor: float = 1.0) -> RunResult:
    """A minute whose quantiles are those of `REQUESTS` log-normal latencies a second, drawn exactly.

    The k-th smallest of n uniform numbers has the distribution Beta(k, n - k + 1): no noise is assumed here
    but the sampling's own, a wander, and stalls.
    """
    rng = random.Random(seed)
    wander, timeline = 0.0, []
    for second in range(MINUTE):
        wander = 0.5 * wander + rng.gauss(0, 0.04)
        stall = rng.uniform(0, 30) if rng.random() < 0.01 else 0.0

        def quantile(
            share: float, factor: float = 1.0, wander: float = wander, stall: float = stall
        ) -> float:
            rank = math.ceil(share * REQUESTS)
            uniform = rng.betavariate(rank, REQUESTS - rank + 1)
            return 5 * math.exp(0.5 * NormalDist().inv_cdf(uniform) + wander) * factor + stall

        quantiles = Quantiles(
            count=REQUESTS,
            p50=quantile(0.5),
            p90=quantile(0.9),
            p99=quantile(0.99, p99_factor),
            p99_9=quantile(0.999, p99_factor),
        )
        done = round(rng.gauss(REQUESTS, math.sqrt(REQUESTS)))
        failures = sum(rng.random() < 0.001 for _ in range(done))
        timeline.append(
            TimelinePoint(
                t_s=second, completed_tps=done, requests=done, failures=failures, response_ms=quantiles
            )
        )
    return result(seed, timeline)


def minute(seed: int, p99_factor: float = 1.0) -> RunResult:
    return run(seed, p99_factor, seconds=MINUTE)


Simulation = Callable[[int, float], RunResult]
SIMULATIONS = pytest.mark.parametrize(
    "simulate",
    [
        pytest.param(run, marks=pytest.mark.campaign),
        pytest.param(minute, marks=pytest.mark.campaign),
        measured_run,
    ],
)


def compared(base: RunResult, head: RunResult) -> Comparison:
    return compare(base, head, resamples=RESAMPLES)


def found(comparison: Comparison, metric: str) -> Finding:
    return next(shift.finding for shift in comparison.shifts if shift.metric == metric)


@SIMULATIONS
def test_the_same_code_twice_raises_an_alarm_in_at_most_one_of_twenty_comparisons(
    simulate: Simulation,
) -> None:
    alarms = [
        seed
        for seed in range(100)
        if compared(simulate(seed, 1.0), simulate(seed + 10_000, 1.0)).finding is not Finding.SAME
    ]
    assert len(alarms) <= 5, alarms


@pytest.mark.slow(held_by="test_anything_worse_outweighs_what_got_better")
@SIMULATIONS
def test_a_p99_that_is_ten_percent_higher_is_found_in_at_least_19_of_20_comparisons(
    simulate: Simulation,
) -> None:
    pairs = ((simulate(seed, 1.0), simulate(seed + 10_000, 1.1)) for seed in range(100))
    found_ = [found(compared(base, head), "response p99") is Finding.WORSE for base, head in pairs]
    assert sum(found_) >= 95


def on_a_restless_machine(seed: int, worse: float = 1.0) -> RunResult:
    """A minute on a machine that is 3 % slower or faster from one run to the next."""
    return run(seed, seconds=MINUTE, level=worse * math.exp(random.Random(seed).gauss(0, 0.03)))


@pytest.mark.slow(held_by="test_a_change_beyond_what_baselines_differ_by_is_found_in_a_pool")
def test_a_pool_of_baselines_knows_how_much_runs_differ_and_a_single_one_does_not() -> None:
    alarms = {1: 0, 5: 0}
    for trial in range(60):
        pool = [on_a_restless_machine(100 * trial + number) for number in range(6)]
        head = pool.pop()
        for size in alarms:
            alarms[size] += compare(pool[:size], head, resamples=300).finding is not Finding.SAME
    assert alarms[5] <= 3, alarms
    assert alarms[1] >= 15, alarms


def test_a_change_beyond_what_baselines_differ_by_is_found_in_a_pool() -> None:
    pool = [on_a_restless_machine(number) for number in range(5)]
    comparison = compared_with_pool(pool, on_a_restless_machine(7, worse=1.5))
    assert comparison.finding is Finding.WORSE
    assert list(comparison.base_ids) == [run.run.id for run in pool]


def compared_with_pool(pool: list[RunResult], head: RunResult) -> Comparison:
    return compare(pool, head, resamples=RESAMPLES)


def test_a_pool_of_nothing_is_refused() -> None:
    with pytest.raises(CompareError, match="at least one run as BASE"):
        compare([], run(1))


def test_a_pool_of_calm_runs_is_sharper_than_any_of_them() -> None:
    pool = [run(number, seconds=MINUTE) for number in range(5)]
    head = run(9, seconds=MINUTE)
    widths = [
        next(shift.high - shift.low for shift in compared_with_pool(bases, head).shifts)
        for bases in (pool[:1], pool)
    ]
    assert widths[1] < widths[0]


def test_an_improvement_is_found_too() -> None:
    comparison = compared(run(1), run(2, p99_factor=0.7))
    assert found(comparison, "response p99") is Finding.BETTER
    assert comparison.finding is Finding.BETTER


def test_anything_worse_outweighs_what_got_better() -> None:
    assert compared(run(1), run(2, p99_factor=0.7, error_share=0.05)).finding is Finding.WORSE


def test_fewer_orders_are_worse() -> None:
    assert found(compared(run(1), run(2, rate=0.8)), "completed transactions/s") is Finding.WORSE


def test_fewer_parcels_are_called_parcels() -> None:
    base, head = run(1), run(2, rate=0.8)
    endpoint = Endpoint(requests=1, failures=0, response_ms=Quantiles(), service_ms=Quantiles())
    base.endpoints = head.endpoints = {"POST /parcels @ east": endpoint}
    assert found(compared(base, head), "completed parcels/s") is Finding.WORSE


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
    assert p99.base == pytest.approx(3 * 4 * math.exp(fmean_log_load()), rel=0.05)


def fmean_log_load() -> float:
    """The mean logarithm of 1 + load along the ramp."""
    return sum(math.log(1.2 + 0.8 * s / TWO_MINUTES) for s in range(TWO_MINUTES)) / TWO_MINUTES


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
    assert found(compared(base, head), "completed transactions/s") is Finding.SAME


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


@pytest.mark.parametrize("level", [1.0, 0.1])
def test_a_run_with_failures_everywhere_is_never_the_same_nor_better(level: float) -> None:
    everywhere = run(2, error_share=1.0, level=level)
    found = compare(run(1, error_share=1.0), everywhere, resamples=RESAMPLES)
    assert found.finding is Finding.UNKNOWN
    assert found.reason == "100% of the requests of HEAD (run-2) failed, so there are no times to compare"
    assert compare(run(1), everywhere, resamples=RESAMPLES).finding is Finding.WORSE


def test_a_run_that_works_again_is_better_than_one_in_which_all_failed() -> None:
    found = compare(run(1, error_share=1.0), run(2), resamples=RESAMPLES)
    assert found.finding is Finding.BETTER


def test_runs_that_are_too_short_say_how_much_is_needed() -> None:
    found = compare(run(1), run(2, seconds=4), resamples=RESAMPLES)
    assert found.finding is Finding.UNKNOWN
    assert found.reason == (
        "BASE has 120 seconds with answers and HEAD 4; at least 8 of the same seconds are needed in both, and "
        "a minute or more for a sharp answer"
    )


def test_short_runs_whose_interval_has_no_end_are_too_little_data_and_no_crash() -> None:
    found = compare(run(2, seconds=15), run(102, seconds=12), resamples=RESAMPLES)
    assert any(shift.unbounded for shift in found.shifts), "it overflowed"
    assert found.finding is Finding.UNKNOWN
    assert found.reason.startswith("BASE has 15 seconds with answers and HEAD 12;")
