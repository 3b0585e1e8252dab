"""How a target took a fault, told from a curve: when it showed, when all was normal again, what was still done."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.judge.recovery import SETTLED_S
from loadtest.judge.slo_syntax import parse
from loadtest.judge.verdict import judge
from loadtest.measure.run_result import (
    Arrivals,
    Endpoint,
    FaultResult,
    Period,
    Quantiles,
    RunInfo,
    RunResult,
    TimelinePoint,
    Transactions,
)

TPS = 100.0
NORMAL_MS = 10.0


@dataclass
class Bad:
    """Seconds [from_s, to_s) of a curve that are not normal."""

    from_s: int
    to_s: int
    share: float = 0.0
    p99_ms: float = NORMAL_MS


def curve(seconds: int, *bad: Bad) -> list[TimelinePoint]:
    points = []
    for t_s in range(seconds):
        here = next((one for one in bad if one.from_s <= t_s < one.to_s), Bad(0, 0, share=1.0))
        failed = round(TPS * (1 - here.share))
        points.append(
            TimelinePoint(
                t_s=t_s,
                planned_tps=TPS,
                started_tps=TPS,
                completed_tps=TPS * here.share,
                failed_per_s=failed,
                scheduled=100,
                started=100,
                requests=100,
                failures=failed,
                response_ms=Quantiles(count=100, p99=here.p99_ms),
            )
        )
    return points


def fault(at_s: float = 10.0, for_s: float = 4.0, **more: object) -> FaultResult:
    played: dict[str, object] = {
        "name": "cut",
        "kind": "loss",
        "from_s": at_s,
        "to_s": at_s + for_s,
        "planned": TPS * for_s,
        "recovers_within_s": 5.0,
        "began_s": at_s,
        "ended_s": at_s + for_s,
    }
    return FaultResult(**(played | more))  # type: ignore[arg-type]  # as the caller says


def run_of(points: list[TimelinePoint], *faults: FaultResult, transactions: int = 0) -> RunResult:
    started = sum(point.started for point in points)
    failed = sum(point.failures for point in points)
    return RunResult(
        run=RunInfo(
            id="r", plan="p", started_at="", duration_s=float(len(points)), seed=1, versions={}, machine={}
        ),
        arrivals=Arrivals(
            planned=started, scheduled=started, started=started, ok=started - failed, failed=failed
        ),
        transactions=Transactions(count=started - failed),
        endpoints={
            "POST /orders": Endpoint(
                requests=started,
                failures=failed,
                errors={"reset": failed},
                response_ms=Quantiles(count=started),
                service_ms=Quantiles(),
            )
        },
        scenarios_without_requests=[],
        timeline=points,
        periods=[
            Period(name=one.name, from_s=one.from_s, to_s=one.to_s, transactions=transactions)
            for one in faults
        ],
        faults=list(faults),
    )


def judged(result: RunResult) -> dict[str, bool]:
    judge(result, [], aborted=None)
    return {slo.expr: slo.passed for slo in result.slo if slo.source == "fault"}


def test_it_shows_at_the_end_of_the_first_bad_second_and_is_over_where_all_stays_normal() -> None:
    one = fault(detected_within_s=2.0)
    assert judged(run_of(curve(30, Bad(11, 17)), one)) == {
        "cut recovers_within <= 5s": True,
        "cut detected_within <= 2s": True,
    }
    assert (one.detected_in_s, one.recovered_in_s) == (2.0, 3.0)


def test_slow_answers_show_as_failures_do() -> None:
    one = fault()
    judged(run_of(curve(30, Bad(10, 15, share=1.0, p99_ms=400)), one))
    assert (one.detected_in_s, one.recovered_in_s) == (1.0, 1.0)


def test_a_moment_of_calm_is_no_recovery() -> None:
    one = fault()
    assert judged(run_of(curve(30, Bad(10, 15), Bad(17, 20)), one)) == {"cut recovers_within <= 5s": False}
    assert one.recovered_in_s == 6.0


def test_what_never_becomes_normal_again_has_not_recovered() -> None:
    one = fault()
    result = run_of(curve(30, Bad(10, 30)), one)
    assert judged(result) == {"cut recovers_within <= 5s": False}
    assert one.recovered_in_s is None
    assert result.verdict == "FAIL"


def test_a_fault_that_nothing_shows_of_was_recovered_from_at_once_and_not_detected() -> None:
    one = fault(detected_within_s=3.0)
    assert judged(run_of(curve(30), one)) == {
        "cut recovers_within <= 5s": True,
        "cut detected_within <= 3s": False,
    }
    assert (one.detected_in_s, one.recovered_in_s) == (None, 0.0)


def test_goodput_is_a_share_of_what_is_planned_without_the_fault() -> None:
    one = fault(least_goodput=(">", 0.8))
    assert judged(run_of(curve(30), one, transactions=320))["cut goodput > 80%"] is False
    assert judged(run_of(curve(30), one, transactions=321))["cut goodput > 80%"] is True


def test_of_two_faults_that_overlap_both_are_over_with_the_last() -> None:
    first, second = fault(10, 6), fault(12, 2, name="kill")
    judged(run_of(curve(40, Bad(10, 18)), first, second))
    assert (first.recovered_in_s, second.recovered_in_s) == (2.0, 4.0)


def test_what_is_implicit_is_about_the_time_outside_of_faults() -> None:
    result = judge(run_of(curve(30, Bad(10, 14)), fault()), [], aborted=None)
    assert result.verdict == "PASS"
    implicit = {slo.expr: slo.note for slo in result.slo if slo.source == "implicit"}
    assert implicit["errors(*) < 1%"] == "outside of faults"
    worse = judge(run_of(curve(30, Bad(10, 14), Bad(24, 26)), fault()), [], aborted=None)
    assert {slo.expr for slo in worse.slo if not slo.passed} == {"errors(*) < 1%", "availability > 99%"}


def test_ones_own_objective_is_about_the_whole_run() -> None:
    result = judge(run_of(curve(30, Bad(10, 14)), fault()), [parse("errors(*) < 5%")], aborted=None)
    assert [slo.passed for slo in result.slo if slo.expr == "errors(*) < 5%"] == [False]


def test_a_fault_that_could_not_be_played_makes_the_run_invalid_and_says_why() -> None:
    one = fault(began_s=None, ended_s=None, problem="`mend` ended with exit code 3: no such shop")
    result = judge(run_of(curve(30), one), [], aborted=None)
    assert result.verdict == "INVALID"
    assert any("cut" in reason and "no such shop" in reason for reason in result.validity.reasons)


@given(
    at=st.integers(4, 20),
    lasts=st.integers(1, 10),
    heals=st.integers(0, 8),
    later=st.integers(4, 12),
)
def test_detection_and_recovery_are_found_wherever_they_lie(
    at: int, lasts: int, heals: int, later: int
) -> None:
    one = fault(at, lasts)
    end = at + lasts + heals
    judged(run_of(curve(end + later, Bad(at, end)), one))
    assert one.detected_in_s == 1.0
    assert later >= SETTLED_S
    assert one.recovered_in_s == pytest.approx(heals)
