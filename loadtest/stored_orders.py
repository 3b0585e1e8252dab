"""Reads what the order service stored of a run, straight from its database.

The tables are those documented at the top of `target_service/store/tables.py`, the same in both databases; the
service is not asked, since an audit that trusts the audited is none. All is read in one transaction, because the
service may still be at work.
"""

import importlib.util
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from loadtest.address import UnclearAddressError, check_clear, without_secrets
from loadtest.judge.audit import StockLine, StoredOrders
from loadtest.measure.ledger import OF_REGION, region_of
from loadtest.release import installs

SQLITE = "sqlite:///"
POSTGRES = ("postgresql://", "postgres://")
CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 300.0

_ORDERS = "SELECT idempotency_key, part, lines, status, {} FROM shadow_orders WHERE run_id = {}"
_WITHOUT_REGIONS = "''"
_REGION_COLUMN = "SELECT count(*) FROM pragma_table_info('shadow_orders') WHERE name = 'region'"
_REGION_COLUMN_OF_POSTGRES = (
    "SELECT count(*) FROM information_schema.columns"
    " WHERE table_name = 'shadow_orders' AND column_name = 'region'"
)
"""Whether orders have a region; those of an earlier release have none."""
_LEAKED = "SELECT count(*) FROM orders WHERE idempotency_key >= {} AND idempotency_key < {}"
_STOCK = (
    "SELECT sku_no, CAST(sum(initial) AS bigint), CAST(sum(available) AS bigint) FROM shadow_stock"
    " WHERE run_id = {} GROUP BY sku_no ORDER BY sku_no"  # an earlier program's PostgreSQL has several rows a product
)


class StoreError(Exception):
    """The service's orders cannot be read."""


AT_ONCE = 10_000
"""Orders that are in memory at a time."""

TakeKeys = Callable[[Iterable[str]], None]
"""Is told the key of every stored order of the run, as often as it is stored."""
_Lines = list[tuple[int, int, int]]
"""(product, units, cents) of an order."""


def read_stored_orders(dsn: str, run_id: str, take_keys: TakeKeys) -> StoredOrders:
    """The orders of one run, in memory of one size however many they are: `take_keys` gets the keys as they are read.

    Raises `StoreError` for a store that cannot be read or is not the service's.
    """
    check_store(dsn)
    sold = _Sold(take_keys)
    if dsn.startswith(SQLITE):
        return _read_sqlite(dsn, run_id, sold)
    return _read_postgres(dsn, run_id, sold)


class _Sold:
    """Takes orders as they are read, and counts what they sold."""

    def __init__(self, take_keys: TakeKeys) -> None:
        self._take_keys = take_keys
        self._units: Counter[int] = Counter()
        self._misplaced = 0
        self._decode = msgspec.json.Decoder(_Lines).decode

    def add(self, orders: Sequence[Sequence[Any]]) -> None:
        """Take (key, part, lines, status, region) of each."""
        # A checkout is several orders under one key, from part 1 on.
        self._take_keys([order[0] for order in orders if order[0] is not None and order[1] <= 1])
        self._misplaced += sum(
            region_of(order[0]) != order[4]
            for order in orders
            if order[0] is not None and OF_REGION in order[0]
        )
        equal = Counter(order[2] for order in orders if order[3] != "cancelled")
        for lines, times in equal.items():
            for sku_no, units, _ in self._decode(lines):
                self._units[sku_no] += units * times

    def stored(self, leaked: int, stock: Iterable[Sequence[Any]]) -> StoredOrders:
        """What is stored, once every order was taken."""
        return StoredOrders(
            leaked,
            [
                StockLine(f"sku-{sku_no:06d}", initial, available, self._units[sku_no])
                for sku_no, initial, available in stock
            ],
            self._misplaced,
        )


def check_store(dsn: str) -> None:
    """Raise `StoreError` for an address that cannot be that of a store; nothing is connected to."""
    check_written(dsn)
    if dsn.startswith(SQLITE):
        if not Path(dsn.removeprefix(SQLITE)).is_file():
            raise StoreError(f"--store {dsn}: there is no such file")
    elif importlib.util.find_spec("asyncpg") is None:
        raise StoreError(f"--store postgresql: needs the package asyncpg: {installs('postgres')}")


def check_written(dsn: str) -> None:
    """Raise `StoreError` for an address that is not written as a store's, whether there is one or not."""
    if dsn != dsn.strip() or not dsn.isprintable():
        raise StoreError("--store: expected one line of text with nothing around it")
    if not dsn.startswith((SQLITE, *POSTGRES)):
        raise StoreError(f"--store {without_secrets(dsn)}: expected sqlite:///FILE or postgresql://...")
    if not dsn.startswith(SQLITE):
        try:
            check_clear(dsn)
        except UnclearAddressError as error:
            raise StoreError(f"--store: {error}") from None


def _read_sqlite(dsn: str, run_id: str, sold: _Sold) -> StoredOrders:
    path = Path(dsn.removeprefix(SQLITE)).resolve()
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            database.execute("BEGIN")
            (leaked,) = database.execute(_LEAKED.format("?", "?"), _leaks_of(run_id)).fetchone()
            (has_regions,) = database.execute(_REGION_COLUMN).fetchone()
            region = "region" if has_regions else _WITHOUT_REGIONS
            orders = database.execute(_ORDERS.format(region, "?"), (run_id,))
            while some := orders.fetchmany(AT_ONCE):
                sold.add(some)
            return sold.stored(leaked, database.execute(_STOCK.format("?"), (run_id,)).fetchall())
    except (sqlite3.Error, msgspec.MsgspecError) as error:
        raise StoreError(f"--store {dsn}: not an order service's database ({error})") from error


def _read_postgres(dsn: str, run_id: str, sold: _Sold) -> StoredOrders:
    import asyncio  # noqa: PLC0415 - only this needs it, and it takes long to import

    import asyncpg  # noqa: PLC0415 - an extra

    try:
        return asyncio.run(_fetch(asyncpg, dsn, run_id, sold))
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError, TimeoutError) as error:
        reason = str(error) or type(error).__name__
        raise StoreError(
            f"--store {without_secrets(dsn)}: not an order service's database ({reason})"
        ) from error


async def _fetch(asyncpg: Any, dsn: str, run_id: str, sold: _Sold) -> StoredOrders:
    connection = await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_S, command_timeout=READ_TIMEOUT_S)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            leaked = await connection.fetchval(_LEAKED.format("$1", "$2"), *_leaks_of(run_id))
            has_regions = await connection.fetchval(_REGION_COLUMN_OF_POSTGRES)
            region = "region" if has_regions else _WITHOUT_REGIONS
            orders = await connection.cursor(_ORDERS.format(region, "$1"), run_id)
            while some := await orders.fetch(AT_ONCE):
                sold.add(some)
            return sold.stored(leaked, await connection.fetch(_STOCK.format("$1"), run_id))
    finally:
        await connection.close()


def _leaks_of(run_id: str) -> tuple[str, str]:
    return f"{run_id}:", f"{run_id};"  # ';' is the character after ':'
