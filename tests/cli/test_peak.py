"""Which peak a probe proposes, given how late the generator is at each."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.cli.peak import FRACTIONS, MAX_LAG_MS, Sizing, Trial, find_peak
from loadtest.cli.trial import trial_of
from loadtest.judge.validity import MAX_LAG_P99_MS
from loadtest.measure.second import Second

lags_ms = st.lists(st.floats(0, 100), min_size=len(FRACTIONS), max_size=len(FRACTIONS))


def late_by(lag_ms: float) -> Callable[[int], Trial]:
    """A machine that is as late at every peak."""
    return lambda peak_tps: Trial(peak_tps, lag_ms)


def test_a_quiet_machine_is_given_its_share_of_full_speed_at_the_first_trial() -> None:
    sizing = find_peak(5_000, late_by(0.3))
    assert sizing == Sizing(5_000, [Trial(2_000, 0.3)])
    assert sizing.in_words() == (
        "At full speed (closed loop) 5,000 TPS; the plan will peak at 2,000 TPS (40% of full speed)."
    )


def test_a_peak_at_which_arrivals_are_late_is_lowered_and_the_reason_said() -> None:
    sizing = find_peak(5_000, {2_000: Trial(2_000, 12.4), 1_500: Trial(1_500, 2.0)}.__getitem__)
    assert sizing.peak_tps == 1_500
    assert sizing.in_words() == (
        "At full speed (closed loop) 5,000 TPS; at 2,000 TPS in an open loop this machine sent requests 12 "
        "ms late (p99); "
        "the plan will peak at 1,500 TPS (30% of full speed)."
    )


def test_a_peak_at_which_the_target_does_not_keep_up_is_lowered_and_the_reason_said() -> None:
    played = [Trial(2_000, 0.3, failed=0.02), Trial(1_500, 0.3, queueing_p99_ms=412.0), Trial(1_000, 0.3)]
    sizing = find_peak(5_000, {trial.peak_tps: trial for trial in played}.__getitem__)
    assert sizing.trials == played
    assert sizing.in_words() == (
        "At full speed (closed loop) 5,000 TPS; at 2,000 TPS in an open loop 2.0% of the arrivals failed or "
        "were dropped; "
        "at 1,500 TPS in an open loop arrivals waited 412 ms for a free user (p99); "
        "the plan will peak at 1,000 TPS (20% of full speed)."
    )


def test_a_machine_late_at_every_peak_is_told_what_to_expect() -> None:
    sizing = find_peak(5_000, late_by(40.0))
    assert [trial.peak_tps for trial in sizing.trials] == [2_000, 1_500, 1_000, 500]
    assert sizing.in_words().endswith(
        "the plan will peak at 500 TPS (10% of full speed). Something else slows this machine: stop it, or "
        "expect an INVALID run."
    )


def test_a_target_that_fails_at_every_peak_is_not_called_a_slow_machine() -> None:
    sizing = find_peak(5_000, lambda peak_tps: Trial(peak_tps, 0.3, failed=0.5))
    assert sizing.in_words().endswith(
        "the plan will peak at 500 TPS (10% of full speed). The target does not keep up with even that: "
        "expect missed objectives."
    )


def test_a_target_that_completed_nothing_is_not_tried_and_leaves_the_plan_its_peak() -> None:
    sizing = find_peak(0.0, lambda _peak: pytest.fail("it was tried"))
    assert sizing == Sizing(0.0, [])
    assert sizing.in_words() == (
        "At full speed no request was answered without an error, so the plan keeps its own peak."
    )


@given(st.floats(0.1, 1e6), lags_ms)
def test_the_peak_is_the_highest_one_tried_on_time_or_the_lowest_there_is(
    full_speed_tps: float, lags: list[float]
) -> None:
    left = iter(lags)
    sizing = find_peak(full_speed_tps, lambda peak_tps: Trial(peak_tps, next(left)))
    assert [trial.lag_p99_ms for trial in sizing.trials] == lags[: len(sizing.trials)]
    assert not any(trial.on_time for trial in sizing.trials[:-1])
    assert sizing.trials[-1].on_time or len(sizing.trials) == len(FRACTIONS)
    assert 1 <= sizing.peak_tps <= max(1, round(full_speed_tps * FRACTIONS[0]))


@pytest.mark.parametrize(("lag_ms", "on_time"), [(MAX_LAG_MS, True), (MAX_LAG_MS + 0.001, False)])
def test_the_limit_itself_is_on_time(lag_ms: float, on_time: bool) -> None:
    assert Trial(100, lag_ms).on_time is on_time


def test_what_failed_and_what_waited_counts_in_a_trial() -> None:
    first, second = Second(1, scheduled=600, failed=1), Second(2, scheduled=400, dropped=2)
    second.queueing.record_ns(300_000_000)
    trial = trial_of(100, [first, second])
    assert trial.failed == pytest.approx(0.003)
    assert trial.queueing_p99_ms == pytest.approx(300, rel=0.01)
    assert trial.on_time
    assert not trial.fits


def test_a_trial_is_stricter_than_the_judge_of_the_run() -> None:
    assert MAX_LAG_MS <= MAX_LAG_P99_MS / 2
