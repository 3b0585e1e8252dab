"""The live record: history in bins, and what a run is said to come to while it goes on."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.measure.run_result import Arrivals, Quantiles, RunResult, SloResult, TimelinePoint, Validity
from loadtest.publish import live
from loadtest.publish.run_charts import of_run
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
    assert [o.state for o in live.objectives([missed, unknown], said)] == ["missed", "waiting"]
    ended = live.Verdict(word="FAIL", sentence="", reasons=[], final=True)
    assert [o.state for o in live.objectives([missed, unknown], ended)] == ["missed", "missed"]
    stopped = live.Verdict(word="ABORTED", sentence="", reasons=[], final=True)
    assert [o.state for o in live.objectives([missed, unknown], stopped)] == ["missed so far", "not judged"]


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


def said(word: str, *reasons: str, final: bool = False) -> live.Verdict:
    return live.Verdict(word=word, sentence=word, reasons=list(reasons), final=final)


def test_a_verdict_gets_worse_after_three_seconds_and_better_after_ten() -> None:
    steady = live.SteadyVerdict()
    shown = []
    for at_s in range(30):
        word = "FAIL" if 5 <= at_s < 12 or at_s == 2 else "PASS"
        shown.append(steady.say(said(word), float(at_s)).word)
    assert shown == ["PASS"] * 8 + ["FAIL"] * 14 + ["PASS"] * 8


def test_a_verdict_that_is_final_or_the_first_is_said_at_once() -> None:
    steady = live.SteadyVerdict()
    assert steady.say(said("WAITING"), 0).word == "WAITING"
    assert steady.say(said("PASS"), 1).word == "PASS"
    assert steady.say(said("PASS", "a new reason"), 2).reasons == ["a new reason"]
    assert steady.say(said("INVALID"), 3).word == "PASS"
    assert steady.say(said("INVALID", final=True), 3.5).word == "INVALID"


def worker(name: str, state: str) -> live.WorkerRow:
    return live.WorkerRow(
        name=name, state=state, cpu=0.1, started=1, in_flight=0, backlog=0, lag_p99_ms=0.1, report_gaps=0
    )


def test_a_lost_worker_and_a_rate_that_is_not_reached_put_a_run_at_risk() -> None:
    slow = [TimelinePoint(t_s=t_s, planned_tps=1000, completed_tps=870) for t_s in range(live.RATE_S)]
    dangers = live.dangers([worker("worker 1", "serving"), worker("worker 2", "lost")], slow, "order")
    assert dangers == [
        "worker 2 is lost; the others have taken over its arrivals.",
        "The target completes less than is planned: 870 of 1,000 orders/s over the last 5 s.",
    ]
    verdict = live.verdict(going(), over=False, dangers=dangers)
    assert (verdict.word, verdict.reasons[:2]) == ("AT RISK", dangers)


def test_chance_at_a_low_rate_is_no_danger() -> None:
    few = [TimelinePoint(t_s=t_s, planned_tps=2, completed_tps=1) for t_s in range(live.RATE_S)]
    assert live.dangers([worker("worker 1", "serving")], few, "order") == []
    assert live.dangers([], [TimelinePoint(t_s=0, planned_tps=1000)], "order") == [], "too short a time"


def test_endpoints_have_their_share_and_their_rate_of_late() -> None:
    rows = live.endpoint_rows(a_failed_run(), {"POST /orders": 120.0})
    assert rows[0].name == "POST /orders"
    assert rows[0].rate == 120
    assert sum(row.share for row in rows) == pytest.approx(1)
    assert live.endpoint_rows(a_failed_run(), None)[0].rate == 1124.65, "after the end: 67,479 in 60 s"


def test_an_audit_that_was_not_made_says_why_in_a_sentence() -> None:
    result = a_failed_run()
    result.audit, result.unaudited = None, "no database given (--audit-store)"
    said = live.audit(result, over=True, under_way=False)
    assert said == "The orders were not checked: no database given (--audit-store)."


def test_a_page_that_knows_nothing_gets_the_whole_plan_and_later_only_what_is_new() -> None:
    result = a_failed_run()
    points = result.timeline[:10]

    def ahead(from_s: float, to_s: float) -> float:
        return 7.0 * (to_s - from_s)

    whole = of_run(result, points, 1, 60.0, now_s=10.0, planned=ahead)
    assert whole.t == [float(t_s) for t_s in range(60)]
    rates = {line.key: line.values for line in whole.charts[0].lines}
    assert len(rates["planned"]) == 60
    assert rates["planned"][-1] == 7
    assert len(rates["completed"]) == 10
    news = of_run(result, points[8:], 1, 60.0, now_s=10.0, planned=None)
    assert news.t == [8, 9]
