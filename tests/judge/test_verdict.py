"""The verdict: which finding makes which other one meaningless."""

import pytest

from loadtest.exit_codes import ExitCode
from loadtest.judge.slo_syntax import parse
from loadtest.judge.verdict import judge, settle
from loadtest.measure.run_result import Arrivals, Audit, Endpoint, Quantiles, RunResult
from tests.judge import test_validity as validity

MISSED = [parse("p99(POST /orders) < 250ms")]  # the endpoint saw no request
KEPT = [parse("dropped == 0")]
BALANCED = Audit(acknowledged=1, stored=1, lost=0, duplicated=0, oversold=0, phantom=0, shadow_leaks=0)
UNBALANCED = Audit(acknowledged=1, stored=0, lost=1, duplicated=0, oversold=0, phantom=0, shadow_leaks=0)


def run(*, failures: int = 0, **of_worker: float) -> RunResult:
    """A run in which every arrival made a request, of which some failed."""
    result = validity.run(**of_worker)  # type: ignore[arg-type]  # a worker's figures
    result.endpoints["GET /ok"] = Endpoint(
        requests=1000,
        failures=failures,
        response_ms=Quantiles(count=1000, p99=10.0),
        service_ms=Quantiles(count=1000, p99=10.0),
    )
    result.arrivals.ok, result.arrivals.failed = 1000 - failures, failures
    return result


def late() -> RunResult:
    """A run that is INVALID."""
    result = run(dispatch_lag_p99_ms=50.0)
    result.generator.dispatch_lag_ms = Quantiles(count=1000, p99=50.0)
    return result


def test_everything_held() -> None:
    result = judge(run(), KEPT, aborted=None)
    assert (result.verdict, result.exit_code) == ("PASS", ExitCode.PASS)
    assert all(objective.passed for objective in result.slo)


def test_a_missed_objective_fails_the_run() -> None:
    result = judge(run(), [*KEPT, *MISSED], aborted=None)
    assert (result.verdict, result.exit_code) == ("FAIL", ExitCode.SLO_FAIL)


def test_an_objective_of_an_invalid_run_says_nothing() -> None:
    result = judge(late(), MISSED, aborted=None)
    assert (result.verdict, result.exit_code) == ("INVALID", ExitCode.INVALID)


def test_one_stall_of_a_small_run_passes_with_a_note_and_proves_nothing_where_an_objective_was_missed() -> (
    None
):
    def stalled() -> RunResult:
        result = late()
        result.generator.late_arrivals = 2
        return result

    passed = judge(stalled(), KEPT, aborted=None)
    assert (passed.verdict, passed.validity.verdict) == ("PASS", "DEGRADED")
    assert judge(stalled(), MISSED, aborted=None).verdict == "INVALID"


def test_an_aborted_run_is_aborted_even_if_it_was_late_and_says_by_what() -> None:
    result = judge(late(), MISSED, aborted="somebody pressed Ctrl-C")
    assert (result.verdict, result.exit_code) == ("ABORTED", ExitCode.ABORTED)
    assert result.validity.reasons[0] == "stopped after 10.0 s: somebody pressed Ctrl-C"


@pytest.mark.parametrize(
    ("aborted", "audit", "slos", "code"),
    [
        (None, BALANCED, KEPT, ExitCode.PASS),
        (None, UNBALANCED, KEPT, ExitCode.AUDIT_MISMATCH),
        (None, UNBALANCED, MISSED, ExitCode.AUDIT_MISMATCH),
        (None, BALANCED, MISSED, ExitCode.SLO_FAIL),
        ("stopped", UNBALANCED, KEPT, ExitCode.ABORTED),
    ],
)
def test_an_audit_added_later_is_settled_into_the_verdict(
    aborted: str | None, audit: Audit, slos: list[object], code: ExitCode
) -> None:
    result = judge(run(), slos, aborted=aborted)  # type: ignore[arg-type]
    result.audit = audit
    assert settle(result).exit_code == code


def test_an_audit_cannot_save_an_invalid_run() -> None:
    result = judge(late(), KEPT, aborted=None)
    result.audit = UNBALANCED
    assert settle(result).verdict == "INVALID"


def implicit(result: RunResult) -> dict[str, bool]:
    """The objectives that nobody wrote, and whether each was met."""
    return {slo.expr: slo.passed for slo in result.slo if slo.source == "implicit"}


def test_a_run_without_objectives_of_its_own_still_has_those_that_every_run_has() -> None:
    result = judge(run(failures=1000), [], aborted=None)
    assert result.verdict == "FAIL"
    assert implicit(result) == {"errors(*) < 1%": False, "availability > 99%": False, "dropped == 0": True}


@pytest.mark.parametrize(
    ("own", "lifted"),
    [
        ("errors(*) < 60%", {"errors(*) < 1%"}),
        ("errors(GET /ok) < 60%", {"errors(*) < 1%"}),
        ("errors(GET /another) < 60%", set()),
        ("errors(*) during spike < 60%", set()),
        ("availability > 40%", {"availability > 99%"}),
        ("availability > 40% in every 10 s", {"availability > 99%"}),
        ("dropped <= 5", {"dropped == 0"}),
        ("p99(*) < 1s", set()),
    ],
)
def test_an_implicit_objective_is_lifted_only_by_ones_own_on_the_same_measure_over_the_whole_run(
    own: str, lifted: set[str]
) -> None:
    before = implicit(judge(run(failures=500), [], aborted=None))
    after = implicit(judge(run(failures=500), [parse(own)], aborted=None))
    assert set(before) - set(after) == lifted


def test_errors_of_ones_own_lift_the_implicit_ones_where_they_cover_all_that_was_requested_together() -> None:
    result = run(failures=500)
    result.endpoints["POST /orders"] = result.endpoints["GET /ok"]
    result.endpoints["arrival Buyer"] = result.endpoints["GET /ok"]
    some = [parse("errors(GET /ok) < 60%")]
    assert "errors(*) < 1%" in implicit(judge(result, some, aborted=None))
    every = [*some, parse("errors(POST *) < 60%")]
    assert "errors(*) < 1%" not in implicit(judge(result, every, aborted=None))


def test_a_run_without_a_single_request_is_no_pass_whatever_else_is_asked() -> None:
    result = judge(validity.run(), [parse("dropped == 0")], aborted=None)
    assert result.verdict == "FAIL"
    (missed,) = [slo for slo in result.slo if not slo.passed]
    assert (missed.expr, missed.observed, missed.note) == ("errors(*) < 1%", None, "no requests")


def test_a_scenario_that_made_no_request_fails_the_run_and_is_named() -> None:
    result = run()
    result.scenarios_without_requests = ["Refund"]
    judge(result, [], aborted=None)
    (missed,) = [slo for slo in result.slo if not slo.passed]
    assert (missed.expr, missed.note) == ("scenarios_without_requests == 0", "no request was made by Refund")
    assert judge(result, [parse("scenarios_without_requests <= 1")], aborted=None).verdict == "PASS"


@pytest.mark.parametrize("kind", ["cancelled", "dropped", "empty"])
def test_arrivals_that_were_never_answered_dropped_or_empty_were_not_available(kind: str) -> None:
    result = run()
    result.arrivals = Arrivals(planned=1000, scheduled=1000, started=1000, ok=980, **{kind: 20})
    judge(result, [], aborted=None)
    (availability,) = [slo for slo in result.slo if slo.expr.startswith("availability")]
    assert (availability.observed, availability.passed) == (98.0, False)
    assert result.verdict == "FAIL"
