"""Drift in simulated soaks: leaks are found, noise is not taken for one."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.judge.drift import Trend, find_drift, theil_sen, trend
from loadtest.judge.slo import evaluate, judgeable
from loadtest.judge.slo_syntax import parse
from loadtest.measure.run_result import (
    Arrivals,
    Quantiles,
    RunInfo,
    RunResult,
    SloResult,
    TimelinePoint,
    Transactions,
)

HOURS = 6
STEP_S = 10


def wandering(rng: random.Random, noise: float) -> list[float]:
    """A factor around 1 for each step: white noise, and noise that is half gone after a minute (AR(1))."""
    remembered, factors = 0.0, []
    for _ in range(HOURS * 3600 // STEP_S):
        remembered = 0.89 * remembered + rng.gauss(0, noise)
        factors.append(math.exp(remembered + rng.gauss(0, noise)))
    return factors


def soak(seed: int, leak_per_h: float = 0.0, p99_per_h: float = 0.0, errors_per_h: float = 0.0) -> RunResult:
    """Six hours at a constant rate, a point every ten seconds; growths are shares of the level an hour."""
    rng = random.Random(seed)
    timeline, memory = [], []
    for step, (slow, heavy) in enumerate(zip(wandering(rng, 0.03), wandering(rng, 0.005), strict=True)):
        t_s = float(step * STEP_S)
        stall = 40.0 if rng.random() < 0.003 else 1.0
        p99 = 20 * slow * stall * (1 + p99_per_h * t_s / 3600)
        share = max(0.0, 0.0005 + errors_per_h * t_s / 3600)
        timeline.append(
            TimelinePoint(
                t_s=t_s,
                planned_tps=100,
                completed_tps=100 + rng.gauss(0, 3),
                requests=1000,
                failures=sum(rng.random() < share for _ in range(100)) * 10,
                response_ms=Quantiles(count=1000, p99=p99),
            )
        )
        warm_up = 1 - 0.3 * math.exp(-t_s / 300)
        memory.append((t_s, 200e6 * heavy * warm_up * (1 + leak_per_h * t_s / 3600)))
    run = RunInfo(
        id="r", plan="soak", started_at="", duration_s=HOURS * 3600.0, seed=seed, versions={}, machine={}
    )
    return RunResult(
        run=run,
        arrivals=Arrivals(),
        transactions=Transactions(),
        timeline=timeline,
        gauges={"service_memory_bytes": memory},
    )


def drifting(result: RunResult) -> list[str]:
    return [found.metric for found in find_drift(result) if found.drifting]


@pytest.mark.parametrize("seed", range(10))
def test_a_leak_of_one_percent_an_hour_is_found_within_six_hours(seed: int) -> None:
    assert drifting(soak(seed, leak_per_h=0.01)) == ["service_memory_bytes"]


@pytest.mark.parametrize("seed", range(3))
def test_a_p99_that_creeps_by_three_percent_an_hour_is_found(seed: int) -> None:
    assert drifting(soak(seed, p99_per_h=0.03)) == ["response_p99_ms"]


@pytest.mark.slow(held_by="test_the_objective_of_a_steady_soak_says_what_was_steady")
def test_a_hundred_clean_soaks_raise_no_alarm() -> None:
    assert [seed for seed in range(100, 200) if drifting(soak(seed))] == []


def resumed(seed: int, *at_h: int, leak_per_h: float = 0.0) -> RunResult:
    """A soak that was interrupted: each time the service began anew with the memory that it starts with."""
    result = soak(seed, leak_per_h)
    memory = result.gauges["service_memory_bytes"]
    for number, hours in enumerate(at_h, start=1):
        anew = soak(seed + 1000 * number, leak_per_h).gauges["service_memory_bytes"]
        first = hours * 3600 // STEP_S
        memory[first:] = [(t_s, value) for (t_s, _), (_, value) in zip(memory[first:], anew, strict=False)]
        result.run.resumed_s.append(hours * 3600.0)
    return result


@pytest.mark.parametrize("seed", range(5))
def test_a_leak_is_found_though_restarts_of_the_service_hide_it(seed: int) -> None:
    result = resumed(seed, 3, leak_per_h=0.02)
    assert drifting(result) == ["service_memory_bytes"]
    result.run.resumed_s.clear()
    assert drifting(result) == [], "then nothing was to be seen by looking at the run as one"


@pytest.mark.campaign
def test_fifty_clean_soaks_that_were_resumed_raise_no_alarm() -> None:
    assert [seed for seed in range(300, 350) if drifting(resumed(seed, 2, 4))] == []


def test_a_short_run_is_no_soak() -> None:
    result = soak(1, leak_per_h=5.0)
    result.run.duration_s = 1700.0
    assert find_drift(result) == []


def test_errors_that_pile_up_from_nothing_are_found() -> None:
    growing = [(float(t), t / 3600 * 0.001) for t in range(0, 6 * 3600, 60)]
    found = trend("errors", growing, 6 * 3600.0, bad_is_up=True, least_per_h=0.0001)
    assert found is not None
    assert found.drifting
    assert found.slope_per_h == pytest.approx(0.001)


def falling(bad_is_up: bool) -> Trend | None:
    series = [(float(t), 100 - t / 3600) for t in range(0, 6 * 3600, 60)]
    return trend("completed_share", series, 6 * 3600.0, bad_is_up=bad_is_up)


def test_only_the_bad_direction_is_drift() -> None:
    good, bad = falling(bad_is_up=True), falling(bad_is_up=False)
    assert good is not None
    assert bad is not None
    assert (good.drifting, bad.drifting) == (False, True)
    assert bad.relative_per_h == pytest.approx(-0.0104, abs=0.0005)


def test_a_certain_but_tiny_slope_is_not_drift() -> None:
    series = [(float(t), 100 + 0.1 * t / 3600) for t in range(0, 6 * 3600, 60)]
    found = trend("p99", series, 6 * 3600.0, bad_is_up=True)
    assert found is not None
    assert found.low_per_h > 0
    assert not found.drifting


def test_too_few_points_are_not_judged() -> None:
    assert trend("p99", [(0.0, 1.0), (60.0, 2.0)], 3600.0, bad_is_up=True) is None
    assert trend("p99", [], 0.0, bad_is_up=True) is None


@given(
    st.floats(-100, 100),
    st.floats(-1000, 1000),
    st.lists(st.tuples(st.integers(0, 29), st.floats(-1e6, 1e6)), max_size=7),
)
def test_a_line_is_read_exactly_however_wild_a_few_points_are(
    slope: float, level: float, outliers: list[tuple[int, float]]
) -> None:
    values = [level + slope * x for x in range(30)]
    for place, value in outliers:
        values[place] = value
    found, low, high = theil_sen([list(enumerate(values))], 0.999)
    assert found == pytest.approx(slope, rel=1e-6, abs=1e-6)
    assert low <= found <= high


def judged_for_drift(result: RunResult) -> SloResult:
    return evaluate(parse("drift == 0"), result)


def test_the_objective_counts_what_drifts_and_names_it() -> None:
    found = judged_for_drift(soak(1, leak_per_h=0.01, p99_per_h=0.05))
    assert (found.observed, found.passed) == (2, False)
    assert "response_p99_ms +" in found.note
    assert "service_memory_bytes +" in found.note


def test_the_objective_of_a_steady_soak_says_what_was_steady() -> None:
    found = judged_for_drift(soak(1))
    assert (found.observed, found.passed) == (0, True)
    assert "service_memory_bytes" in found.note


def test_a_run_too_short_to_drift_has_no_data_which_is_no_pass() -> None:
    result = soak(1)
    result.run.duration_s = 600.0
    found = judged_for_drift(result)
    assert (found.observed, found.passed) == (None, False)
    assert "30 min" in found.note


@pytest.mark.parametrize(
    ("duration_s", "left"), [(600.0, ["dropped == 0"]), (1800.0, ["drift == 0", "dropped == 0"])]
)
def test_a_plan_cut_short_leaves_only_drift_out(duration_s: float, left: list[str]) -> None:
    slos = [parse("drift == 0"), parse("dropped == 0")]
    assert [slo.expr for slo in judgeable(slos, duration_s)] == left
