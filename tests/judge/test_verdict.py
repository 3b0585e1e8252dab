"""The verdict: which finding makes which other one meaningless."""

import pytest

from loadtest.exit_codes import ExitCode
from loadtest.judge.slo_syntax import parse
from loadtest.judge.verdict import judge, settle
from loadtest.measure.run_result import Audit, Quantiles, RunResult
from tests.judge.test_validity import run

MISSED = [parse("p99(POST /orders) < 250ms")]  # the endpoint saw no request: no data is not a pass
KEPT = [parse("dropped == 0")]
BALANCED = Audit(acknowledged=1, stored=1, lost=0, duplicated=0, oversold=0, phantom=0, shadow_leaks=0)
UNBALANCED = Audit(acknowledged=1, stored=0, lost=1, duplicated=0, oversold=0, phantom=0, shadow_leaks=0)


def late() -> RunResult:
    """A run that is INVALID."""
    result = run(dispatch_lag_p99_ms=50.0)
    result.generator.dispatch_lag_ms = Quantiles(count=1000, p99=50.0)
    return result


def test_everything_held() -> None:
    result = judge(run(), KEPT, aborted=None)
    assert (result.verdict, result.exit_code) == ("PASS", ExitCode.PASS)
    assert [objective.passed for objective in result.slo] == [True]


def test_a_missed_objective_fails_the_run() -> None:
    result = judge(run(), [*KEPT, *MISSED], aborted=None)
    assert (result.verdict, result.exit_code) == ("FAIL", ExitCode.SLO_FAIL)


def test_an_objective_of_an_invalid_run_says_nothing() -> None:
    result = judge(late(), MISSED, aborted=None)
    assert (result.verdict, result.exit_code) == ("INVALID", ExitCode.INVALID)


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
