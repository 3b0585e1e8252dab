"""The SQLite store: one file shared by all workers, every order on disk before it is acknowledged.

Tables (an auditor may read them with any SQLite client, also while the service runs):

    orders, shadow_orders    one row an order
        order_id          INTEGER, primary key; the API writes it as 16 hexadecimal digits
        run_id            TEXT; '' in `orders`, the `X-Load-Test` run id in `shadow_orders` (both checked)
        idempotency_key   TEXT or NULL; unique together with run_id and part while key_live = 1
        part              INTEGER; 0, or the place among the orders of one checkout, from 1
        buyer_id          INTEGER
        total_cents       INTEGER
        lines             TEXT, JSON: [[sku_no, units, price_cents], ...]
        status            TEXT: created, paid, cancelled ...
        key_live          INTEGER; 0 once the idempotency key has expired
        region            TEXT; where its buyer is, '' where that was not told or an earlier program stored it
        stored_ms         INTEGER; when, on the store's clock (`store.clock`); 0 if an earlier program stored it
    stock, shadow_stock      one row a product that was ever sold, per run
        run_id            TEXT, as above
        sku_no            INTEGER; 1 is sku-000001
        initial           INTEGER; units before the first sale, plus what was restocked
        available         INTEGER, never below zero (checked)
    parcels, shadow_parcels  one row a parcel; events is JSON: [[event_id, kind, region, at_ms], ...]
    parcel_keys, shadow_…    one row an idempotency key of a parcel's change; its events are the first so many
    clock                    one row, the store's clock
    writers                  one row for every process that ever opened the file

The stock is right when, per run and product, initial - available = units in the lines of orders not cancelled.

Writing is `sqlite_writer`'s thread. Reads are made on the event loop: with the log, SQLite's readers wait for
no lock, and a look-up by primary key takes about as long as handing it to a thread.
"""

import asyncio
import contextlib
import ctypes
import sqlite3
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

from target_service.orders import Order
from target_service.parcels import Parcel
from target_service.store.base import (
    Change,
    CommitObserver,
    Proof,
    StockLevel,
    StoreOpenError,
    StoreSettings,
    StoreUnavailableError,
)
from target_service.store.changes import find_order, find_parcel, find_stock
from target_service.store.group_commit import Pending
from target_service.store.sqlite_file import OpenFile
from target_service.store.sqlite_schema import connect, prepare, retry_while_locked
from target_service.store.sqlite_session import SqliteSession, at_once
from target_service.store.sqlite_writer import Writer

OPEN_WAIT_S = 5.0
"""Longest wait for other processes that open the file at the same time."""

T = TypeVar("T")


def database_path(dsn: str) -> Path:
    """The file of `sqlite:///relative.db` or `sqlite:////absolute.db`."""
    return Path(unquote(urlsplit(dsn).path[1:]))


def synchronous_of(dsn: str) -> str:
    """How commits are synced: `?synchronous=` of the DSN, FULL without it.

    Anything less loses acknowledged orders in a power cut; it is there to show that the drills notice.
    Raises StoreOpenError.
    """
    asked = parse_qs(urlsplit(dsn).query).get("synchronous", ["FULL"])[-1].upper()
    if asked not in ("FULL", "NORMAL", "OFF"):
        raise StoreOpenError(f"synchronous={asked}: expected FULL, NORMAL or OFF")
    return asked


class SqliteStore:
    """A store in one SQLite file; see the contract in `store.base`."""

    def __init__(self, settings: StoreSettings, observer: CommitObserver) -> None:
        self._settings = settings
        self._observer = observer
        self._path = database_path(settings.dsn)
        self._pending = Pending(settings.wait_s)

    async def open(self) -> int:
        """Open the file, migrate it, start the writer. Raises StoreOpenError."""
        try:
            # In a thread: a migration may take minutes, and meanwhile the event loop must show that it lives.
            connected = await asyncio.to_thread(retry_while_locked, self._connect, OPEN_WAIT_S)
        except sqlite3.Error as error:
            raise StoreOpenError(f"cannot open {self._path}: {error}") from error
        writer, self._reader, self._writer_id = connected
        opened = writer, OpenFile(self._path)
        loop = asyncio.get_running_loop()
        self._writer = Writer(opened, self._connect_again, self._settings, self._observer, loop)
        self._writer.start()
        self._watch = asyncio.create_task(self._pending.watch())
        return self._writer_id

    def _connect(self, writer_id: int | None = None) -> tuple[sqlite3.Connection, SqliteSession, int]:
        """A connection that writes, one that reads, and the writer's number; a new one unless it has one.

        Raises sqlite3.Error; "locked" while another process changes the journal's mode or migrates.
        """
        may_create = writer_id is None
        with contextlib.ExitStack() as on_error:
            writer = on_error.enter_context(contextlib.closing(connect(self._path, may_create=may_create)))
            prepare(writer, synchronous_of(self._settings.dsn))
            reader = on_error.enter_context(contextlib.closing(connect(self._path, may_create=may_create)))
            reader.execute("PRAGMA query_only = ON")
            # Written in any case: from now on the log is there, and can be watched.
            cursor = writer.execute(
                "INSERT INTO writers (writer_id, started_at) VALUES (?, datetime('now'))"
                " ON CONFLICT (writer_id) DO UPDATE SET proofs = proofs + 1",
                (writer_id,),
            )
            on_error.pop_all()
        number = writer_id or cursor.lastrowid
        assert number is not None  # noqa: S101 - an INSERT has one
        return writer, SqliteSession(reader, self._settings.initial_units), number

    def _connect_again(self) -> tuple[sqlite3.Connection, OpenFile]:
        """Open what is at the path now, in the writer's thread; nothing is made where nothing is.

        The old connections are never closed: at their end SQLite would delete the log at the path, which is the new
        database's by now.
        """
        writer, reader, _ = retry_while_locked(lambda: self._connect(self._writer_id), self._settings.wait_s)
        for connection in (self._reader.connection, self._writer.connection):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
        self._reader = reader
        return writer, OpenFile(self._path)

    async def close(self) -> None:
        """Commit what was handed over, then let go of the file."""
        self._watch.cancel()
        self._writer.flush()
        await asyncio.to_thread(self._writer.finish)
        # The writer's last answers were posted to this loop; let them be delivered.
        await asyncio.sleep(0)
        self._reader.connection.close()

    async def ping(self) -> None:
        """Make something durable. Raises StoreUnavailableError."""
        await self.write(Proof(self._writer_id))

    def write(self, change: Change, deadline_ns: int | None = None) -> Coroutine[Any, Any, Any]:
        """Hand a change to the writer and wait until it is on disk."""
        return self._pending.hand_over(change, deadline_ns, self._writer.hand_over)

    async def order(self, run_id: str, order_id: int) -> Order | None:
        """Look an order up by its number."""
        return self._read(find_order(self._reader, run_id, order_id))

    async def stock(self, run_id: str, sku_no: int) -> StockLevel:
        """Units of a product."""
        return self._read(find_stock(self._reader, run_id, sku_no))

    async def parcel(self, run_id: str, parcel_id: int) -> Parcel | None:
        """Look a parcel up by its number."""
        return self._read(find_parcel(self._reader, run_id, parcel_id))

    def _read(self, look_up: Coroutine[Any, Any, T]) -> T:
        try:
            return at_once(look_up)
        except sqlite3.Error as error:
            self._observer.failed()
            raise StoreUnavailableError(f"the store cannot be read: {error}") from error
