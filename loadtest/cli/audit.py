"""`singlesday audit` and `report`: a finished run's verdict and all its files, written together.

So result.json, report.html, junit.xml, summary.md and the exit code of an audit never contradict each other.
"""

from pathlib import Path

from rich.console import Console

from loadtest.judge.verdict import settle
from loadtest.measure.run_result import Audit, RunResult
from loadtest.publish.run_folder import deliver
from loadtest.publish.wording import all_stored, audit_findings


def print_audit(audit: Audit, console: Console) -> None:
    """Print how many orders the client and the database know and, if they differ, how."""
    console.print(
        f"{audit.acknowledged:,} orders acknowledged, {audit.stored:,} stored, {audit.unknown:,} unanswered"
    )
    for finding in audit_findings(audit) or [all_stored(audit)]:
        console.print(finding, soft_wrap=True)


def settle_folder(folder: Path, result: RunResult, audit: Audit | None = None) -> None:
    """Write a run's verdict and every file drawn from it anew, with an audit if there is one. Raises `OSError`."""
    if audit is not None:
        result.audit = audit
    deliver(settle(result), folder)
