"""What is done to many rows at once, for any database: reservations and keys end, runs are purged, time goes on.

Each is a chunk in a transaction of its own, found by an index, so that its work is in proportion to what is due and
customers' batches go in between. What belongs to one checkout shares its order numbers' millisecond and writer, and
a chunk never ends within those: a checkout ends wholly.

Time is the store's own, which no wall clock can step: one row, two numbers. Each housekeeper reads it now and then,
and adds the time since it last read it, by its own monotonic clock, if no other process moved the clock meanwhile.
The stretches that are added never overlap, so the clock never runs fast, however many processes keep it; one that
finds it moved leaves it, and all other housekeeping, to the one that moves it. While no service runs it stands still:
no order could be paid. What is stored bears `now_ms + step_ms`, the latest it can have been at the next tick, which
adds at most `step_ms`; so nothing is ever taken for older than it is, nor for younger by more than two steps.
"""

# ruff: noqa: S608 - only our own table names are put into statements; values are bound

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from time import monotonic
from typing import Any

import msgspec

from target_service.orders import CANCELLED, MOST_AT_ONCE
from target_service.store.base import (
    CancelUnpaid,
    ClockReading,
    ExpireKeys,
    Purged,
    PurgeRun,
    Result,
    Session,
    Swept,
    Tick,
)
from target_service.store.tables import KEYED, LIVE_TABLES, SHADOW_TABLES, UNPAID

Rows = Sequence[Sequence[Any]]


async def _find_due(
    session: Session, source: str, sweep: CancelUnpaid | ExpireKeys, limit: int, lock: str = ""
) -> Rows:
    """Number, run, lines and time of the oldest orders that are due; ends with a whole checkout."""
    columns = "order_id, run_id, lines, stored_ms"
    oldest = f"FROM {source} AND stored_ms < $1 ORDER BY stored_ms, order_id LIMIT $2{lock}"
    rows = await session.fetch_many(columns, oldest, sweep.stored_before_ms, limit)
    if len(rows) < limit:
        return rows
    number, _, _, stored_ms = rows[-1]
    # Not BETWEEN: with equal times the index finds the numbers, too.
    same = f"FROM {source} AND stored_ms = $1 AND order_id > $2 AND order_id <= $3{lock}"
    return [*rows, *await session.fetch_many(columns, same, stored_ms, number, number | MOST_AT_ONCE - 1)]


async def _cancel_unpaid(session: Session, cancel: CancelUnpaid) -> Swept:
    began_s, done = monotonic(), 0
    for orders, stock, _, _ in (LIVE_TABLES, SHADOW_TABLES):
        if done < cancel.limit:
            source, left = f"{orders} WHERE {UNPAID}", cancel.limit - done
            rows = await _find_due(session, source, cancel, left, session.unlocked_only)  # locked: being paid
            await _execute_on(session, f"UPDATE {orders} SET status = '{CANCELLED}'", rows)
            await _put_back(session, stock, units_of(rows))
            done += len(rows)
    return _swept(done, began_s)


async def _expire_keys(session: Session, expire: ExpireKeys) -> Swept:
    began_s, done = monotonic(), 0
    for orders, _, _, parcel_keys in (LIVE_TABLES, SHADOW_TABLES):
        if done < expire.limit:
            rows = await _find_due(session, f"{orders} WHERE {KEYED}", expire, expire.limit - done)
            if session.locked and rows:  # in the order in which customers' batches lock them
                numbers = session.listed([row[0] for row in rows])
                them = f"WHERE order_id {session.among(1)} ORDER BY order_id{session.locked}"
                await session.fetch(f"SELECT 1 FROM {orders} {them}", numbers)
            done += await _execute_on(session, f"UPDATE {orders} SET key_live = 0", rows)
        if done < expire.limit:
            due = f"SELECT run_id, idempotency_key FROM {parcel_keys} WHERE stored_ms < $1 LIMIT $2"
            sql = f"DELETE FROM {parcel_keys} WHERE (run_id, idempotency_key) IN ({due})"
            done += await session.execute(sql, expire.stored_before_ms, expire.limit - done)
    return _swept(done, began_s)


def _swept(rows: int, began_s: float) -> Swept:
    swept = Swept(rows)
    swept.took_s = monotonic() - began_s
    return swept


async def _execute_on(session: Session, statement: str, rows: Rows) -> int:
    """Run a statement on the orders whose numbers rows begin with; how many it changed."""
    if not rows:
        return 0
    numbers = session.listed([row[0] for row in rows])
    return await session.execute(f"{statement} WHERE order_id {session.among(1)}", numbers)


def units_of(rows: Iterable[Sequence[Any]]) -> Counter[tuple[str, int]]:
    """Units by run and product, of rows that begin with order number, run id and lines."""
    units: Counter[tuple[str, int]] = Counter()
    for _, run_id, lines, *_ in rows:
        for sku_no, quantity, _ in msgspec.json.decode(lines):
            units[run_id, sku_no] += quantity
    return units


async def _put_back(session: Session, stock: str, units: Mapping[tuple[str, int], int]) -> None:
    """Put units on sale again, by run and product; rows are locked in that order."""
    columns = "run_id text, sku_no bigint, units bigint"
    rows = [(*key, units[key]) for key in sorted(units)]
    of_them = "stock.run_id = new.run_id AND stock.sku_no = new.sku_no"
    if session.locked:
        in_order = f'ORDER BY stock.run_id COLLATE "C", stock.sku_no{session.locked} OF stock'
        await session.with_rows(
            columns, rows, f"SELECT 1 FROM {stock} AS stock, new WHERE {of_them} {in_order}"
        )
    back = f"UPDATE {stock} AS stock SET available = stock.available + new.units FROM new WHERE {of_them}"
    await session.with_rows(columns, rows, back)


async def _purge(session: Session, purge: PurgeRun) -> Purged:
    """Delete some of what a run left. Orders and stock agree after each chunk, since the run may go on."""
    orders, stock, parcels, parcel_keys = SHADOW_TABLES
    run_id, limit = purge
    first = f"FROM {orders} WHERE run_id = $1 ORDER BY order_id LIMIT $2{session.locked}"
    rows = await session.fetch_many("order_id, run_id, lines, status", first, run_id, limit)
    await _execute_on(session, f"DELETE FROM {orders}", rows)
    await _put_back(session, stock, units_of(row for row in rows if row[3] != CANCELLED))
    if len(rows) == limit:
        return Purged(len(rows), has_more=True)
    for table, key in ((parcels, "parcel_id"), (parcel_keys, "idempotency_key")):
        some = f"SELECT {key} FROM {table} WHERE run_id = $1 LIMIT $2"
        sql = f"DELETE FROM {table} WHERE run_id = $1 AND {key} IN ({some})"
        if await session.execute(sql, run_id, limit) == limit:
            return Purged(len(rows), has_more=True)
    first = f"FROM {stock} WHERE run_id = $1 ORDER BY sku_no LIMIT $2{session.locked}"
    skus = [sku_no for (sku_no,) in await session.fetch_many("sku_no", first, run_id, limit)]
    # One statement: what is committed between two of them would have an order, but no stock.
    sql = (
        f"DELETE FROM {stock} WHERE run_id = $1 AND sku_no {session.among(2)}"
        f" AND NOT EXISTS (SELECT 1 FROM {orders} WHERE run_id = $1)"
    )
    deleted = await session.execute(sql, run_id, session.listed(skus))
    return Purged(len(rows), has_more=deleted > 0 and len(skus) == limit)


async def _tick(session: Session, tick: Tick) -> ClockReading:
    ((now_ms, step_ms),) = await session.fetch(f"SELECT now_ms, step_ms FROM clock{session.locked}")
    if now_ms != tick.seen_ms:
        return ClockReading(now_ms, is_kept=False)
    added_ms = min(tick.elapsed_ms, step_ms)
    # A process that sees the same time twice must find the same step, or two could add the same stretch.
    if added_ms > 0:
        now_ms += added_ms
        await session.execute("UPDATE clock SET now_ms = $1, step_ms = $2", now_ms, tick.step_ms)
    return ClockReading(now_ms, is_kept=True)


SWEEPS: dict[type, Callable[[Session, Any], Awaitable[Result]]] = {
    CancelUnpaid: _cancel_unpaid,
    ExpireKeys: _expire_keys,
    PurgeRun: _purge,
    Tick: _tick,
}
