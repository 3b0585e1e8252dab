"""A SQLite connection as a `Session`: nothing waits, and thousands of rows come as one row of JSON.

Each row that a query gives is one call to SQLite, which lets go of the interpreter lock and must win it back from the
event loop.
"""

# ruff: noqa: S608 - only our own table names are put into statements; values are bound

import sqlite3
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from target_service.store.base import Restock, StockLevel
from target_service.store.changes import find_stock
from target_service.store.tables import tables_of

T = TypeVar("T")

_to_json = msgspec.json.Encoder().encode


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    coroutine.close()
    raise RuntimeError("a call to SQLite waited for something")


class SqliteSession:
    """One connection."""

    locked = ""
    unlocked_only = ""

    def __init__(self, connection: sqlite3.Connection, initial_units: int) -> None:
        self.connection = connection
        self.initial_units = initial_units

    async def fetch(self, sql: str, *arguments: Any) -> Sequence[Sequence[Any]]:
        """The rows of a query that has few."""
        return self.connection.execute(sql.replace("$", "?"), arguments).fetchall()

    async def fetch_many(self, columns: str, source: str, *arguments: Any) -> Sequence[Sequence[Any]]:
        """The rows of `SELECT columns source`."""
        sql = f"SELECT json_group_array(json_array({columns})) FROM (SELECT {columns} {source})"
        ((rows,),) = await self.fetch(sql, *arguments)
        decoded: list[list[Any]] = msgspec.json.decode(rows)
        return decoded

    async def execute(self, sql: str, *arguments: Any) -> int:
        """Run a statement; how many rows it changed."""
        return self.connection.execute(sql.replace("$", "?"), arguments).rowcount

    def among(self, place: int) -> str:
        """SQL for "is one of these numbers"."""
        return f"IN (SELECT value FROM json_each(${place}))"

    def numbers(self, values: Sequence[int]) -> str:
        """Numbers as one argument."""
        return _to_json(values).decode()

    async def restock(self, more: Restock) -> StockLevel:
        """Add units to a product."""
        await self.execute(
            f"INSERT INTO {tables_of(more.run_id).stock} (run_id, sku_no, initial, available)"
            " VALUES ($1, $2, $3 + $4, $3 + $4)"
            " ON CONFLICT (run_id, sku_no) DO UPDATE SET initial = initial + $4, available = available + $4",
            more.run_id,
            more.sku_no,
            self.initial_units,
            more.units,
        )
        return await find_stock(self, more.run_id, more.sku_no, self.initial_units)

    async def put_back(self, table: str, units: Mapping[tuple[str, int], int]) -> None:
        """Put units on sale again, by run and product."""
        rows = [(run_id, sku_no, returned) for (run_id, sku_no), returned in units.items()]
        await self.execute(
            f"UPDATE {table} SET available = available + (back.value ->> 2) FROM json_each($1) AS back"
            f" WHERE {table}.run_id = back.value ->> 0 AND {table}.sku_no = back.value ->> 1",
            _to_json(rows).decode(),
        )

    async def lock_stock(self, table: str, run_id: str, skus: object) -> None:
        """Nothing to do: there is one writer at a time."""
