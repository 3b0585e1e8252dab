"""What is done to many rows at once, for any database: reservations and keys end, and runs are purged.

Each is a chunk in a transaction of its own, found by an index, so that its work is in proportion to what is due and
customers' batches go in between. What belongs to one checkout shares its order numbers' millisecond and writer, and
a chunk never ends within those: a checkout ends wholly.
"""

# ruff: noqa: S608 - only our own table names are put into statements; values are bound

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from time import monotonic
from typing import Any, NamedTuple

import msgspec

from target_service.orders import MOST_AT_ONCE
from target_service.payments import CANCELLED
from target_service.store.base import (
    CancelUnpaid,
    ClockReading,
    ExpireKeys,
    Purged,
    PurgeRun,
    Result,
    Tick,
)
from target_service.store.clock import Clock, tick
from target_service.store.session import Session
from target_service.store.tables import KEYED, LIVE_TABLES, SHADOW_TABLES, UNPAID

_ALL = (1 << 63) - 1
PIECE = 250
"""Rows that are changed between two looks at the time: one to two milliseconds of work."""
LONGEST_PASS_S = 0.02
"""Orders wait for a pass that is under way: on a slow disk the time ends it, otherwise the rows."""

Rows = Sequence[Sequence[Any]]


class _Due(NamedTuple):
    """Orders stored from one time of the store's clock to another and numbered below a bound: `limit` of them."""

    from_ms: int
    to_ms: int
    below: int
    limit: int


def _due(change: CancelUnpaid | ExpireKeys) -> tuple[_Due, _Due]:
    """What bears no time goes by its number."""
    return (
        _Due(0, 0, change.numbered_below, change.limit),
        _Due(1, change.stored_before_ms - 1, _ALL, change.limit),
    )


async def _find(session: Session, orders: str, condition: str, due: _Due, lock: str) -> Rows:
    """Number, run, lines and time of orders that are due, the oldest; ends with a whole checkout."""
    columns = "order_id, run_id, lines, stored_ms"
    rows = await session.fetch_many(
        columns,
        # The plus keeps the planner from walking the numbers instead of the index.
        f"FROM {orders} WHERE {condition} AND stored_ms BETWEEN $1 AND $2 AND +order_id < $3"
        f" ORDER BY stored_ms, order_id LIMIT $4{lock}",
        *due,
    )
    if len(rows) < due.limit:
        return rows
    number, _, _, stored_ms = rows[-1]
    others = await session.fetch_many(
        columns,
        f"FROM {orders} WHERE {condition} AND stored_ms = $1 AND order_id > $2 AND order_id <= $3{lock}",
        stored_ms,
        number,
        number | MOST_AT_ONCE - 1,
    )
    return [*rows, *others]


class _Pass:
    """What is left of one transaction: so many rows, and a time after which no other piece of them is begun."""

    def __init__(self, limit: int) -> None:
        self.done = 0
        self._limit = limit
        self._until_s = monotonic() + LONGEST_PASS_S

    def piece(self) -> int:
        """How many rows to do next; 0 ends the pass."""
        is_late = self.done > 0 and monotonic() >= self._until_s
        return 0 if is_late else max(0, min(PIECE, self._limit - self.done))


async def _cancel_unpaid(session: Session, cancel: CancelUnpaid) -> int:
    this = _Pass(cancel.limit)
    for tables in (LIVE_TABLES, SHADOW_TABLES):
        returned: Counter[tuple[str, int]] = Counter()
        for due in _due(cancel):
            while piece := this.piece():
                # What is locked is being paid.
                rows = await _find(
                    session, tables.orders, UNPAID, due._replace(limit=piece), session.unlocked_only
                )
                if rows:
                    await session.execute(
                        f"UPDATE {tables.orders} SET status = '{CANCELLED}' WHERE order_id {session.among(1)}",
                        session.listed([row[0] for row in rows]),
                    )
                    returned += units_of(rows)
                    this.done += len(rows)
                if len(rows) < piece:
                    break
        if returned:
            await _put_back(session, tables.stock, returned)  # at once: stock is locked in one order
    return this.done


async def _expire_keys(session: Session, expire: ExpireKeys) -> int:
    this = _Pass(expire.limit)
    for tables in (LIVE_TABLES, SHADOW_TABLES):
        for due in _due(expire):
            while piece := this.piece():
                expired = await _expire_piece(session, tables.orders, due._replace(limit=piece))
                this.done += expired
                if expired < piece:
                    break
        if piece := this.piece():
            this.done += await session.execute(
                f"DELETE FROM {tables.parcel_keys} WHERE (run_id, idempotency_key) IN"
                f" (SELECT run_id, idempotency_key FROM {tables.parcel_keys} WHERE stored_ms < $1 LIMIT $2)",
                expire.stored_before_ms,
                piece,
            )
    return this.done


async def _expire_piece(session: Session, orders: str, due: _Due) -> int:
    rows = await _find(session, orders, KEYED, due, "")
    if not rows:
        return 0
    numbers = session.listed(sorted(row[0] for row in rows))
    them = f"WHERE order_id {session.among(1)}"
    if session.locked:
        await session.fetch(f"SELECT 1 FROM {orders} {them} ORDER BY order_id{session.locked}", numbers)
    return await session.execute(f"UPDATE {orders} SET key_live = 0 {them}", numbers)


def units_of(rows: Iterable[Sequence[Any]]) -> Counter[tuple[str, int]]:
    """Units by run and product, of rows that begin with order number, run id and lines."""
    units: Counter[tuple[str, int]] = Counter()
    for _, run_id, lines, *_ in rows:
        for sku_no, quantity, _ in msgspec.json.decode(lines):
            units[run_id, sku_no] += quantity
    return units


async def _put_back(session: Session, stock: str, units: Mapping[tuple[str, int], int]) -> None:
    """Put units on sale again, by run and product; rows are locked in that order."""
    columns = {"run_id": "text", "sku_no": "bigint", "units": "bigint"}
    rows = [(*key, units[key]) for key in sorted(units)]
    of_them = "stock.run_id = new.run_id AND stock.sku_no = new.sku_no"
    if session.locked:
        await session.with_rows(
            columns,
            rows,
            f"SELECT 1 FROM {stock} AS stock, new WHERE {of_them}"
            f' ORDER BY stock.run_id COLLATE "C", stock.sku_no{session.locked} OF stock',
        )
    await session.with_rows(
        columns,
        rows,
        f"UPDATE {stock} AS stock SET available = stock.available + new.units FROM new WHERE {of_them}",
    )


async def _purge(session: Session, purge: PurgeRun) -> Purged:
    """Delete some of what a run left. Orders and stock agree after each chunk, since the run may go on."""
    tables = SHADOW_TABLES
    rows = await session.fetch_many(
        "order_id, run_id, lines, status",
        f"FROM {tables.orders} WHERE run_id = $1 ORDER BY order_id LIMIT $2{session.locked}",
        purge.run_id,
        purge.limit,
    )
    if rows:
        await session.execute(
            f"DELETE FROM {tables.orders} WHERE order_id {session.among(1)}",
            session.listed([row[0] for row in rows]),
        )
        await _put_back(session, tables.stock, units_of(row for row in rows if row[3] != CANCELLED))
    if len(rows) == purge.limit:
        return Purged(len(rows), has_more=True)
    for table, key in ((tables.parcels, "parcel_id"), (tables.parcel_keys, "idempotency_key")):
        deleted = await session.execute(
            f"DELETE FROM {table} WHERE run_id = $1"
            f" AND {key} IN (SELECT {key} FROM {table} WHERE run_id = $1 LIMIT $2)",
            purge.run_id,
            purge.limit,
        )
        if deleted == purge.limit:
            return Purged(len(rows), has_more=True)
    skus = await session.fetch_many(
        "sku_no",
        f"FROM {tables.stock} WHERE run_id = $1 ORDER BY sku_no LIMIT $2{session.locked}",
        purge.run_id,
        purge.limit,
    )
    # One statement: what is committed between two of them would have an order, but no stock.
    deleted = await session.execute(
        f"DELETE FROM {tables.stock} WHERE run_id = $1 AND sku_no {session.among(2)}"
        f" AND NOT EXISTS (SELECT 1 FROM {tables.orders} WHERE run_id = $1)",
        purge.run_id,
        session.listed([sku_no for (sku_no,) in skus]),
    )
    return Purged(len(rows), has_more=deleted > 0 and len(skus) == purge.limit)


async def _tick(session: Session, change: Tick) -> ClockReading:
    ((now_ms, step_ms),) = await session.fetch(f"SELECT now_ms, step_ms FROM clock{session.locked}")
    clock = tick(Clock(now_ms, step_ms), change)
    if clock is None:
        return ClockReading(now_ms, is_kept=False)
    await session.execute("UPDATE clock SET now_ms = $1, step_ms = $2", *clock)
    return ClockReading(clock.now_ms, is_kept=True)


SWEEPS: dict[type, Callable[[Session, Any], Awaitable[Result]]] = {
    CancelUnpaid: _cancel_unpaid,
    ExpireKeys: _expire_keys,
    PurgeRun: _purge,
    Tick: _tick,
}
