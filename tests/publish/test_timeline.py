"""Thinning: fewer points, nothing hidden."""

from hypothesis import given
from hypothesis import strategies as st

from loadtest.measure.run_result import Quantiles, TimelinePoint
from loadtest.publish.timeline import end_s, ends_s, shown, thin
from tests.publish.sample_result import an_empty_run


def point(second: int, requests: int = 1, p99: float = 1.0) -> TimelinePoint:
    return TimelinePoint(
        t_s=second,
        planned_tps=requests,
        requests=requests,
        backlog=requests,
        response_ms=Quantiles(count=requests, p99=p99),
        heat=[(1000, requests)],
    )


def test_a_short_timeline_is_left_alone() -> None:
    points = [point(second) for second in range(5)]
    assert thin(points, 5) == points


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=200), st.integers(1, 50))
def test_thinning_keeps_amounts_and_the_worst_moment(amounts: list[int], most: int) -> None:
    points = [point(second, amount, p99=float(amount)) for second, amount in enumerate(amounts)]
    thinned = thin(points, most)
    assert len(thinned) <= most
    assert sum(p.requests for p in thinned) == sum(amounts)
    assert sum(count for p in thinned for _, count in p.heat) == sum(amounts)
    assert max(p.response_ms.p99 for p in thinned) == max(amounts)
    assert max(p.backlog for p in thinned) == max(amounts)


def test_rates_become_means() -> None:
    assert [p.planned_tps for p in thin([point(0, 10), point(1, 20), point(2, 7)], 2)] == [15, 7]


def test_a_point_ends_where_the_next_begins_and_the_last_with_the_run() -> None:
    assert ends_s([point(0), point(1), point(5)], 9.5) == [1, 5, 9.5]
    assert ends_s([], 9.5) == []


def test_seconds_after_the_end_are_shown_only_while_answers_still_come() -> None:
    result = an_empty_run()
    result.run.duration_s = 2.0
    result.timeline = [point(0), point(1), point(2), point(3, requests=0), point(4, requests=0)]
    assert [p.t_s for p in shown(result)] == [0, 1, 2]
    assert end_s(result) == 3
    result.timeline[2].requests = 0
    assert [p.t_s for p in shown(result)] == [0, 1]
    assert end_s(result) == 2


def test_a_silent_second_within_the_run_is_shown() -> None:
    result = an_empty_run()
    result.run.duration_s, result.timeline = 2.0, [point(0), point(1, requests=0)]
    assert len(shown(result)) == 2
