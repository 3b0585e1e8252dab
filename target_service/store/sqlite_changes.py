"""The SQL of every change but purchases in SQLite: one at a time, inside the batch's transaction.

They share their commit with the purchases around them, so even row by row they cost no fsync of their own.
"""

# ruff: noqa: S608 - only our own table names are put into statements; values are bound

import sqlite3
from collections.abc import Callable
from typing import Any

import msgspec

from target_service.orders import Order
from target_service.parcels import (
    Parcel,
    ParcelEvent,
    Scan,
    apply_scan,
    register,
)
from target_service.payments import (
    CANCELLED,
    CREATED,
    Payment,
    settle,
)
from target_service.store.base import CancelUnpaid, Change, ExpireKeys, PurgeRun, Restock, StockLevel
from target_service.store.group_commit import RULES, Answer, returned_units
from target_service.store.tables import LIVE_TABLES, SHADOW_TABLES, Tables, tables_of

_events_of = msgspec.json.Decoder(tuple[ParcelEvent, ...]).decode
_to_json = msgspec.json.Encoder().encode


def apply_change(connection: sqlite3.Connection, change: Change, initial_units: int) -> Answer:
    """Make one change inside the open transaction; its result, or the rule that forbids it."""
    try:
        return _APPLY[type(change)](connection, change, initial_units)
    except RULES as refusal:
        return refusal


def find_order(connection: sqlite3.Connection, run_id: str, order_id: int) -> Order | None:
    """The order of that number in that run."""
    row = connection.execute(
        "SELECT order_id, part, buyer_id, total_cents, lines, status"
        f" FROM {tables_of(run_id).orders} WHERE order_id = ? AND run_id = ?",
        (order_id, run_id),
    ).fetchone()
    return None if row is None else Order._make(row)


def find_stock(connection: sqlite3.Connection, run_id: str, sku_no: int, initial_units: int) -> StockLevel:
    """Units of the product in that run; `initial_units` if none was ever sold."""
    row = connection.execute(
        f"SELECT initial, available FROM {tables_of(run_id).stock} WHERE run_id = ? AND sku_no = ?",
        (run_id, sku_no),
    ).fetchone()
    return StockLevel(initial_units, initial_units) if row is None else StockLevel._make(row)


def find_parcel(connection: sqlite3.Connection, run_id: str, parcel_id: int) -> Parcel | None:
    """The parcel of that number in that run."""
    row = connection.execute(
        "SELECT parcel_id, run_id, order_id, destination, events"
        f" FROM {tables_of(run_id).parcels} WHERE parcel_id = ? AND run_id = ?",
        (parcel_id, run_id),
    ).fetchone()
    return None if row is None else Parcel(row[0], row[1], row[2], row[3], _events_of(row[4]))


def _pay(connection: sqlite3.Connection, payment: Payment, _initial_units: int) -> Order:
    paid = settle(payment, find_order(connection, payment.run_id, payment.order_id))
    connection.execute(
        f"UPDATE {tables_of(payment.run_id).orders} SET status = ? WHERE order_id = ?",
        (paid.status, paid.order_id),
    )
    return paid


def _restock(connection: sqlite3.Connection, restock: Restock, initial_units: int) -> StockLevel:
    connection.execute(
        f"INSERT INTO {tables_of(restock.run_id).stock} (run_id, sku_no, initial, available)"
        " VALUES (?1, ?2, ?3 + ?4, ?3 + ?4)"
        " ON CONFLICT (run_id, sku_no) DO UPDATE SET initial = initial + ?4, available = available + ?4",
        (restock.run_id, restock.sku_no, initial_units, restock.units),
    )
    return find_stock(connection, restock.run_id, restock.sku_no, initial_units)


def _add_parcel(connection: sqlite3.Connection, parcel: Parcel, _initial_units: int) -> Parcel:
    kept = register(parcel, find_parcel(connection, parcel.run_id, parcel.parcel_id))
    if kept is not parcel:
        return kept
    connection.execute(
        f"INSERT INTO {tables_of(parcel.run_id).parcels} (parcel_id, run_id, order_id, destination, events)"
        " VALUES (?, ?, ?, ?, ?)",
        (*parcel[:4], _to_json(parcel.events).decode()),
    )
    return parcel


def _scan(connection: sqlite3.Connection, scan: Scan, _initial_units: int) -> Parcel:
    parcel = apply_scan(scan, find_parcel(connection, scan.run_id, scan.parcel_id))
    connection.execute(
        f"UPDATE {tables_of(scan.run_id).parcels} SET events = ? WHERE parcel_id = ?",
        (_to_json(parcel.events).decode(), scan.parcel_id),
    )
    return parcel


def _cancel_unpaid(connection: sqlite3.Connection, cancel: CancelUnpaid, _initial_units: int) -> int:
    return sum(_cancel_in(connection, tables, cancel) for tables in (LIVE_TABLES, SHADOW_TABLES))


def _cancel_in(connection: sqlite3.Connection, tables: Tables, cancel: CancelUnpaid) -> int:
    unpaid = connection.execute(
        f"SELECT order_id, run_id, lines FROM {tables.orders}"
        " WHERE order_id > ? AND order_id < ? AND status = ? ORDER BY order_id LIMIT ?",
        (cancel.after_order_id, cancel.before_order_id, CREATED, cancel.limit),
    ).fetchall()
    connection.executemany(
        f"UPDATE {tables.orders} SET status = ? WHERE order_id = ?",
        [(CANCELLED, order_id) for order_id, _, _ in unpaid],
    )
    connection.executemany(
        f"UPDATE {tables.stock} SET available = available + ? WHERE run_id = ? AND sku_no = ?",
        [(units, run_id, sku_no) for (run_id, sku_no), units in returned_units(unpaid).items()],
    )
    return len(unpaid)


def _expire_keys(connection: sqlite3.Connection, expire: ExpireKeys, _initial_units: int) -> int:
    return sum(
        connection.execute(
            f"UPDATE {tables.orders} SET key_live = 0 WHERE order_id IN (SELECT order_id FROM {tables.orders}"
            " WHERE order_id > ? AND order_id < ? AND key_live = 1 AND idempotency_key IS NOT NULL"
            " ORDER BY order_id LIMIT ?)",
            (expire.after_order_id, expire.before_order_id, expire.limit),
        ).rowcount
        for tables in (LIVE_TABLES, SHADOW_TABLES)
    )


def _purge(connection: sqlite3.Connection, purge: PurgeRun, _initial_units: int) -> int:
    for table in (SHADOW_TABLES.stock, SHADOW_TABLES.parcels):
        connection.execute(f"DELETE FROM {table} WHERE run_id = ?", (purge.run_id,))
    return connection.execute(
        f"DELETE FROM {SHADOW_TABLES.orders} WHERE run_id = ?", (purge.run_id,)
    ).rowcount


_APPLY: dict[type, Callable[[sqlite3.Connection, Any, int], Answer]] = {
    Payment: _pay,
    Restock: _restock,
    Parcel: _add_parcel,
    Scan: _scan,
    CancelUnpaid: _cancel_unpaid,
    ExpireKeys: _expire_keys,
    PurgeRun: _purge,
}
