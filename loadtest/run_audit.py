"""The audit of a finished run: the ledgers that its workers kept, against the orders in the service's database.

    LOADTEST_AUDIT_STORE=postgresql://... python -m loadtest.run_audit FOLDER
    LOADTEST_AUDITOR=module:Class python -m loadtest.run_audit FOLDER

prints the outcome as JSON. A master audits by this process of its own, since reading a hundred thousand orders would
keep it from everything else; the store's address is in the environment, where no list of processes shows it. So does
whoever audits by a class of somebody's own, which may import what it likes.
"""

import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from loadtest.environment import STORE_VARIABLE
from loadtest.exit_codes import ExitCode
from loadtest.judge.audit import Auditor, Reconciliation, StoredOrders
from loadtest.measure.ledger import open_ledgers
from loadtest.measure.run_result import RESULT, Audit, RunResult
from loadtest.stored_orders import StoreError, read_stored_orders

AUDITOR_VARIABLE = "LOADTEST_AUDITOR"
METHODS = ("keys", "problems")
TIMEOUT_S = 3600.0

Read = Callable[[Reconciliation, str], Audit]
"""Adds what is stored of a run to a reconciliation, and gives what both come to."""


class LedgerError(Exception):
    """The ledgers in the run folder cannot be compared with anything; the message names which, and why."""


class IncompleteLedgerError(LedgerError):
    """Ledgers are missing from the run folder, or list no order at all, so there is nothing to compare."""


class AuditorError(Exception):
    """A class cannot audit, or failed to."""


def audit_folder(folder: Path, result: RunResult, store: str) -> Audit:
    """Reconcile the ledgers in a run folder with a store. Raises `LedgerError`, `StoreError`.

    Where both sides are empty nothing was checked: what such a run sent (parcels, say) is in no ledger.
    """
    return _audited(folder, result, from_store(store))[0]


def audit_gathered(folder: Path, result: RunResult, store: str) -> Audit:
    """As `audit_folder`, where ledgers may have to be copied from other machines first.

    Orders of a ledger that is missing look invented: raises `IncompleteLedgerError` for that too.
    """
    audit, noted = _audited(folder, result, from_store(store))
    if audit.phantom and noted < result.transactions.count:
        raise _incomplete(folder, noted, result)
    return audit


def audit_run(folder: Path, read: Read) -> Audit:
    """The audit of the run in a folder. Raises `LedgerError`, `StoreError`, `AuditorError`, `OSError`.

    A worker on another machine may have kept its ledger there; then the service seems to hold orders that nobody
    sent, and the run has more transactions than its ledgers hold orders. What an auditor found wrong in the service's
    own data is wrong all the same: then there is an audit, of that alone.
    """
    result = RunResult.read(folder / RESULT)
    audit, noted = _audited(folder, result, read)
    if noted < result.transactions.count:
        if audit.problems:
            why = f"only {noted:,} of the run's {result.transactions.count:,} orders are noted"
            return Audit(
                acknowledged=audit.acknowledged,
                stored=audit.stored,
                lost=0,
                duplicated=0,
                oversold=0,
                phantom=0,
                shadow_leaks=0,
                problems=[*audit.problems, f"Orders were not compared: {why}"],
            )
        raise _incomplete(folder, noted, result)
    return audit


def _incomplete(folder: Path, noted: int, result: RunResult) -> IncompleteLedgerError:
    return IncompleteLedgerError(
        f"the ledgers in {folder / 'ledger'} list {noted:,} orders of {result.transactions.count:,}; copy "
        "the ledgers of workers on other machines there (orders of scripts without one cannot be checked)"
    )


def _audited(folder: Path, result: RunResult, read: Read) -> tuple[Audit, int]:
    """The audit, and how many orders are in the client's ledger."""
    ledgers = _opened(folder / "ledger", result.run.id)
    audit = read(ledgers, result.run.id)
    noted = ledgers.noted
    if not noted and audit.balanced and not audit.stored and result.arrivals.started:
        raise IncompleteLedgerError("the run created no orders, and only orders can be checked")
    return audit, noted


def _opened(folder: Path, run_id: str) -> Reconciliation:
    """The ledgers in `folder`, to be compared. Raises `LedgerError`."""
    try:
        return Reconciliation(open_ledgers(folder, run_id))
    except OSError as error:
        raise LedgerError(f"{error.filename}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise LedgerError(f"{folder}: {error}") from error


def from_store(store: str) -> Read:
    """Reads the order service's own tables. Raises `StoreError` when it is called."""

    def read(ledgers: Reconciliation, run_id: str) -> Audit:
        return ledgers.audit(read_stored_orders(store, run_id, ledgers.add))

    return read


def from_auditor(name: str) -> Read:
    """Asks somebody's own class. Raises `AuditorError`, at once where it cannot be one."""
    auditor = load_auditor(name)

    def read(ledgers: Reconciliation, run_id: str) -> Audit:
        try:
            ledgers.add(_texts(auditor.keys(run_id)))
            return ledgers.audit(StoredOrders(), [str(problem) for problem in auditor.problems(run_id)])
        except Exception as error:
            raise AuditorError(f"{name}: {type(error).__name__}: {error}") from error

    return read


def _texts(keys: Iterable[object]) -> Iterator[str]:
    for key in keys:
        if not isinstance(key, str):  # such as a row of a database's cursor
            raise TypeError(f"keys(run_id): expected the text of each key, got {key!r}")
        yield key


def load_auditor(name: str) -> Auditor:
    """An object of the class that `module:Class` names. Raises `AuditorError`."""
    module, _, class_name = name.partition(":")
    if not module or not class_name:
        raise AuditorError(f"expected module:Class, got {name!r}")
    sys.path.insert(0, str(Path.cwd()))
    try:
        made: Any = getattr(importlib.import_module(module), class_name)()
    except Exception as error:
        raise AuditorError(f"{name}: {type(error).__name__}: {error}") from error
    missing = [method for method in METHODS if not callable(getattr(made, method, None))]
    if missing:
        raise AuditorError(
            f"{name}: expected the methods keys(run_id) and problems(run_id); it has no {missing[0]}"
        )
    auditor: Auditor = made
    return auditor


def audit_apart(folder: Path, auditor: str, plan_file: Path | None = None) -> Audit:
    """The audit of a folder by somebody's class, in a process of its own. Raises `AuditorError`.

    Its module is looked for where we are, and beside the plan's file.
    """
    return msgspec.json.decode(_ask([str(folder)], auditor, plan_file), type=Audit)


def check_auditor(auditor: str, plan_file: Path | None = None) -> None:
    """Raise `AuditorError` unless a class can be imported, in a process of its own, and has both methods."""
    _ask(["--check"], auditor, plan_file)


def _ask(arguments: list[str], auditor: str, plan_file: Path | None) -> bytes:
    environment = {**os.environ, AUDITOR_VARIABLE: auditor}
    if plan_file is not None:
        paths = [str(plan_file.absolute().parent), os.environ.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    return audit_in_process(arguments, environment, TIMEOUT_S)


def audit_in_process(arguments: list[str], environment: dict[str, str], timeout_s: float) -> bytes:
    """Run this module in a process of its own; the last line that it said. Raises `AuditorError` with the reason."""
    command = [sys.executable, "-m", "loadtest.run_audit", *arguments]
    try:
        ended = subprocess.run(  # noqa: S603 - our own program, no shell
            command, env=environment, capture_output=True, timeout=timeout_s, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AuditorError(f"the audit did not end: {type(error).__name__}") from error
    if ended.returncode:
        said = ended.stderr.decode(errors="replace").strip().splitlines()
        raise AuditorError(said[-1] if said else f"the audit ended with exit code {ended.returncode}")
    return ended.stdout.splitlines()[-1] if ended.stdout.strip() else b""


def main() -> None:
    """Audit the folder named on the command line, or with `--check` only see whether the class can."""
    try:
        auditor = os.environ.get(AUDITOR_VARIABLE)
        read = from_auditor(auditor) if auditor else from_store(os.environ[STORE_VARIABLE])
        if sys.argv[1] == "--check":
            return
        audit = audit_run(Path(sys.argv[1]), read)
    except (
        LedgerError,
        StoreError,
        AuditorError,
        OSError,
        ValueError,
        msgspec.MsgspecError,
    ) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(int(ExitCode.INTERNAL_ERROR))
    sys.stdout.write(msgspec.json.encode(audit).decode() + "\n")


if __name__ == "__main__":
    main()
