"""A PostgreSQL connection as a `Session`."""

# ruff: noqa: S608 - only our own table names are put into statements; values are bound

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from target_service.orders import Purchase
from target_service.parcels import KeyedParcel
from target_service.store.base import Change


class PostgresSession:
    """One connection, asyncpg's."""

    locked = " FOR UPDATE"
    unlocked_only = " FOR UPDATE SKIP LOCKED"

    def __init__(self, connection: Any, initial_units: int) -> None:
        self.connection = connection
        self.initial_units = initial_units

    async def fetch(self, sql: str, *arguments: Any) -> Sequence[Sequence[Any]]:
        """The rows of a query."""
        rows: list[Sequence[Any]] = await self.connection.fetch(sql, *arguments)
        return rows

    async def fetch_many(self, columns: str, source: str, *arguments: Any) -> Sequence[Sequence[Any]]:
        """The rows of `SELECT columns source`."""
        return await self.fetch(f"SELECT {columns} {source}", *arguments)

    async def execute(self, sql: str, *arguments: Any) -> int:
        """Run a statement; how many rows it changed: the number at the end of its tag, such as `UPDATE 5`."""
        tag: str = await self.connection.execute(sql, *arguments)
        return int(tag.rsplit(" ", 1)[1])

    async def with_rows(
        self, columns: Mapping[str, str], rows: Sequence[Sequence[Any]], statement: str
    ) -> None:
        """Run a statement, if there are rows, in which `new` is a table of them."""
        if rows:
            arrays = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(columns.values(), 1))
            new = f"WITH new ({', '.join(columns)}) AS (SELECT * FROM unnest({arrays}))"
            await self.connection.execute(f"{new} {statement}", *map(list, zip(*rows, strict=True)))

    def among(self, place: int, kind: str = "bigint") -> str:
        """SQL for "is one of these values"."""
        return f"= ANY(${place}::{kind}[])"

    def listed(self, values: Sequence[object]) -> Sequence[object]:
        """Values as one argument."""
        return values

    async def lock_keys(self, batch: Iterable[Change]) -> None:
        """Have every key of a batch to itself: what another machine stores under one is unseen until it commits."""
        keys = [
            f"{change.run_id if isinstance(change, Purchase) else change.change.run_id} {change.key}"
            for change in batch
            if isinstance(change, Purchase | KeyedParcel) and change.key is not None
        ]
        if keys:
            await self.fetch(
                "SELECT pg_advisory_xact_lock(lock) FROM (SELECT DISTINCT hashtextextended(key, 0) AS lock"
                " FROM unnest($1::text[]) AS key ORDER BY lock) AS sorted",
                keys,
            )
