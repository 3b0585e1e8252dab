"""Which peak a probe proposes, given how late the generator is at each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.cli.peak import FRACTIONS, MAX_LAG_MS, Sizing, Trial, find_peak
from loadtest.judge.validity import MAX_LAG_P99_MS

lags_ms = st.lists(st.floats(0, 100), min_size=len(FRACTIONS), max_size=len(FRACTIONS))


def test_a_quiet_machine_is_given_its_share_of_full_speed_at_the_first_trial() -> None:
    sizing = find_peak(5_000, lambda _peak: 0.3)
    assert sizing == Sizing(5_000, [Trial(3_500, 0.3)])
    assert sizing.in_words() == (
        "At full speed 5,000 TPS in a closed loop; the plan will peak at 3,500 (70%)."
    )


def test_a_peak_at_which_arrivals_are_late_is_lowered_and_the_reason_said() -> None:
    sizing = find_peak(5_000, {3_500: 12.4, 2_500: 2.0}.__getitem__)
    assert sizing.peak_tps == 2_500
    assert sizing.in_words() == (
        "At full speed 5,000 TPS in a closed loop; "
        "at 3,500 in an open loop this machine was 12 ms late at p99; the plan will peak at 2,500 (50%)."
    )


def test_a_machine_late_at_every_peak_is_told_what_to_expect() -> None:
    sizing = find_peak(5_000, lambda _peak: 40.0)
    assert [trial.peak_tps for trial in sizing.trials] == [3_500, 2_500, 1_750, 1_000, 500]
    assert sizing.in_words().endswith(
        "the plan will peak at 500 (10%). Something else slows this machine: stop it, or expect an INVALID run."
    )


def test_a_target_that_completed_nothing_is_not_tried_and_leaves_the_plan_its_peak() -> None:
    sizing = find_peak(0.0, lambda _peak: pytest.fail("it was tried"))
    assert sizing == Sizing(0.0, [])
    assert sizing.in_words() == (
        "Nothing was completed at full speed in a closed loop: the plan keeps its own peak."
    )


@given(st.floats(0.1, 1e6), lags_ms)
def test_the_peak_is_the_highest_one_tried_on_time_or_the_lowest_there_is(
    full_speed_tps: float, lags: list[float]
) -> None:
    left = iter(lags)
    sizing = find_peak(full_speed_tps, lambda _peak: next(left))
    assert [trial.lag_p99_ms for trial in sizing.trials] == lags[: len(sizing.trials)]
    assert not any(trial.on_time for trial in sizing.trials[:-1])
    assert sizing.trials[-1].on_time or len(sizing.trials) == len(FRACTIONS)
    assert 1 <= sizing.peak_tps <= max(1, round(full_speed_tps * FRACTIONS[0]))


@pytest.mark.parametrize(("lag_ms", "on_time"), [(MAX_LAG_MS, True), (MAX_LAG_MS + 0.001, False)])
def test_the_limit_itself_is_on_time(lag_ms: float, on_time: bool) -> None:
    assert Trial(100, lag_ms).on_time is on_time


def test_a_trial_is_stricter_than_the_judge_of_the_run() -> None:
    assert MAX_LAG_MS <= MAX_LAG_P99_MS / 2
