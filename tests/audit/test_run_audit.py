"""Auditing a run folder: what is needed for a verdict on the books."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from loadtest.address import without_secrets
from loadtest.cli.main import app
from loadtest.measure.ledger import Ledger, OrderState
from loadtest.measure.run_result import RESULT, Arrivals, RunInfo, RunResult, Transactions
from loadtest.run_audit import (
    AuditorError,
    IncompleteLedgerError,
    LedgerError,
    audit_apart,
    audit_run,
    check_auditor,
    from_store,
)
from loadtest.stored_orders import StoreError, check_store
from tests.audit.test_stored_orders import database


def run_of(folder: Path, transactions: int, noted: int) -> Path:
    """The folder of a run `r1` that created so many orders, of which so many are in its books."""
    info = RunInfo(
        id="r1", plan="smoke", started_at="", duration_s=1, seed=1, versions={}, machine={}, targets=[]
    )
    RunResult(
        run=info, arrivals=Arrivals(started=transactions), transactions=Transactions(count=transactions)
    ).write(folder / RESULT)
    books = Ledger(folder / "ledger", "r1", "b")
    for _ in range(noted):
        number, _key = books.intend()
        books.settle(number, OrderState.ACKNOWLEDGED)
    books.close()
    return folder


def stored(tmp_path: Path, *numbers: int) -> str:
    insert = "INSERT INTO shadow_orders VALUES ('r1', 'r1:b:{}', 0, '[[1, 1, 100]]', 'created')"
    rows = [insert.format(number) for number in numbers]
    left = "INSERT INTO shadow_stock VALUES ('r1', 1, 10, {})"
    return database(tmp_path, *rows, left.format(10 - len(numbers)))


def test_books_that_agree_are_balanced(tmp_path: Path) -> None:
    audit = audit_run(run_of(tmp_path, 2, 2), from_store(stored(tmp_path, 0, 1)))
    assert (audit.balanced, audit.acknowledged, audit.stored) == (True, 2, 2)


def test_an_acknowledged_order_that_is_not_stored_is_lost(tmp_path: Path) -> None:
    assert audit_run(run_of(tmp_path, 2, 2), from_store(stored(tmp_path, 0))).lost == 1


def test_books_of_a_worker_elsewhere_are_no_phantom_orders(tmp_path: Path) -> None:
    with pytest.raises(IncompleteLedgerError, match="list 1 orders of 2"):
        audit_run(run_of(tmp_path, 2, 1), from_store(stored(tmp_path, 0, 1)))


def test_a_run_of_parcels_is_not_audited_rather_than_balanced_at_nothing(tmp_path: Path) -> None:
    with pytest.raises(IncompleteLedgerError, match="only orders can be checked"):
        audit_run(run_of(tmp_path, 2, 0), from_store(stored(tmp_path)))


def damaged(folder: Path) -> Path:
    """A folder in one of whose books is a byte that nobody wrote."""
    with (folder / "ledger" / "b.ledger").open("r+b") as book:
        book.write(b"\x09")
    return folder


def unreadable(folder: Path) -> Path:
    """A folder in which a book cannot be read, whoever asks."""
    (folder / "ledger" / "c.ledger").mkdir()
    return folder


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (damaged, r"ledger: b\.ledger has a byte 9, which is no state"),
        (unreadable, r"c\.ledger: cannot be read \(Is a directory\)"),
    ],
)
def test_books_that_are_damaged_are_named_and_no_auditor_is_blamed(
    spoil: Callable[[Path], Path], said: str, own_auditor: Path
) -> None:
    folder = spoil(run_of(own_auditor, 2, 2))
    with pytest.raises(LedgerError, match=said):
        audit_run(folder, from_store(stored(own_auditor, 0, 1)))
    with pytest.raises(AuditorError, match=said) as told:
        audit_apart(folder, "own_books:Books")
    assert "own_books" not in str(told.value)


def test_a_run_that_sent_nothing_is_balanced(tmp_path: Path) -> None:
    assert audit_run(run_of(tmp_path, 0, 0), from_store(stored(tmp_path))).balanced


def test_stored_orders_that_no_book_holds_are_not_taken_for_parcels(tmp_path: Path) -> None:
    with pytest.raises(IncompleteLedgerError, match="list 0 orders of 2"):
        audit_run(run_of(tmp_path, 2, 0), from_store(stored(tmp_path, 0, 1)))


@pytest.mark.parametrize(
    "dsn", ["mysql://u:secret@db/orders", "orders.db", "mysql://[x", "mysql://u:p/secret@db"]
)
def test_another_kind_of_store_is_refused_without_its_password(dsn: str) -> None:
    with pytest.raises(StoreError, match="expected sqlite:///FILE or postgresql://") as refused:
        check_store(dsn)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("mark", ["/", "#", "?", "1/"])
def test_a_password_that_is_not_encoded_is_refused_and_not_shown(mark: str) -> None:
    with pytest.raises(StoreError, match="/ is written as %2F") as refused:
        check_store(f"postgresql://u:{mark}secret@db/orders")
    assert "secret" not in str(refused.value)


def test_an_address_is_shown_without_what_opens_it() -> None:
    assert without_secrets("postgresql://u:p@db:5432/orders?password=p") == "postgresql://db:5432/orders"


AUDITOR = """
class Books:
    def keys(self, run_id):
        yield f"{run_id}:b:0"

    def problems(self, run_id):
        return ["a payment was taken twice"] if run_id != "r1" else []


class Wrong(Books):
    def problems(self, run_id):
        return ["units below none"]


class Broken(Books):
    def keys(self, run_id):
        raise OSError("no route to the database")


class Rows(Books):
    def keys(self, run_id):
        return [(f"{run_id}:b:0",)]


class Half:
    def keys(self, run_id):
        return []
"""


@pytest.fixture
def own_auditor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "own_books.py").write_text(AUDITOR, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_somebodys_own_class_audits_their_service_in_a_process_of_its_own(own_auditor: Path) -> None:
    folder = run_of(own_auditor, 2, 2)
    audit = audit_apart(folder, "own_books:Books")
    assert (audit.acknowledged, audit.stored, audit.lost) == (2, 1, 1)
    with pytest.raises(AuditorError, match="no route to the database"):
        audit_apart(folder, "own_books:Broken")
    with pytest.raises(
        AuditorError, match=r"keys\(run_id\): expected the text of each key, got \('r1:b:0',\)"
    ):
        audit_apart(folder, "own_books:Rows")


def test_what_an_auditor_finds_wrong_counts_though_a_script_kept_no_ledger(own_auditor: Path) -> None:
    folder = run_of(own_auditor, 5, 0)
    with pytest.raises(AuditorError, match="list 0 orders of 5"):
        audit_apart(folder, "own_books:Books")
    audit = audit_apart(folder, "own_books:Wrong")
    assert not audit.balanced
    assert (audit.lost, audit.phantom) == (0, 0)
    assert audit.problems[0] == "units below none"
    assert "only 0 of the run's 5 orders" in audit.problems[1]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("own_books", "expected module:Class"),
        ("nowhere:Books", "No module named 'nowhere'"),
        ("own_books:Nobody", "no attribute 'Nobody'"),
        ("own_books:Half", "it has no problems"),
    ],
)
def test_what_cannot_audit_is_refused_with_what_was_expected(own_auditor: Path, name: str, said: str) -> None:
    with pytest.raises(AuditorError, match=said):
        check_auditor(name)


def test_a_later_audit_asks_the_class_that_the_run_was_to_be_audited_by(own_auditor: Path) -> None:
    folder = run_of(own_auditor, 2, 2)
    result = RunResult.read(folder / RESULT)
    result.run.started_at = "2026-11-29T12:00:00+00:00"
    result.run.configuration = {"auditor": "own_books:Books", "plan_name": "shop.toml"}
    result.write(folder / RESULT)
    ended = CliRunner().invoke(app, ["audit", str(folder)])
    assert ended.exit_code == 13, ended.output
    audit = RunResult.read(folder / RESULT).audit
    assert audit is not None
    assert (audit.acknowledged, audit.stored) == (2, 1)
