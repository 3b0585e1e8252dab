"""Whether a run held its peak, and when its target fell behind."""

import pytest

from loadtest.judge.peak import fell_short, find_peak
from loadtest.measure.run_result import RunResult, TimelinePoint
from tests.publish.sample_result import a_failed_run, an_empty_run


def played(*rates: tuple[float, float], arrivals: str = "uniform") -> RunResult:
    """A run with one second for each (planned, completed)."""
    result = an_empty_run()
    result.run.duration_s = float(len(rates))
    result.run.settings["arrivals"] = arrivals
    result.timeline = [
        TimelinePoint(
            t_s=t_s, planned_tps=planned, started_tps=done, completed_tps=done, scheduled=1, started=1
        )
        for t_s, (planned, done) in enumerate(rates)
    ]
    return result


def test_a_peak_that_was_completed_within_one_percent_was_held() -> None:
    peak = find_peak(played((500, 500), (1000, 1000), (995, 990), (500, 100)))
    assert peak is not None
    assert (peak.planned_tps, peak.lasted_s, peak.held_s) == (1000, 2, 2)
    assert (peak.best_tps, peak.best_at_s) == (1000, 1)


def test_seconds_in_which_the_target_fell_behind_are_not_held() -> None:
    peak = find_peak(played((1000, 1000), (1000, 800), (1000, 985)))
    assert peak is not None
    assert (peak.lasted_s, peak.held_s) == (3, 1)
    assert peak.share == pytest.approx(0.928, abs=0.001)


def test_a_random_schedule_is_held_to_what_it_drew_and_not_to_less_than_it_may_draw() -> None:
    drawn = find_peak(played((1000, 950), arrivals="poisson"))
    assert drawn is not None
    assert drawn.held_s == 1
    lost = find_peak(played((1000, 600), arrivals="poisson"))
    assert lost is not None
    assert lost.held_s == 0


def test_a_low_rate_is_held_when_all_but_one_was_completed() -> None:
    peak = find_peak(played((5.5, 5), (5.5, 6)))
    assert peak is not None
    assert peak.held_s == 2


def test_a_run_that_planned_nothing_has_no_peak() -> None:
    assert find_peak(an_empty_run()) is None


def test_neighbouring_seconds_behind_are_one_time_with_its_share() -> None:
    assert fell_short(played((100, 100), (100, 50), (100, 0), (100, 100), (100, 40))) == [
        (1, 3, 0.25),
        (4, 5, 0.4),
    ]


def test_a_stall_is_found_where_it_was() -> None:
    assert [(from_s, to_s) for from_s, to_s, share in fell_short(a_failed_run()) if share < 0.9] == [(30, 31)]
