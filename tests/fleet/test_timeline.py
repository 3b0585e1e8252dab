"""The timeline: every second of a short run, and a long run in bounded memory without losing a count."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.fleet.timeline import WHOLE_SECONDS, Timeline
from loadtest.measure.run_result import TimelinePoint
from loadtest.records import ARRIVAL
from tests.fleet.sample_report import second


def points(timeline: Timeline, rate: float = 0.0) -> Sequence[TimelinePoint]:
    """The timeline's points, for a plan of a constant rate."""
    return list(timeline.points(lambda from_s, to_s: rate * (to_s - from_s)))


def test_every_second_of_a_short_run_is_a_point() -> None:
    timeline = Timeline()
    for index in range(50):
        timeline.add(second(index, (10, 20)))
    shown = points(timeline, rate=3.0)
    assert [point.t_s for point in shown] == [float(index) for index in range(50)]
    assert {(p.planned_tps, p.started_tps, p.completed_tps, p.requests) for p in shown} == {
        (3.0, 2.0, 2.0, 2)
    }
    assert shown[0].response_ms.max == 20.0


def test_seconds_of_several_workers_add_up_also_when_one_is_late() -> None:
    timeline = Timeline()
    timeline.add(second(0))
    for index in range(1, WHOLE_SECONDS + 10):
        timeline.add(second(index))
    timeline.add(second(0, (10, 10), error="refused"))
    first = points(timeline)[0]
    assert (first.scheduled, first.requests, first.completed_tps, first.failed_tps) == (3, 3, 1.0, 2.0)


def test_failed_arrivals_of_every_scenario_are_told_transactions_or_not() -> None:
    timeline = Timeline()
    visit = second(0, (10, 10), error="refused")
    visit.transactions_failed, visit.empty = 0, 1
    timeline.add(visit)
    (point,) = points(timeline)
    assert (point.failed_tps, point.failed_per_s) == (0.0, 3.0)


def test_a_journey_is_not_counted_as_a_request() -> None:
    timeline = Timeline()
    timeline.add(second(0, (500,), key=(ARRIVAL, "Checkout")))
    timeline.add(second(0, (10,)))
    (point,) = points(timeline)
    assert point.requests == 1
    assert point.response_ms.max == 10.0


def test_looking_at_the_points_changes_nothing() -> None:
    timeline = Timeline()
    for index in range(WHOLE_SECONDS * 2):
        timeline.add(second(index))
    assert points(timeline) == points(timeline)


def test_recent_seconds_are_the_newest_oldest_first() -> None:
    timeline = Timeline()
    for index in (3, 1, 2):
        timeline.add(second(index))
    assert [s.index for s in timeline.recent(2)] == [2, 3]


def test_highest_gauge_of_a_second_stays() -> None:
    timeline = Timeline()
    timeline.add(second(0))
    timeline.note_gauges(0, in_flight=5, backlog=1)
    timeline.note_gauges(0, in_flight=2, backlog=7)
    assert [(p.in_flight, p.backlog) for p in points(timeline)] == [(5, 7)]


def test_a_long_run_has_fewer_longer_bins_and_every_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadtest.fleet.timeline.MAX_BINS", 100)
    timeline = Timeline()
    for index in range(1_000):
        timeline.add(second(index, (10,) if index != 500 else (9_000,)))
        timeline.note_gauges(index, in_flight=index % 7, backlog=0)
    shown = points(timeline, rate=1.0)
    assert timeline.bin_s == 16
    assert len(shown) <= 100 + WHOLE_SECONDS
    assert sum(point.scheduled for point in shown) == sum(point.requests for point in shown) == 1_000
    assert sum(point.completed_tps for point in shown) * timeline.bin_s == pytest.approx(1_000)
    assert max(point.response_ms.max for point in shown) == 9_000.0
    assert shown[3].in_flight == 6


@settings(max_examples=50, deadline=None)
@given(indexes=st.lists(st.integers(-5, 200), min_size=1, max_size=80))
def test_no_second_is_lost_in_whatever_order_they_come(indexes: list[int]) -> None:
    timeline = Timeline()
    for index in indexes:
        timeline.add(second(index))
    shown = {point.t_s: point.scheduled for point in points(timeline)}
    assert shown == {float(index): indexes.count(index) for index in set(indexes)}
