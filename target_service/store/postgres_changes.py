"""The SQL of every change but purchases in PostgreSQL: one at a time, inside the batch's transaction.

A row that a change reads in order to write it is locked, since other machines write too.
"""

# ruff: noqa: S608 - only our own table names are put into statements; values are bound

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from target_service.orders import Order
from target_service.parcels import Parcel, ParcelEvent, Scan, apply_scan, register
from target_service.payments import CANCELLED, CREATED, Payment, settle
from target_service.store.base import CancelUnpaid, Change, ExpireKeys, PurgeRun, Restock
from target_service.store.group_commit import RULES, Answer, returned_units
from target_service.store.postgres_stock import delete_stock, put_back, restock
from target_service.store.tables import LIVE_TABLES, SHADOW_TABLES, Tables, tables_of

_events_of = msgspec.json.Decoder(tuple[ParcelEvent, ...]).decode
_to_json = msgspec.json.Encoder().encode


async def apply_change(connection: Any, change: Change, initial_units: int) -> Answer:
    """Make one change inside the open transaction; its result, or the rule that forbids it."""
    try:
        return await _APPLY[type(change)](connection, change, initial_units)
    except RULES as refusal:
        return refusal


async def find_order(connection: Any, run_id: str, order_id: int, lock: str = "") -> Order | None:
    """The order of that number in that run; `lock` is a locking clause."""
    row = await connection.fetchrow(
        "SELECT order_id, part, buyer_id, total_cents, lines, status"
        f" FROM {tables_of(run_id).orders} WHERE order_id = $1 AND run_id = $2 {lock}",
        order_id,
        run_id,
    )
    return None if row is None else Order(*row)


async def find_parcel(connection: Any, run_id: str, parcel_id: int, lock: str = "") -> Parcel | None:
    """The parcel of that number in that run; `lock` is a locking clause."""
    row = await connection.fetchrow(
        "SELECT parcel_id, run_id, order_id, destination, events"
        f" FROM {tables_of(run_id).parcels} WHERE parcel_id = $1 AND run_id = $2 {lock}",
        parcel_id,
        run_id,
    )
    return None if row is None else Parcel(row[0], row[1], row[2], row[3], _events_of(row[4]))


async def _pay(connection: Any, payment: Payment, _initial_units: int) -> Order:
    paid = settle(payment, await find_order(connection, payment.run_id, payment.order_id, "FOR UPDATE"))
    await connection.execute(
        f"UPDATE {tables_of(payment.run_id).orders} SET status = $1 WHERE order_id = $2",
        paid.status,
        paid.order_id,
    )
    return paid


async def _add_parcel(connection: Any, parcel: Parcel, _initial_units: int) -> Parcel:
    inserted = await connection.fetchval(
        f"INSERT INTO {tables_of(parcel.run_id).parcels} (parcel_id, run_id, order_id, destination, events)"
        " VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING parcel_id",
        *parcel[:4],
        _to_json(parcel.events).decode(),
    )
    if inserted is not None:
        return parcel
    return register(parcel, await find_parcel(connection, parcel.run_id, parcel.parcel_id))


async def _scan(connection: Any, scan: Scan, _initial_units: int) -> Parcel:
    parcel = apply_scan(scan, await find_parcel(connection, scan.run_id, scan.parcel_id, "FOR UPDATE"))
    await connection.execute(
        f"UPDATE {tables_of(scan.run_id).parcels} SET events = $1 WHERE parcel_id = $2",
        _to_json(parcel.events).decode(),
        scan.parcel_id,
    )
    return parcel


async def _cancel_unpaid(connection: Any, cancel: CancelUnpaid, _initial_units: int) -> int:
    return await _cancel_in(connection, LIVE_TABLES, cancel) + await _cancel_in(
        connection, SHADOW_TABLES, cancel
    )


async def _cancel_in(connection: Any, tables: Tables, cancel: CancelUnpaid) -> int:
    unpaid = await connection.fetch(
        f"SELECT order_id, run_id, lines FROM {tables.orders} WHERE order_id > $1 AND order_id < $2"
        " AND status = $3 ORDER BY order_id LIMIT $4 FOR UPDATE",
        cancel.after_order_id,
        cancel.before_order_id,
        CREATED,
        cancel.limit,
    )
    await connection.execute(
        f"UPDATE {tables.orders} SET status = $1 WHERE order_id = ANY($2::bigint[])",
        CANCELLED,
        [row["order_id"] for row in unpaid],
    )
    await put_back(connection, tables.stock, returned_units(unpaid))
    return len(unpaid)


async def _expire_keys(connection: Any, expire: ExpireKeys, _initial_units: int) -> int:
    expired = 0
    for tables in (LIVE_TABLES, SHADOW_TABLES):
        done = await connection.execute(
            f"UPDATE {tables.orders} SET key_live = 0 WHERE order_id IN (SELECT order_id FROM {tables.orders}"
            " WHERE order_id > $1 AND order_id < $2 AND key_live = 1 AND idempotency_key IS NOT NULL"
            " ORDER BY order_id LIMIT $3)",
            expire.after_order_id,
            expire.before_order_id,
            expire.limit,
        )
        expired += _rows(done)
    return expired


async def _purge(connection: Any, purge: PurgeRun, _initial_units: int) -> int:
    await delete_stock(connection, SHADOW_TABLES.stock, purge.run_id)
    await connection.execute(f"DELETE FROM {SHADOW_TABLES.parcels} WHERE run_id = $1", purge.run_id)
    return _rows(
        await connection.execute(f"DELETE FROM {SHADOW_TABLES.orders} WHERE run_id = $1", purge.run_id)
    )


def _rows(command_tag: str) -> int:
    """The count at the end of a command's tag, such as `UPDATE 5`."""
    return int(command_tag.rsplit(" ", 1)[1])


_APPLY: dict[type, Callable[[Any, Any, int], Awaitable[Answer]]] = {
    Payment: _pay,
    Restock: restock,
    Parcel: _add_parcel,
    Scan: _scan,
    CancelUnpaid: _cancel_unpaid,
    ExpireKeys: _expire_keys,
    PurgeRun: _purge,
}
