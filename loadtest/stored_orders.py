"""Reads what the order service stored of a run, straight from its database.

The tables are those documented at the top of `target_service/store/sqlite.py`, which PostgreSQL's are like column
for column; the service is not asked, since an audit that trusts the audited is none. All is read in one
transaction, because the service may still be at work.
"""

import asyncio
import importlib.util
import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from loadtest.judge.audit import StockLine, StoredOrders

SQLITE = "sqlite:///"
POSTGRES = ("postgresql://", "postgres://")
CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 300.0

_ORDERS = "SELECT idempotency_key, part, lines, status FROM shadow_orders WHERE run_id = {}"
_LEAKED = "SELECT count(*) FROM orders WHERE idempotency_key >= {} AND idempotency_key < {}"
_STOCK = (
    "SELECT sku_no, CAST(sum(initial) AS bigint), CAST(sum(available) AS bigint) FROM shadow_stock"
    " WHERE run_id = {} GROUP BY sku_no ORDER BY sku_no"  # in PostgreSQL a product may have several rows
)


class StoreError(Exception):
    """The service's orders cannot be read."""


class _Rows(NamedTuple):
    orders: Sequence[Sequence[Any]]
    leaked: int
    stock: Sequence[Sequence[Any]]


def read_stored_orders(dsn: str, run_id: str) -> StoredOrders:
    """The orders of one run. Raises `StoreError` for a store that cannot be read or is not the service's."""
    check_store(dsn)
    rows = _read_sqlite(dsn, run_id) if dsn.startswith(SQLITE) else _read_postgres(dsn, run_id)
    return _orders(rows)


def check_store(dsn: str) -> None:
    """Raise `StoreError` for an address that cannot be that of a store; nothing is connected to."""
    if dsn.startswith(SQLITE):
        if not Path(dsn.removeprefix(SQLITE)).is_file():
            raise StoreError(f"--store {dsn}: there is no such file")
    elif not dsn.startswith(POSTGRES):
        raise StoreError(f"--store {without_secrets(dsn)}: expected sqlite:///FILE or postgresql://...")
    elif importlib.util.find_spec("asyncpg") is None:
        raise StoreError("--store postgresql: needs a package: pip install 'singlesday[postgres]'")


def without_secrets(dsn: str) -> str:
    """The address without user and password."""
    parts = urlsplit(dsn)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


def _read_sqlite(dsn: str, run_id: str) -> _Rows:
    path = Path(dsn.removeprefix(SQLITE)).resolve()
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            database.execute("BEGIN")
            (leaked,) = database.execute(_LEAKED.format("?", "?"), _leaks_of(run_id)).fetchone()
            orders = database.execute(_ORDERS.format("?"), (run_id,)).fetchall()
            stock = database.execute(_STOCK.format("?"), (run_id,)).fetchall()
    except sqlite3.Error as error:
        raise StoreError(f"--store {dsn}: not an order service's database ({error})") from error
    return _Rows(orders, leaked, stock)


def _read_postgres(dsn: str, run_id: str) -> _Rows:
    import asyncpg  # noqa: PLC0415 - an extra

    try:
        return asyncio.run(_fetch(asyncpg, dsn, run_id))
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError, TimeoutError) as error:
        reason = str(error) or type(error).__name__
        raise StoreError(
            f"--store {without_secrets(dsn)}: not an order service's database ({reason})"
        ) from error


async def _fetch(asyncpg: Any, dsn: str, run_id: str) -> _Rows:
    connection = await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_S, command_timeout=READ_TIMEOUT_S)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            leaked = await connection.fetchval(_LEAKED.format("$1", "$2"), *_leaks_of(run_id))
            orders = await connection.fetch(_ORDERS.format("$1"), run_id)
            return _Rows(orders, leaked, await connection.fetch(_STOCK.format("$1"), run_id))
    finally:
        await connection.close()


def _leaks_of(run_id: str) -> tuple[str, str]:
    return f"{run_id}:", f"{run_id};"  # ';' is the character after ':'


def _orders(rows: _Rows) -> StoredOrders:
    keys: list[str] = []
    sold: Counter[int] = Counter()
    for key, part, lines, status in rows.orders:
        if key is not None and part <= 1:  # a checkout is several orders under one key, from part 1 on
            keys.append(key)
        if status != "cancelled":
            sold.update(_units(json.loads(lines)))
    stock = [
        StockLine(f"sku-{sku_no:06d}", initial, available, sold[sku_no])
        for sku_no, initial, available in rows.stock
    ]
    return StoredOrders(keys, rows.leaked, stock)


def _units(lines: Iterable[Sequence[int]]) -> Counter[int]:
    units: Counter[int] = Counter()
    for sku_no, ordered, _ in lines:
        units[sku_no] += ordered
    return units
