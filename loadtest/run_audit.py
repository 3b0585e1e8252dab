"""The audit of a finished run: the ledgers that its workers kept, against the orders in the service's database.

    LOADTEST_AUDIT_STORE=postgresql://... python -m loadtest.run_audit FOLDER

prints the outcome as JSON. A master audits by this process of its own, since reading a hundred thousand orders would
keep it from everything else; the store's address is in the environment, where no list of processes shows it.
"""

import os
import sys
from pathlib import Path

import msgspec

from loadtest.exit_codes import ExitCode
from loadtest.judge.audit import reconcile
from loadtest.measure.ledger import read_ledgers
from loadtest.measure.run_result import Audit, RunResult
from loadtest.stored_orders import StoreError, read_stored_orders

STORE_VARIABLE = "LOADTEST_AUDIT_STORE"
RESULT = "result.json"


class IncompleteLedgerError(Exception):
    """Ledgers are missing from the run folder, or list no order at all, so there is nothing to compare."""


def audit_folder(folder: Path, result: RunResult, store: str) -> Audit:
    """Reconcile the ledgers in a run folder with a store. Raises `IncompleteLedgerError`, `StoreError`, `OSError`.

    Where both sides are empty nothing was checked: what such a run sent (parcels, say) is in no ledger.
    """
    run_id, ledger = result.run.id, folder / "ledger"
    audit = reconcile(read_ledgers(ledger, run_id), read_stored_orders(store, run_id))
    nothing_noted = next(iter(read_ledgers(ledger, run_id)), None) is None
    if nothing_noted and audit.balanced and not audit.stored and result.arrivals.started:
        raise IncompleteLedgerError("the run created no orders, and only orders can be checked")
    return audit


def audit_run(folder: Path, store: str) -> Audit:
    """The audit of the run in a folder. Raises `IncompleteLedgerError`, `StoreError`, `OSError`.

    A worker on another machine may have kept its ledger there; then the service seems to hold orders that nobody
    sent, and the run has more transactions than its ledgers have orders.
    """
    result = RunResult.read(folder / RESULT)
    audit = audit_folder(folder, result, store)
    noted = sum(1 for _ in read_ledgers(folder / "ledger", result.run.id))
    if noted < result.transactions.count:
        raise IncompleteLedgerError(
            f"the ledgers in {folder / 'ledger'} list {noted:,} orders of {result.transactions.count:,}; copy "
            "the ledgers of workers on other machines there (orders of scripts without one cannot be checked)"
        )
    return audit


def main() -> None:
    """Audit the folder named on the command line."""
    try:
        audit = audit_run(Path(sys.argv[1]), os.environ[STORE_VARIABLE])
    except (IncompleteLedgerError, StoreError, OSError, msgspec.MsgspecError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(int(ExitCode.INTERNAL_ERROR))
    sys.stdout.write(msgspec.json.encode(audit).decode() + "\n")


if __name__ == "__main__":
    main()
