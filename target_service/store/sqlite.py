"""The SQLite store: one file shared by all workers, every order on disk before it is acknowledged.

Tables (an auditor may read them with any SQLite client, also while the service runs):

    orders, shadow_orders    one row an order
        order_id          INTEGER, primary key; the API writes it as 16 hexadecimal digits
        run_id            TEXT; '' in `orders`, the `X-Load-Test` run id in `shadow_orders` (both checked)
        idempotency_key   TEXT or NULL; unique together with run_id and part while key_live = 1
        part              INTEGER; 0, or the place among the orders of one checkout
        buyer_id          INTEGER
        total_cents       INTEGER
        lines             TEXT, JSON: [[sku_no, units, price_cents], ...]
        status            TEXT: created, paid, cancelled ...
        key_live          INTEGER; 0 once the idempotency key has expired
    stock, shadow_stock      one row a product that was ever sold, per run
        run_id            TEXT, as above
        sku_no            INTEGER; 1 is sku-000001
        initial           INTEGER; units before the first sale, plus what was restocked
        available         INTEGER, never below zero (checked)
    writers                  one row for every process that ever opened the file

The books balance when, per run and product, initial - available = units in the lines of orders not cancelled.

Each process has one writer thread. It waits for an order, takes the write lock, and only then takes
everything that is waiting: the batch grows by itself while the lock or the disk is busy. A commit
(`synchronous=FULL`) has reached the disk before anyone is answered. Only the writer thread ever gives up on a
purchase, so that no one is told "unavailable" about an order that is being written. Reads are made on the
event loop: with the log, SQLite's readers wait for no lock, and a look-up by primary key takes about as long
as handing it to a thread.
"""

# ruff: noqa: S608 - only our own table names are put into statements; values are bound

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from target_service.orders import Order, Purchase, Receipt
from target_service.store.base import (
    CommitObserver,
    StoreFullError,
    StoreOpenError,
    StoreSettings,
    StoreUnavailableError,
)
from target_service.store.group_commit import Answer
from target_service.store.sqlite_batch import apply_batch, tables_of
from target_service.store.sqlite_schema import connect, is_locked, prepare, retry_while_locked

LARGEST_BATCH = 1024
LOCK_POLL_S = 0.0003
"""How often a lock held by another worker is tried; a commit takes a few milliseconds."""


class _Waiting(NamedTuple):
    purchase: Purchase
    answer: "asyncio.Future[Receipt]"
    handed_ns: int


def database_path(dsn: str) -> Path:
    """The file of `sqlite:///relative.db` or `sqlite:////absolute.db`."""
    return Path(unquote(urlsplit(dsn).path[1:]))


class SqliteStore:
    """A store in one SQLite file; see the contract in `store.base`."""

    def __init__(self, settings: StoreSettings, observer: CommitObserver, synchronous: str = "FULL") -> None:
        self._settings = settings
        self._observer = observer
        self._synchronous = synchronous
        self._path = database_path(settings.dsn)

    async def open(self) -> int:
        """Open the file, migrate it, start the writer. Raises StoreOpenError."""
        try:
            connection = connect(self._path)
            prepare(connection, self._synchronous, wait_s=max(5.0, self._settings.wait_s))
            writer_id = _register(connection, self._settings.wait_s)
            self._reader = connect(self._path)
            self._reader.execute("PRAGMA query_only = ON")
        except sqlite3.Error as error:
            raise StoreOpenError(f"cannot open {self._path}: {error}") from error
        self._writer = _Writer(connection, self._settings, self._observer, asyncio.get_running_loop())
        self._writer.start()
        return writer_id

    async def close(self) -> None:
        """Commit what was handed over, then let go of the file."""
        await asyncio.to_thread(self._writer.finish)
        # The writer's last answers were posted to this loop; let them be delivered.
        await asyncio.sleep(0)
        self._reader.close()

    async def ping(self) -> None:
        """Read one row. Raises StoreUnavailableError."""
        self._read("SELECT max(writer_id) FROM writers", ())

    async def place(self, purchase: Purchase) -> Receipt:
        """Hand a purchase to the writer and wait until it is on disk."""
        answer: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self._writer.hand_over(_Waiting(purchase, answer, time.monotonic_ns()))
        return await answer

    async def order(self, run_id: str, order_id: int) -> Order | None:
        """Look an order up by its number."""
        row = self._read(
            "SELECT order_id, part, buyer_id, total_cents, lines, status"
            f" FROM {tables_of(run_id).orders} WHERE order_id = ? AND run_id = ?",
            (order_id, run_id),
        )
        return None if row is None else Order._make(row)

    async def available(self, run_id: str, sku_no: int) -> int:
        """Units left of a product; what it started with if none was ever sold."""
        row = self._read(
            f"SELECT available FROM {tables_of(run_id).stock} WHERE run_id = ? AND sku_no = ?",
            (run_id, sku_no),
        )
        return self._settings.initial_units if row is None else int(row[0])

    def _read(self, sql: str, parameters: Sequence[object]) -> tuple[int | str, ...] | None:
        try:
            row: tuple[int | str, ...] | None = self._reader.execute(sql, parameters).fetchone()
        except sqlite3.Error as error:
            self._observer.failed()
            raise StoreUnavailableError(f"the store cannot be read: {error}") from error
        return row


def _register(connection: sqlite3.Connection, wait_s: float) -> int:
    retry_while_locked(lambda: connection.execute("BEGIN IMMEDIATE"), max(5.0, wait_s))
    cursor = connection.execute("INSERT INTO writers (started_at) VALUES (datetime('now'))")
    connection.execute("COMMIT")
    assert cursor.lastrowid is not None  # noqa: S101 - an INSERT has one
    return cursor.lastrowid


class _Writer:
    """The thread that commits batches."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        settings: StoreSettings,
        observer: CommitObserver,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._wait_ns = int(settings.wait_s * 1e9)
        self._observer = observer
        self._loop = loop
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._waiting: list[_Waiting] = []
        self._finishing = False
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def hand_over(self, waiting: _Waiting) -> None:
        self._queue.put(waiting)

    def finish(self) -> None:
        """Commit everything handed over, then end the thread and close the connection."""
        self._queue.put(None)
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        while self._wait_for_work():
            try:
                if self._take_lock():
                    self._commit(self._next_batch())
            except sqlite3.Error as error:
                self._refuse(self._next_batch(), error)

    def _wait_for_work(self) -> bool:
        """Block until someone waits; False when all is done and the store closes."""
        while not self._waiting:
            if self._finishing and self._queue.empty():
                return False
            self._take(self._queue.get())
        return True

    def _take(self, waiting: _Waiting | None) -> None:
        if waiting is None:
            self._finishing = True
        else:
            self._waiting.append(waiting)

    def _take_all(self) -> None:
        while not self._queue.empty():
            self._take(self._queue.get())

    def _take_lock(self) -> bool:
        """Take SQLite's write lock; False if everyone who waited was given up meanwhile."""
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if not is_locked(error):
                    raise
                if not self._give_up_on_late():
                    return False
                time.sleep(LOCK_POLL_S)
            else:
                return True

    def _give_up_on_late(self) -> bool:
        """Refuse those who waited too long for the lock; whether anyone still waits."""
        self._take_all()
        too_old_ns = time.monotonic_ns() - self._wait_ns
        late = [waiting for waiting in self._waiting if waiting.handed_ns <= too_old_ns]
        if late:
            self._waiting = [waiting for waiting in self._waiting if waiting.handed_ns > too_old_ns]
            self._observer.failed()
            self._answer(late, [StoreUnavailableError("another process holds the store's lock")] * len(late))
        return bool(self._waiting)

    def _next_batch(self) -> list[_Waiting]:
        self._take_all()
        batch, self._waiting = self._waiting[:LARGEST_BATCH], self._waiting[LARGEST_BATCH:]
        return batch

    def _commit(self, batch: list[_Waiting]) -> None:
        started_ns = time.monotonic_ns()
        try:
            answers = apply_batch(
                self._connection, [waiting.purchase for waiting in batch], self._settings.initial_units
            )
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._refuse(batch, error)
            return
        self._observer.committed(len(answers), (time.monotonic_ns() - started_ns) / 1e9)
        self._answer([batch[index] for index in answers], list(answers.values()))
        self._waiting[:0] = [waiting for index, waiting in enumerate(batch) if index not in answers]
        if self._settings.shared:
            # Let another worker have the lock: twice its polling interval, or it would starve.
            time.sleep(2 * LOCK_POLL_S)

    def _refuse(self, batch: list[_Waiting], error: sqlite3.Error) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        self._observer.failed()
        kind = (
            StoreFullError
            if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL
            else StoreUnavailableError
        )
        self._answer(batch, [kind(f"the store cannot be written: {error}")] * len(batch))

    def _answer(self, batch: list[_Waiting], answers: Sequence[Answer | StoreUnavailableError]) -> None:
        self._loop.call_soon_threadsafe(_deliver, batch, answers)


def _deliver(batch: list[_Waiting], answers: Sequence[Answer | StoreUnavailableError]) -> None:
    """Wake those who wait, on the event loop; one whose caller was cancelled is skipped."""
    for waiting, answer in zip(batch, answers, strict=True):
        if waiting.answer.done():
            continue
        if isinstance(answer, Receipt):
            waiting.answer.set_result(answer)
        else:
            waiting.answer.set_exception(answer)
