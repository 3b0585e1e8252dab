"""A SQLite connection as a `Session`: nothing waits, and a thousand rows are one row of JSON, or a few statements.

Each step of SQLite's lets go of the interpreter lock and must win it back from the event loop. (Row-by-row
`executemany` takes a third less CPU alone, but with a busy loop beside it falls to a quarter of this: 2,185 against
8,470 orders/s in batches of 64, measured with a thread that spins, switch interval 0.5 ms.)
"""

# ruff: noqa: S608 - only our own table names are put into statements; values are bound

import sqlite3
from collections.abc import Coroutine, Sequence
from itertools import chain
from typing import Any, TypeVar

import msgspec

from target_service.store.base import names_of

LARGEST_PIECE, PIECE_STEP = 256, 16
"""Rows in one statement: a multiple of the step, then the rest. So two do for most batches, and few stay prepared."""

T = TypeVar("T")


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
    """One connection; see `base.Session`."""

    locked = ""
    unlocked_only = ""

    def __init__(self, connection: sqlite3.Connection, initial_units: int) -> None:
        self.connection = connection
        self.initial_units = initial_units

    async def fetch(self, sql: str, *arguments: Any) -> Sequence[Sequence[Any]]:
        return self.connection.execute(sql.replace("$", "?"), arguments).fetchall()

    async def fetch_many(self, columns: str, source: str, *arguments: Any) -> Sequence[Sequence[Any]]:
        sql = f"SELECT json_group_array(json_array({columns})) FROM (SELECT {columns} {source})"
        ((rows,),) = await self.fetch(sql, *arguments)
        decoded: list[list[Any]] = msgspec.json.decode(rows)
        return decoded

    async def execute(self, sql: str, *arguments: Any) -> int:
        return self.connection.execute(sql.replace("$", "?"), arguments).rowcount

    async def with_rows(self, columns: str, rows: Sequence[Sequence[object]], statement: str) -> None:
        """As in the contract, in pieces of up to LARGEST_PIECE rows."""
        row, done = f"({','.join('?' * (columns.count(',') + 1))})", 0
        while done < len(rows):
            left = len(rows) - done
            size = min(LARGEST_PIECE, left // PIECE_STEP * PIECE_STEP or left)
            values = f"WITH new ({names_of(columns)}) AS (VALUES {','.join([row] * size)})"
            self.connection.execute(
                f"{values} {statement}", list(chain.from_iterable(rows[done : done + size]))
            )
            done += size

    def among(self, place: int, kind: str = "") -> str:  # noqa: ARG002 - JSON tells the type
        return f"IN (SELECT value FROM json_each(${place}))"

    def listed(self, values: Sequence[object]) -> str:
        return msgspec.json.encode(values).decode()
