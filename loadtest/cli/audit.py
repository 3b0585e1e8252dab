"""`singlesday audit`: a run's books against the service's database."""

from pathlib import Path

from loadtest.cli.stored_books import read_stored_books
from loadtest.judge.audit import reconcile
from loadtest.measure.ledger import read_ledgers
from loadtest.measure.run_result import Audit


def audit_folder(folder: Path, run_id: str, store: str) -> Audit:
    """Reconcile the ledgers in a run folder with a store. Raises `StoreError`, `OSError`."""
    return reconcile(read_ledgers(folder / "ledger", run_id), read_stored_books(store, run_id))
