"""What is SQLite's own: its file, its lock, its versions."""

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from target_service.orders import OrderIds, Purchase, Receipt, draft_order
from target_service.store.base import (
    FateUnknownError,
    StoreFullError,
    StoreOpenError,
    StoreSettings,
    StoreUnavailableError,
)
from target_service.store.sqlite import database_path, synchronous_of
from target_service.store.sqlite_file import FileMovedError, OpenFile
from target_service.store.sqlite_session import LARGEST_PIECE, SqliteSession, at_once
from target_service.store.store import Store, make_store
from tests.contract.conftest import Unobserved
from tests.target_service.service_process import ROOT
from tests.timing import Timing

ids = OrderIds(0)


def store_at(path: Path, wait_s: float = 0.2, options: str = "") -> Store:
    return make_store(StoreSettings(f"sqlite:///{path}{options}", 10, wait_s, shared=True), Unobserved())


def purchase() -> Purchase:
    order, quantities = draft_order(ids.next(), 7, [(1, 1)])
    return Purchase("", None, (order,), quantities)


@pytest.mark.parametrize(
    ("dsn", "path"),
    [
        ("sqlite:///orders.db", "orders.db"),
        ("sqlite:////var/lib/orders.db", "/var/lib/orders.db"),
        ("sqlite:///with%20space.db?synchronous=OFF", "with space.db"),
    ],
)
def test_the_dsn_names_the_file(dsn: str, path: str) -> None:
    assert database_path(dsn) == Path(path)


def test_every_commit_is_synced_unless_the_dsn_says_otherwise() -> None:
    assert synchronous_of("sqlite:///orders.db") == "FULL"
    assert synchronous_of("sqlite:///orders.db?synchronous=off") == "OFF"
    with pytest.raises(StoreOpenError, match="expected FULL, NORMAL or OFF"):
        synchronous_of("sqlite:///orders.db?synchronous=maybe")


def test_a_lock_held_by_another_is_given_up_on_within_the_wait(tmp_path: Path, timing: Timing) -> None:
    async def scenario() -> None:
        store = store_at(tmp_path / "orders.db")
        await store.open()
        intruder = sqlite3.connect(tmp_path / "orders.db", isolation_level=None)
        intruder.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with pytest.raises(StoreUnavailableError, match="another process has locked the database"):
            await store.write(purchase())
        lasted_s = time.monotonic() - began
        assert lasted_s > 0.15
        with timing:
            assert lasted_s < 2
        # Readers wait for no lock.
        assert (await store.stock("", 1)).available == 10
        intruder.execute("ROLLBACK")
        intruder.close()
        assert isinstance(await bought(store), Receipt)
        await store.close()

    asyncio.run(scenario())


async def bought(store: Store) -> Receipt:
    """What is answered to a purchase, which a busy machine may have to try again."""
    for _ in range(50):
        with contextlib.suppress(StoreUnavailableError):
            receipt: Receipt = await store.write(purchase())
            return receipt
    raise AssertionError("it was refused again and again")


def test_a_caller_who_is_gone_does_not_keep_a_store_open_that_cannot_be_written(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = store_at(tmp_path / "orders.db")
        await store.open()
        with contextlib.closing(sqlite3.connect(tmp_path / "orders.db", isolation_level=None)) as intruder:
            intruder.execute("BEGIN IMMEDIATE")
            caller = asyncio.create_task(store.write(purchase()))
            await asyncio.sleep(0)  # until it has asked
            caller.cancel()
            await asyncio.wait_for(store.close(), 60)

    asyncio.run(scenario())


def test_a_cancelled_caller_buys_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = store_at(tmp_path / "orders.db", wait_s=30)
        await store.open()
        intruder = sqlite3.connect(tmp_path / "orders.db", isolation_level=None)
        intruder.execute("BEGIN IMMEDIATE")
        gone, stays = (asyncio.ensure_future(store.write(purchase())) for _ in range(2))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        intruder.execute("ROLLBACK")
        intruder.close()
        await stays
        assert (await store.stock("", 1)).available == 9
        await store.close()

    asyncio.run(scenario())


def test_who_is_answered_while_the_commit_hangs_is_told_that_it_may_still_be_made(tmp_path: Path) -> None:
    told = threading.Event()

    def hang() -> float:
        told.wait(60)
        return 0.0

    async def scenario() -> int:
        store = store_at(tmp_path / "orders.db", wait_s=0.05)
        await store.open()
        store._settings = store._settings._replace(stall_s=hang)
        with pytest.raises(FateUnknownError, match="the store does not answer"):
            await store.write(purchase())
        with pytest.raises(StoreUnavailableError) as waits:  # in line behind it, and so not begun
            await store.write(purchase())
        with pytest.raises(StoreUnavailableError) as proof:
            await store.ping()
        assert waits.type is proof.type is StoreUnavailableError
        told.set()
        await store.close()
        return stored(tmp_path / "orders.db")

    assert asyncio.run(scenario()) == 1


def stored(path: Path) -> int:
    """How many orders are in a file."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        (count,) = database.execute("SELECT count(*) FROM orders").fetchone()
    return int(count)


@pytest.mark.parametrize("error", [OSError("no such device"), FileMovedError("orders.db was moved")])
def test_what_fails_once_it_is_committed_is_neither_refused_nor_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def scenario() -> None:
        store = store_at(tmp_path / "orders.db", wait_s=30)
        await store.open()
        check = OpenFile.check

        def fail(file: OpenFile) -> None:
            if store._line.under_way:
                raise error
            check(file)

        with monkeypatch.context() as patch:
            patch.setattr(OpenFile, "check", fail)
            answers = await asyncio.gather(
                *(store.write(purchase()) for _ in range(3)), return_exceptions=True
            )
        assert {type(answer) for answer in answers} == {FateUnknownError}
        assert isinstance(await bought(store), Receipt)
        await store.close()

    asyncio.run(scenario())
    assert stored(tmp_path / "orders.db") == 4


class Failing:
    """A connection whose COMMIT fails."""

    def __init__(self, connection: sqlite3.Connection, code: int) -> None:
        self._connection, self._code = connection, code

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        if sql == "COMMIT":
            error = sqlite3.OperationalError("as asked")
            error.sqlite_errorcode = self._code
            raise error
        return self._connection.execute(sql, *arguments)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (sqlite3.SQLITE_IOERR_FSYNC, FateUnknownError),
        (sqlite3.SQLITE_FULL, StoreFullError),
        (sqlite3.SQLITE_BUSY, StoreUnavailableError),
    ],
)
def test_a_commit_that_failed_may_have_been_done_unless_the_error_says_that_it_was_not(
    tmp_path: Path, code: int, told: type[Exception]
) -> None:
    async def scenario() -> None:
        store = store_at(tmp_path / "orders.db", wait_s=30)
        await store.open()
        session = store._session  # type: ignore[attr-defined]  # no other way to have it fail
        connection = session.connection
        session.connection = Failing(connection, code)
        with pytest.raises(StoreUnavailableError) as raised:
            await store.write(purchase())
        session.connection = connection
        assert raised.type is told
        await store.close()

    asyncio.run(scenario())


def test_a_defect_in_one_batch_does_not_stop_the_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        store = store_at(tmp_path / "orders.db", wait_s=30)
        await store.open()
        with monkeypatch.context() as patch:
            patch.setattr("target_service.store.sqlite.apply_batch", lambda *_: 1 / 0)
            with pytest.raises(StoreUnavailableError, match="division by zero"):
                await store.write(purchase())
        assert isinstance(await store.write(purchase()), Receipt)
        await store.close()

    asyncio.run(scenario())
    assert "writing a batch of changes failed" in caplog.text


@pytest.mark.parametrize(("version", "which"), [(2, "older"), (99, "newer")])
def test_the_tables_of_another_program_are_left_alone(tmp_path: Path, version: int, which: str) -> None:
    path = tmp_path / "orders.db"
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA user_version = {version}")
    database.close()
    with pytest.raises(StoreOpenError, match=rf"{which} release \(schema version {version},"):
        asyncio.run(store_at(path).open())


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "orders.db"
    path.write_bytes(b"dear diary, " * 1000)
    with pytest.raises(StoreOpenError, match="not a database"):
        asyncio.run(store_at(path).open())


@pytest.mark.parametrize("rows", [0, 1, 2, 3, LARGEST_PIECE, 2 * LARGEST_PIECE + 77])
def test_any_number_of_rows_is_inserted_in_order(rows: int) -> None:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE pairs (a, b)")
    values = [(n, -n) for n in range(rows)]
    columns = "a int, b int"
    at_once(SqliteSession(database, 0).with_rows(columns, values, "INSERT INTO pairs SELECT * FROM new"))
    assert database.execute("SELECT * FROM pairs").fetchall() == values
    database.close()


def test_many_processes_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys; from target_service.store.base import StoreSettings;"
        "from target_service.store.store import make_store; from tests.contract.conftest import Unobserved;"
        "store = make_store(StoreSettings(sys.argv[1], 1, 30.0, True), Unobserved());"
        "print(asyncio.run(store.open())); asyncio.run(store.close())"
    )
    for number in range(2):
        dsn = f"sqlite:///{tmp_path}/{number}.db"
        openers = [
            subprocess.Popen(
                [sys.executable, "-c", program, dsn], cwd=ROOT, stdout=subprocess.PIPE, text=True
            )
            for _ in range(3)
        ]
        assert sorted(opener.communicate()[0] for opener in openers) == ["1\n", "2\n", "3\n"]
