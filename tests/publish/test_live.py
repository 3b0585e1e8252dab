"""The live record: history in bins, and what a run is said to come to while it goes on."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.measure.run_result import Arrivals, Quantiles, RunResult, SloResult, TimelinePoint, Validity
from loadtest.publish import live
from tests.publish.sample_result import a_failed_run


def second(t_s: int, completed: float = 1.0) -> TimelinePoint:
    return TimelinePoint(
        t_s=t_s, completed_tps=completed, response_ms=Quantiles(count=1, p50=1, p99=completed)
    )


def going(**changes: object) -> RunResult:
    base = msgspec.structs.replace(a_failed_run(), slo=[], validity=Validity(), audit=None, verdict="PASS")
    return msgspec.structs.replace(base, **changes)


def test_a_short_run_keeps_every_second() -> None:
    history = live.History(60)
    history.update(map(second, range(60)))
    assert [point.t_s for point in history.since(0)] == list(range(60))


def test_a_page_that_knows_the_past_is_told_only_what_may_have_changed() -> None:
    history = live.History(600)
    for t_s in range(100):
        history.update([second(t_s)])
    told = [point.t_s for point in history.since(99)]
    assert told[-1] == 99
    assert len(told) <= 2 * live.LATE_S + 1


def test_a_second_that_changes_is_told_again_as_it_is_now() -> None:
    history = live.History(60)
    history.update([second(0), second(1, completed=1)])
    history.update([second(1, completed=7)])
    assert [point.completed_tps for point in history.since(1)] == [1, 7]


@given(st.integers(1, 90_000), st.integers(1, 400))
def test_the_page_never_gets_more_points_than_it_has_room_for(duration_s: int, steps: int) -> None:
    history = live.History(duration_s)
    stride = max(1, duration_s // steps)
    for t_s in range(0, duration_s, stride):
        history.update([second(t_s)])
    points = history.since(0)
    assert len(points) <= live.MOST_POINTS + 1
    assert [point.t_s for point in points] == sorted({point.t_s for point in points})


def test_bins_of_a_long_run_keep_the_worst_latency_and_the_mean_rate() -> None:
    history = live.History(live.MOST_POINTS * 2)
    for t_s in range(20):
        history.update([second(t_s, completed=float(t_s % 2))])
    first = history.since(0)[0]
    assert first.completed_tps == pytest.approx(0.5)
    assert first.response_ms.p99 == 1.0


def test_what_a_look_costs_depends_on_what_has_happened_not_on_how_long_the_run_may_last() -> None:
    centuries = live.History(1e18)  # a bin of which has more seconds than anything could go through
    for t_s in range(5):
        centuries.update([second(t_s)])
    assert [point.t_s for point in centuries.since(0)] == [0]


def test_before_the_first_report_nothing_is_claimed() -> None:
    assert live.verdict(going(arrivals=Arrivals()), over=False).word == "WAITING"


def test_an_objective_that_is_missed_is_said_before_the_end_and_one_without_data_is_not() -> None:
    missed = SloResult(expr="p99(POST /orders) < 1ms", observed=5.0, passed=False)
    unknown = SloResult(expr="p99(POST /orders) during plateau < 1s", observed=None, passed=False)
    said = live.verdict(going(slo=[missed, unknown]), over=False)
    assert (said.word, said.final) == ("FAIL", False)
    assert said.reasons == ["p99(POST /orders) < 1ms: 5ms so far."]
    assert live.verdict(going(slo=[unknown]), over=False).word == "PASS"
    assert [o.state for o in live.objectives([missed, unknown], over=False)] == ["missed", "waiting"]
    assert [o.state for o in live.objectives([missed, unknown], over=True)] == ["missed", "missed"]


def test_a_generator_that_fails_makes_everything_else_moot() -> None:
    late = Validity(verdict="INVALID", reasons=["worker 1 was late"])
    said = live.verdict(going(validity=late), over=False)
    assert (said.word, said.reasons) == ("INVALID", ["worker 1 was late"])


def test_while_a_run_goes_on_what_is_on_its_way_has_its_own_term() -> None:
    arrivals = Arrivals(planned=10, scheduled=10, started=8, dropped=1, ok=5, failed=1)
    first, then = live.equations(going(arrivals=arrivals), over=False)
    assert first == ("scheduled 10 = started 8 + dropped 1 + waiting 1", True)
    assert then == ("started 8 = ok 5 + failed 1 + empty 0 + cancelled 0 + in flight 2", True)


@pytest.mark.parametrize("validity", ["VALID", "INVALID"])
def test_an_endpoint_that_is_never_requested_is_told_early_whatever_else_is_wrong(validity: str) -> None:
    result = a_failed_run()
    note = "no requests to POST /order; the nearest that was requested is POST /orders"
    result.slo = [SloResult(expr="p99(POST /order) < 1s", observed=None, passed=False, note=note)]
    result.validity.verdict = validity
    assert live.verdict(result, over=False, played_s=4.9).reasons == []
    assert live.verdict(result, over=False, played_s=5.0).reasons == [f"p99(POST /order) < 1s: {note} so far"]
