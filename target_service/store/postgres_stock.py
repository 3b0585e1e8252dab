"""The SQL of stock in PostgreSQL: a product's units are the sum of its buckets' rows (`stock_buckets`).

Two rules keep this right while other processes sell, split and purge the same products:

* Rows are locked in ascending order of (bucket, product), by everyone.
* Only the holder of the lock of the product's trunk makes and removes buckets. A batch that wants every row locks
  the trunks first and looks for the others in a second statement: the first one's snapshot may be older than its
  lock, and would miss rows that were made while it waited. For the same reason transactions must be READ COMMITTED.
"""

# ruff: noqa: S608 - only our own table names are put into statements; values are bound

from collections.abc import Iterable, Mapping
from typing import Any

from target_service.stock_buckets import (
    TRUNK,
    Buckets,
    Demand,
    Held,
    Reach,
    StockMovedError,
    reach,
    spread,
    take,
)
from target_service.store.tables import tables_of

BUCKET_LOCKS = 0x0_5EED
"""First half of the advisory locks that give each process its bucket; a space of its own beside the 64-bit ones."""

_ROWS = "unnest($2::bigint[], $3::int[], $4::bigint[]) AS now (sku_no, bucket, units)"


async def claim_bucket(connection: Any, count: int, writer_id: int) -> int:
    """The first bucket that no other process has, as long as the connection lives; shared when all are taken."""
    if count == 1:
        return TRUNK
    for bucket in range(count):
        if await connection.fetchval("SELECT pg_try_advisory_lock($1, $2)", BUCKET_LOCKS, bucket):
            return bucket
    return writer_id % count


class ClaimedStock:
    """The stock that one run's share of a batch may sell, its rows locked until the transaction ends."""

    def __init__(self, connection: Any, run_id: str, wanted: Mapping[int, Demand], buckets: Buckets) -> None:
        self._connection = connection
        self._run_id = run_id
        self._table = tables_of(run_id).stock
        self._wanted = wanted
        self._buckets = buckets
        self._reach: dict[int, Reach] = {}
        self._held: dict[int, Held] = {}

    async def lock(self, initial_units: int) -> dict[int, int]:
        """Lock what is needed; units by product number that may be sold. Raises StockMovedError."""
        if not self._wanted:
            return {}
        seen = await self._read()
        self._held = {sku_no: seen.get(sku_no, {TRUNK: initial_units}) for sku_no in self._wanted}
        self._reach = {
            sku_no: reach(self._held[sku_no], demand, self._buckets)
            for sku_no, demand in self._wanted.items()
        }
        to_lock = self._reaching(Reach.TRUNK, Reach.OWN, Reach.ALL)
        await self._make_trunks([sku_no for sku_no in to_lock if sku_no not in seen], initial_units)
        locked = await self._lock_rows()
        for sku_no in to_lock:
            self._held[sku_no] = self._checked(sku_no, locked.get(sku_no, {}))
        return {sku_no: sum(held.values()) for sku_no, held in self._held.items()}

    async def sell(self, taken: Mapping[int, int]) -> None:
        """Take units by product number from the locked rows, and level those of which all are locked."""
        changed: list[tuple[int, int, int]] = []
        made: list[tuple[int, int, int]] = []
        for sku_no, units in taken.items():
            held = self._held[sku_no]
            for bucket, left in self._after(sku_no, units).items():
                if bucket not in held:
                    made.append((sku_no, bucket, left))
                elif left != held[bucket]:
                    changed.append((sku_no, bucket, left))
        await self._write(
            f"UPDATE {self._table} AS stock SET available = now.units"
            f" FROM {_ROWS} WHERE stock.run_id = $1 AND stock.sku_no = now.sku_no AND stock.bucket = now.bucket",
            changed,
        )
        await self._write(
            f"INSERT INTO {self._table} (run_id, sku_no, bucket, initial, available)"
            f" SELECT $1, sku_no, bucket, 0, units FROM {_ROWS}",
            made,
        )

    def _after(self, sku_no: int, units: int) -> dict[int, int]:
        held, bucket = self._held[sku_no], self._only_bucket(sku_no)
        if bucket is not None:
            return {bucket: held[bucket] - units}
        return take(held, units, spread(held, self._wanted[sku_no], self._buckets.most))

    def _only_bucket(self, sku_no: int) -> int | None:
        """The bucket that all is taken from; None for all of them."""
        return {Reach.TRUNK: TRUNK, Reach.OWN: self._buckets.own}.get(self._reach[sku_no])

    def _reaching(self, *reaches: Reach) -> list[int]:
        return sorted(sku_no for sku_no, found in self._reach.items() if found in reaches)

    def _checked(self, sku_no: int, locked: Held) -> Held:
        """The locked rows, if they still are what the product was judged by."""
        bucket = self._only_bucket(sku_no)
        least = 0 if bucket is None else self._wanted[sku_no].units
        if locked.get(bucket or TRUNK, -1) < least:
            raise StockMovedError(f"product {sku_no}: {locked} instead of {self._held[sku_no]}")
        return locked

    async def _read(self) -> dict[int, dict[int, int]]:
        return _by_product(
            await self._connection.fetch(
                f"SELECT sku_no, bucket, available FROM {self._table}"
                " WHERE run_id = $1 AND sku_no = ANY($2::bigint[])",
                self._run_id,
                list(self._wanted),
            )
        )

    async def _make_trunks(self, skus: list[int], initial_units: int) -> None:
        if skus:
            await self._connection.execute(
                f"INSERT INTO {self._table} (run_id, sku_no, bucket, initial, available)"
                f" SELECT $1, sku_no, {TRUNK}, $3, $3 FROM unnest($2::bigint[]) AS sku_no ORDER BY sku_no"
                " ON CONFLICT DO NOTHING",
                self._run_id,
                skus,
                initial_units,
            )

    async def _lock_rows(self) -> dict[int, dict[int, int]]:
        whole, own = self._reaching(Reach.ALL), self._reaching(Reach.OWN)
        trunks, others = self._reaching(Reach.ALL, Reach.TRUNK), whole + own
        if self._buckets.own == TRUNK:
            trunks, others = self._reaching(Reach.ALL, Reach.TRUNK, Reach.OWN), whole
        rows: list[Any] = []
        if trunks:
            rows += await self._connection.fetch(
                f"SELECT sku_no, bucket, available FROM {self._table} WHERE run_id = $1"
                f" AND sku_no = ANY($2::bigint[]) AND bucket = {TRUNK} ORDER BY sku_no FOR UPDATE",
                self._run_id,
                trunks,
            )
        if others:
            rows += await self._connection.fetch(
                f"SELECT sku_no, bucket, available FROM {self._table} WHERE run_id = $1"
                f" AND sku_no = ANY($2::bigint[]) AND bucket > {TRUNK}"
                " AND (bucket = $3 OR sku_no = ANY($4::bigint[])) ORDER BY bucket, sku_no FOR UPDATE",
                self._run_id,
                others,
                self._buckets.own,
                whole,
            )
        return _by_product(rows)

    async def _write(self, statement: str, rows: list[tuple[int, int, int]]) -> None:
        if rows:
            await self._connection.execute(statement, self._run_id, *map(list, zip(*rows, strict=True)))


def _by_product(rows: Iterable[Any]) -> dict[int, dict[int, int]]:
    held: dict[int, dict[int, int]] = {}
    for sku_no, bucket, units in rows:
        held.setdefault(sku_no, {})[bucket] = units
    return held
