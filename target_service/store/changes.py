"""A batch of changes, for any database, inside its transaction: purchases together, all others one at a time.

A row that is read in order to be written is locked, since other machines may write too. All lock orders first, then
parcels, each in ascending order, and stock last, so that no two transactions wait for each other.
"""

# ruff: noqa: S608 - only our own table names are put into statements; values are bound

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from target_service.orders import Order, Payment, Purchase, settle
from target_service.parcels import (
    Parcel,
    ParcelChange,
    ParcelEvent,
    ParcelReceipt,
    Scan,
    apply_scan,
    register,
)
from target_service.problem import ProblemError
from target_service.store.base import Answer, Change, Proof, Restock, Session, StockLevel
from target_service.store.purchases import ORDER, apply_purchases, key_reused
from target_service.store.sweeps import SWEEPS
from target_service.store.tables import LIVE_TABLES, SHADOW_TABLES, STORED_MS, tables_of

_events_of = msgspec.json.Decoder(tuple[ParcelEvent, ...]).decode


async def apply_batch(session: Session, batch: Sequence[Change]) -> list[Answer]:
    """Make the changes of a batch inside the open transaction; their answers."""
    answers: dict[int, Answer] = {}
    others = [place for place, change in enumerate(batch) if not isinstance(change, Purchase)]
    for place in sorted(others, key=lambda place: _lock_order(batch[place])):
        try:
            answers[place] = await _APPLY[type(batch[place])](session, batch[place])
        except ProblemError as refusal:
            answers[place] = refusal
    answers |= await apply_purchases(session, batch)
    return [answers[place] for place in range(len(batch))]


def _lock_order(change: Change) -> tuple[int, int]:
    """Where this change comes among the others of its transaction."""
    if isinstance(change, Payment):
        return 0, change.order_id
    return 1, change.what.parcel_id if isinstance(change, ParcelChange) else 0


async def find_order(session: Session, run_id: str, order_id: int, lock: str = "") -> Order | None:
    """The order of that number in that run; `lock` is a locking clause."""
    sql = f"SELECT {ORDER} FROM {tables_of(run_id).orders} WHERE order_id = $1 AND run_id = $2{lock}"
    rows = await session.fetch(sql, order_id, run_id)
    return Order(*rows[0]) if rows else None


async def find_stock(session: Session, run_id: str, sku_no: int) -> StockLevel:
    """Units of the product in that run; the initial ones if none was ever sold."""
    sql = f"SELECT initial, available FROM {tables_of(run_id).stock} WHERE run_id = $1 AND sku_no = $2"
    rows = await session.fetch(sql, run_id, sku_no)
    return StockLevel(*rows[0]) if rows else StockLevel(session.initial_units, session.initial_units)


async def find_parcel(session: Session, run_id: str, parcel_id: int, lock: str = "") -> Parcel | None:
    """The parcel of that number in that run; `lock` is a locking clause."""
    columns, parcels = "parcel_id, run_id, order_id, destination, events", tables_of(run_id).parcels
    sql = f"SELECT {columns} FROM {parcels} WHERE parcel_id = $1 AND run_id = $2{lock}"
    for number, run, order_id, destination, events in await session.fetch(sql, parcel_id, run_id):
        return Parcel(number, run, order_id, destination, _events_of(events))
    return None


async def _pay(session: Session, payment: Payment) -> Order:
    order = await find_order(session, payment.run_id, payment.order_id, session.locked)
    paid = settle(payment, order)
    if paid != order:
        sql = f"UPDATE {tables_of(payment.run_id).orders} SET status = $1 WHERE order_id = $2"
        await session.execute(sql, paid.status, paid.order_id)
    return paid


async def _add_parcel(session: Session, parcel: Parcel) -> Parcel:
    sql = (
        f"INSERT INTO {tables_of(parcel.run_id).parcels} (parcel_id, run_id, order_id, destination, events)"
        " VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING"
    )
    if await session.execute(sql, *parcel[:4], msgspec.json.encode(parcel.events).decode()):
        return parcel
    return register(parcel, await find_parcel(session, parcel.run_id, parcel.parcel_id))


async def _scan(session: Session, scan: Scan) -> Parcel:
    before = await find_parcel(session, scan.run_id, scan.parcel_id, session.locked)
    parcel = apply_scan(scan, before)
    if parcel is not before:
        sql = f"UPDATE {tables_of(scan.run_id).parcels} SET events = $1 WHERE parcel_id = $2"
        await session.execute(sql, msgspec.json.encode(parcel.events).decode(), scan.parcel_id)
    return parcel


async def _change_parcel(session: Session, change: ParcelChange) -> ParcelReceipt:
    """Make a parcel's change, or tell again what came of it under its key. Raises ProblemError."""
    made = None if change.key is None else await _made_before(session, change, change.key)
    if made is not None:
        return ParcelReceipt(made, replayed=True)
    what = change.what
    parcel = await (_scan(session, what) if isinstance(what, Scan) else _add_parcel(session, what))
    if change.key is not None:
        sql = (
            f"INSERT INTO {tables_of(change.run_id).parcel_keys}"
            " (run_id, idempotency_key, request, parcel_id, events, stored_ms)"
            f" VALUES ($1, $2, $3, $4, $5, {STORED_MS})"
        )
        its = (change.run_id, change.key, change.asked, parcel.parcel_id, len(parcel.events))
        await session.execute(sql, *its)
    return ParcelReceipt(parcel, replayed=False)


async def _made_before(session: Session, change: ParcelChange, key: str) -> Parcel | None:
    """The parcel as it was after its change under this key; None if that is new. Raises ProblemError."""
    tables, run_id = tables_of(change.run_id), change.run_id
    under_it = "WHERE run_id = $1 AND idempotency_key = $2"
    known = await session.fetch(
        f"SELECT request, parcel_id, events FROM {tables.parcel_keys} {under_it}", run_id, key
    )
    for request, parcel_id, events in known:
        before = await find_parcel(session, run_id, parcel_id)
        if request != change.asked or before is None:
            raise key_reused(key, "another request")
        return before._replace(events=before.events[:events])
    if await session.fetch(f"SELECT 1 FROM {tables.orders} {under_it} AND key_live = 1 LIMIT 1", run_id, key):
        raise key_reused(key, "a request for orders")
    return None


async def _restock(session: Session, more: Restock) -> StockLevel:
    sql = (
        f"INSERT INTO {tables_of(more.run_id).stock} AS known (run_id, sku_no, initial, available)"
        " VALUES ($1, $2, $3, $3) ON CONFLICT (run_id, sku_no)"
        " DO UPDATE SET initial = known.initial + $4, available = known.available + $4"
        " RETURNING initial, available"
    )
    first_units = session.initial_units + more.units
    return StockLevel(*(await session.fetch(sql, more.run_id, more.sku_no, first_units, more.units))[0])


async def _prove(session: Session, proof: Proof) -> int:
    """Write a row of the writer's own, which no other process locks, and nothing into every table of orders."""
    for table in (*LIVE_TABLES, *SHADOW_TABLES):
        await session.execute(f"INSERT INTO {table} SELECT * FROM {table} WHERE 1 = 0")
        await session.execute(f"UPDATE {table} SET run_id = run_id WHERE 1 = 0")
    # There is no such row where the database was replaced by another.
    sql = (
        "INSERT INTO writers (writer_id, started_at) VALUES ($1, CURRENT_TIMESTAMP)"
        " ON CONFLICT (writer_id) DO UPDATE SET proofs = writers.proofs + 1"
    )
    return await session.execute(sql, proof.writer_id)


_APPLY: dict[type, Callable[[Session, Any], Awaitable[Answer]]] = {
    Payment: _pay,
    Restock: _restock,
    ParcelChange: _change_parcel,
    Proof: _prove,
    **SWEEPS,
}
