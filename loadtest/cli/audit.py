"""`singlesday audit`: a run's books against the service's database."""

from pathlib import Path

from rich.console import Console

from loadtest.cli.stored_books import read_stored_books
from loadtest.judge.audit import reconcile
from loadtest.measure.ledger import read_ledgers
from loadtest.measure.run_result import Audit
from loadtest.publish.wording import audit_findings


def audit_folder(folder: Path, run_id: str, store: str) -> Audit:
    """Reconcile the ledgers in a run folder with a store. Raises `StoreError`, `OSError`."""
    return reconcile(read_ledgers(folder / "ledger", run_id), read_stored_books(store, run_id))


def print_audit(audit: Audit, console: Console) -> None:
    """Print the books side by side and, if they differ, how."""
    console.print(
        f"{audit.acknowledged:,} orders acknowledged, {audit.stored:,} stored, {audit.unknown:,} unanswered"
    )
    for finding in audit_findings(audit) if not audit.balanced else ["the books are balanced"]:
        console.print(finding, soft_wrap=True)
