"""The verdict of a run: first whether it is valid, then its objectives, then its audit.

    INVALID   the generator failed: nothing else can be said           exit 11
    ABORTED   stopped before its end: what was seen is incomplete      exit 12
    AUDIT     the service's orders do not match: speed does not matter     exit 13
    FAIL      an objective was missed                                  exit 10
    PASS      everything held                                          exit 0

A run that was stopped by hand is ABORTED even if its generator was late, because whoever stopped it knows.
"""

from collections.abc import Sequence

from loadtest.exit_codes import ExitCode
from loadtest.judge.consistency import unsupported_orders
from loadtest.judge.findings import find
from loadtest.judge.implicit import with_implicit
from loadtest.judge.observation import Observations
from loadtest.judge.recovery import judge_faults, outside_faults
from loadtest.judge.slo import can_be_judged, evaluate
from loadtest.judge.slo_syntax import Slo
from loadtest.judge.validity import INVALID, judge_validity
from loadtest.measure.run_result import RunResult, Validity

VERDICTS = {
    ExitCode.PASS: "PASS",
    ExitCode.SLO_FAIL: "FAIL",
    ExitCode.INVALID: "INVALID",
    ExitCode.ABORTED: "ABORTED",
    ExitCode.AUDIT_MISMATCH: "AUDIT",
}


def judge(
    result: RunResult,
    slos: Sequence[Slo],
    *,
    aborted: str | None,
    observations: Observations | None = None,
    final: bool = True,
) -> RunResult:
    """Fill in validity, objectives, findings, verdict and exit code; returns the same record.

    `slos` are one's own; the implicit ones (`judge.implicit`) and those of faults (`judge.recovery`) join them.
    `observations` remembers, for a run that is judged again and again, what was seen of periods that are over.
    `final` is False for what is told of a run whose master was killed.
    """
    every = with_implicit(slos, result.endpoints)
    of_faults = judge_faults(result)
    result.slo = [
        outside_faults(slo, result) or evaluate(slo, result, observations)
        for slo in every
        if can_be_judged(slo, result)
    ]
    result.slo += of_faults
    met = all(objective.passed for objective in result.slo)
    result.validity = judge_validity(result, objectives_met=met, final=final)
    result.findings = find(result)
    if aborted is not None:
        if not result.arrivals.planned:  # it never began: nothing else can be said of it
            result.validity.reasons.clear()
        result.validity.reasons.insert(0, f"stopped after {result.run.duration_s:.1f} s: {aborted}")
        result.verdict, result.exit_code = VERDICTS[ExitCode.ABORTED], int(ExitCode.ABORTED)
        return result
    return settle(result)


def settle(result: RunResult) -> RunResult:
    """Set verdict and exit code from the rest of the record; done again when an audit has been added."""
    if result.verdict == VERDICTS[ExitCode.ABORTED]:
        return result
    if unsupported := [one for one in unsupported_orders(result) if one not in result.validity.reasons]:
        result.validity = Validity(verdict=INVALID, reasons=[*unsupported, *result.validity.reasons])
    code = _exit_code(result)
    result.verdict, result.exit_code = VERDICTS[code], int(code)
    return result


def _exit_code(result: RunResult) -> ExitCode:
    if result.validity.verdict == INVALID:
        return ExitCode.INVALID
    if result.audit is not None and not result.audit.balanced:
        return ExitCode.AUDIT_MISMATCH
    if not all(objective.passed for objective in result.slo):
        return ExitCode.SLO_FAIL
    return ExitCode.PASS
