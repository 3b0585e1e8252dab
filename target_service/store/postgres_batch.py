"""The SQL of a batch of purchases in PostgreSQL.

Each step is one statement for the whole batch, rows passed as arrays (`unnest`). Locks are taken in one order
on every machine, so that no two batches can wait for each other: first the idempotency keys (advisory locks,
sorted), then orders and parcels that are changed (`changes.lock_order`), then stock, by run and in `postgres_stock`'s
order.
"""

# ruff: noqa: S608 - only our own table names are put into statements; values are bound

from collections.abc import Iterable, Sequence
from typing import Any

from target_service.orders import Purchase
from target_service.parcels import KeyedParcel
from target_service.stock_buckets import Buckets, demands
from target_service.store.base import Change
from target_service.store.group_commit import Answer, Placed, by_run, keys_of, known_purchases, plan
from target_service.store.postgres_stock import ClaimedStock
from target_service.store.tables import STORED_MS, Tables, tables_of


async def apply_purchases(
    connection: Any, batch: Sequence[Change], initial_units: int, buckets: Buckets
) -> dict[int, Answer]:
    """Write a batch's purchases inside the open transaction; answers by place, none for those put off.

    Raises StockMovedError.
    """
    answers: dict[int, Answer] = {}
    for run_id, share in sorted(by_run(batch).items()):
        answers |= await _apply_run(connection, run_id, share, initial_units, buckets)
    return answers


async def _apply_run(
    connection: Any, run_id: str, share: list[Placed], initial_units: int, buckets: Buckets
) -> dict[int, Answer]:
    tables = tables_of(run_id)
    known = await _known_keys(connection, tables, run_id, keys_of(share))
    fresh = [purchase.quantities for _, purchase in share if purchase.key not in known]
    stock = ClaimedStock(connection, run_id, demands(fresh), buckets)
    decided = plan(share, known, await stock.lock(initial_units))
    await _insert_orders(connection, tables, decided.new)
    await stock.sell(decided.taken)
    return decided.answers


async def lock_keys(connection: Any, batch: Iterable[Change]) -> None:
    """Have every key of a batch to itself: what another machine stores under one is invisible until it commits."""
    keys = [
        f"{change.run_id} {change.key}"
        if isinstance(change, Purchase)
        else f"{change.change.run_id} {change.key}"
        for change in batch
        if isinstance(change, Purchase | KeyedParcel) and change.key is not None
    ]
    if keys:
        await connection.execute(
            "SELECT pg_advisory_xact_lock(lock) FROM (SELECT DISTINCT hashtextextended(key, 0) AS lock"
            " FROM unnest($1::text[]) AS key ORDER BY lock) AS sorted",
            keys,
        )


async def _known_keys(connection: Any, tables: Tables, run_id: str, keys: list[str]) -> dict[str, Purchase]:
    if not keys:
        return {}
    rows = await connection.fetch(
        f"SELECT idempotency_key, order_id, part, buyer_id, total_cents, lines FROM {tables.orders}"
        " WHERE run_id = $1 AND key_live = 1 AND idempotency_key = ANY($2::text[])"
        f" UNION ALL SELECT idempotency_key, 0, 0, 0, 0, NULL FROM {tables.parcel_keys}"
        " WHERE run_id = $1 AND idempotency_key = ANY($2::text[])",
        run_id,
        keys,
    )
    orders = [row for row in rows if row[-1] is not None]
    return known_purchases(run_id, orders, [row[0] for row in rows if row[-1] is None])


async def _insert_orders(connection: Any, tables: Tables, purchases: Sequence[Purchase]) -> None:
    rows = [
        (
            order.order_id,
            purchase.run_id,
            purchase.key,
            order.part,
            order.buyer_id,
            order.total_cents,
            order.lines,
        )
        for purchase in purchases
        for order in purchase.orders
    ]
    if rows:
        await connection.execute(
            f"INSERT INTO {tables.orders}"
            " (order_id, run_id, idempotency_key, part, buyer_id, total_cents, lines, stored_ms)"
            f" SELECT new.*, {STORED_MS} FROM unnest($1::bigint[], $2::text[], $3::text[], $4::int[], $5::bigint[],"
            " $6::bigint[], $7::text[]) AS new",
            *map(list, zip(*rows, strict=True)),
        )
