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
    stock, shadow_stock      one row a product that was ever sold, per run (in PostgreSQL one a bucket: sum them)
        run_id            TEXT, as above
        sku_no            INTEGER; 1 is sku-000001
        initial           INTEGER; units before the first sale, plus what was restocked
        available         INTEGER, never below zero (checked)
    parcels, shadow_parcels  one row a parcel; events is JSON: [[event_id, kind, region, at_ms], ...]
    writers                  one row for every process that ever opened the file

The books balance when, per run and product, initial - available = units in the lines of orders not cancelled.

Writing is `sqlite_writer`'s thread. Reads are made on the event loop: with the log, SQLite's readers wait for
no lock, and a look-up by primary key takes about as long as handing it to a thread.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

from target_service.orders import Order
from target_service.parcels import Parcel
from target_service.store.base import (
    Change,
    CommitObserver,
    StockLevel,
    StoreOpenError,
    StoreSettings,
    StoreUnavailableError,
)
from target_service.store.group_commit import joining
from target_service.store.sqlite_changes import find_order, find_parcel, find_stock
from target_service.store.sqlite_schema import connect, prepare, retry_while_locked
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

    async def open(self) -> int:
        """Open the file, migrate it, start the writer. Raises StoreOpenError."""
        try:
            connection, self._reader, writer_id = retry_while_locked(self._connect, OPEN_WAIT_S)
        except sqlite3.Error as error:
            raise StoreOpenError(f"cannot open {self._path}: {error}") from error
        self._writer = Writer(connection, self._settings, self._observer, asyncio.get_running_loop())
        self._writer.start()
        return writer_id

    def _connect(self) -> tuple[sqlite3.Connection, sqlite3.Connection, int]:
        """A connection that writes, one that reads, and a new writer's number.

        Raises sqlite3.Error; "locked" while another process changes the journal's mode or migrates.
        """
        with contextlib.ExitStack() as on_error:
            writer = on_error.enter_context(contextlib.closing(connect(self._path)))
            prepare(writer, synchronous_of(self._settings.dsn))
            reader = on_error.enter_context(contextlib.closing(connect(self._path)))
            reader.execute("PRAGMA query_only = ON")
            cursor = writer.execute("INSERT INTO writers (started_at) VALUES (datetime('now'))")
            on_error.pop_all()
        assert cursor.lastrowid is not None  # noqa: S101 - an INSERT has one
        return writer, reader, cursor.lastrowid

    async def close(self) -> None:
        """Commit what was handed over, then let go of the file."""
        await asyncio.to_thread(self._writer.finish)
        # The writer's last answers were posted to this loop; let them be delivered.
        await asyncio.sleep(0)
        self._reader.close()

    async def ping(self) -> None:
        """Read one row. Raises StoreUnavailableError."""
        self._read(lambda reader: reader.execute("SELECT max(writer_id) FROM writers").fetchone())

    async def write(self, change: Change, deadline_ns: int | None = None) -> Any:
        """Hand a change to the writer and wait until it is on disk."""
        waiting = joining(change, deadline_ns)
        self._writer.hand_over(waiting)
        return await waiting.answer

    async def order(self, run_id: str, order_id: int) -> Order | None:
        """Look an order up by its number."""
        return self._read(lambda reader: find_order(reader, run_id, order_id))

    async def stock(self, run_id: str, sku_no: int) -> StockLevel:
        """Units of a product."""
        return self._read(lambda reader: find_stock(reader, run_id, sku_no, self._settings.initial_units))

    async def parcel(self, run_id: str, parcel_id: int) -> Parcel | None:
        """Look a parcel up by its number."""
        return self._read(lambda reader: find_parcel(reader, run_id, parcel_id))

    def _read(self, look_up: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return look_up(self._reader)
        except sqlite3.Error as error:
            self._observer.failed()
            raise StoreUnavailableError(f"the store cannot be read: {error}") from error
