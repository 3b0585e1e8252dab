"""A PostgreSQL connection as a `Session`."""

# ruff: noqa: S608 - only our own table names are put into statements; values are bound

from collections.abc import Mapping, Sequence
from typing import Any

from target_service.stock_buckets import TRUNK
from target_service.store.base import Restock, StockLevel
from target_service.store.changes import find_stock
from target_service.store.tables import tables_of


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

    def among(self, place: int) -> str:
        """SQL for "is one of these numbers"."""
        return f"= ANY(${place}::bigint[])"

    def numbers(self, values: Sequence[int]) -> Sequence[int]:
        """Numbers as one argument."""
        return values

    async def restock(self, more: Restock) -> StockLevel:
        """Add units to the product's trunk."""
        table = tables_of(more.run_id).stock
        await self.execute(
            f"INSERT INTO {table} (run_id, sku_no, bucket, initial, available) VALUES ($1, $2, {TRUNK}, $3, $3)"
            f" ON CONFLICT (run_id, sku_no, bucket) DO UPDATE SET initial = {table}.initial + $4,"
            f" available = {table}.available + $4",
            more.run_id,
            more.sku_no,
            self.initial_units + more.units,
            more.units,
        )
        return await find_stock(self, more.run_id, more.sku_no, self.initial_units)

    async def put_back(self, table: str, units: Mapping[tuple[str, int], int]) -> None:
        """Put units on sale again in their products' trunks, which are locked in order of run and product."""
        runs, skus, returned = zip(*((*key, units[key]) for key in sorted(units)), strict=True)
        back = "unnest($1::text[], $2::bigint[], $3::bigint[]) AS back (run_id, sku_no, units)"
        of_them = f"stock.run_id = back.run_id AND stock.sku_no = back.sku_no AND stock.bucket = {TRUNK}"
        await self.fetch(
            f"SELECT 1 FROM {table} AS stock, {back} WHERE {of_them} AND units > 0"
            ' ORDER BY stock.run_id COLLATE "C", stock.sku_no FOR UPDATE OF stock',
            runs,
            skus,
            returned,
        )
        await self.execute(
            f"UPDATE {table} AS stock SET available = available + units FROM {back} WHERE {of_them}",
            runs,
            skus,
            returned,
        )

    async def lock_stock(self, table: str, run_id: str, skus: object) -> None:
        """Lock some of a run's stock: trunks first, so that no other process makes a bucket meanwhile."""
        for buckets in (f"bucket = {TRUNK}", f"bucket > {TRUNK}"):
            await self.fetch(
                f"SELECT 1 FROM {table} WHERE run_id = $1 AND sku_no {self.among(2)} AND {buckets}"
                " ORDER BY bucket, sku_no FOR UPDATE",
                run_id,
                skus,
            )
