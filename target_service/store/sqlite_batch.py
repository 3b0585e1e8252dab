"""The SQL of a batch of purchases in SQLite.

The rules are `group_commit`'s; this file only reads and writes. Every statement is one call to SQLite's step
function, because each step lets go of the interpreter lock and must win it back from the event loop: reads
are aggregated to one row of JSON, inserts carry many rows. (Row-by-row `executemany` takes a third less CPU
alone, but with a busy loop beside it falls to a quarter of this: 2,185 against 8,470 orders/s in batches of
64, measured with a thread that spins, switch interval 0.5 ms.)
"""

# ruff: noqa: S608 - only our own table names are put into statements; values are bound

import sqlite3
from collections.abc import Iterable
from typing import Any

import msgspec

from target_service.orders import Purchase
from target_service.store.base import Change
from target_service.store.group_commit import Answer, Placed, by_run, keys_of, known_purchases, plan
from target_service.store.tables import STORED_MS, Tables, tables_of

LARGEST_INSERT, INSERT_STEP = 256, 16
"""Rows in one INSERT: a multiple of the step, then the rest. So two do for most batches, and few stay prepared."""

ORDER_COLUMNS = "order_id, run_id, idempotency_key, part, buyer_id, total_cents, lines, stored_ms"

_to_json = msgspec.json.Encoder().encode


def apply_purchases(
    connection: sqlite3.Connection, batch: Iterable[Change], initial_units: int
) -> dict[int, Answer]:
    """Write a batch's purchases inside the open transaction; answers by place, none for those put off."""
    answers: dict[int, Answer] = {}
    for run_id, share in by_run(batch).items():
        answers |= _apply_run(connection, run_id, share, initial_units)
    return answers


def _apply_run(
    connection: sqlite3.Connection, run_id: str, share: list[Placed], initial_units: int
) -> dict[int, Answer]:
    tables = tables_of(run_id)
    known = _known_keys(connection, tables, run_id, keys_of(share))
    wanted = {sku_no for _, purchase in share for sku_no in purchase.quantities}
    left, stored_ms = _units_left(connection, tables, run_id, wanted, initial_units)
    decided = plan(share, known, left)
    _insert_orders(connection, tables, decided.new, stored_ms)
    _write_stock(
        connection, tables, run_id, {sku_no: left[sku_no] for sku_no in decided.taken}, initial_units
    )
    return decided.answers


def _known_keys(
    connection: sqlite3.Connection, tables: Tables, run_id: str, keys: list[str]
) -> dict[str, Purchase]:
    if not keys:
        return {}
    found, others = connection.execute(
        "SELECT json_group_array(json_array(idempotency_key, order_id, part, buyer_id, total_cents, lines)),"
        f" (SELECT json_group_array(idempotency_key) FROM {tables.parcel_keys} WHERE run_id = ?1"
        " AND idempotency_key IN (SELECT value FROM json_each(?2)))"
        f" FROM {tables.orders} WHERE run_id = ?1 AND key_live = 1"
        " AND idempotency_key IN (SELECT value FROM json_each(?2))",
        (run_id, _to_json(keys).decode()),
    ).fetchone()
    return known_purchases(run_id, msgspec.json.decode(found), msgspec.json.decode(others))


def _units_left(
    connection: sqlite3.Connection, tables: Tables, run_id: str, skus: set[int], initial_units: int
) -> tuple[dict[int, int], int]:
    """Units by product number, and the time that the store's clock gives to new orders."""
    left = dict.fromkeys(skus, initial_units)
    found, stored_ms = connection.execute(
        f"SELECT json_group_array(json_array(sku_no, available)), {STORED_MS}"
        f" FROM {tables.stock} WHERE run_id = ?"
        " AND sku_no IN (SELECT value FROM json_each(?))",
        (run_id, _to_json(list(skus)).decode()),
    ).fetchone()
    left.update(msgspec.json.decode(found))
    return left, stored_ms


def _insert_orders(
    connection: sqlite3.Connection, tables: Tables, purchases: Iterable[Purchase], stored_ms: int
) -> None:
    values: list[Any] = []
    for purchase in purchases:
        for order in purchase.orders:
            values += (
                order.order_id,
                purchase.run_id,
                purchase.key,
                order.part,
                order.buyer_id,
                order.total_cents,
                order.lines,
                stored_ms,
            )
    insert_rows(connection, f"INSERT INTO {tables.orders} ({ORDER_COLUMNS})", 8, values)


def _write_stock(
    connection: sqlite3.Connection, tables: Tables, run_id: str, left: dict[int, int], initial_units: int
) -> None:
    """Write what is left of each product: it was read in this transaction, which no other can overtake."""
    values: list[Any] = []
    for sku_no, units in left.items():
        values += (run_id, sku_no, initial_units, units)
    insert_rows(
        connection,
        f"INSERT INTO {tables.stock} (run_id, sku_no, initial, available)",
        4,
        values,
        " ON CONFLICT (run_id, sku_no) DO UPDATE SET available = excluded.available",
    )


def insert_rows(
    connection: sqlite3.Connection, insert: str, width: int, values: list[Any], suffix: str = ""
) -> None:
    """Insert rows of `width` columns, given as one flat list, in statements of up to LARGEST_INSERT rows."""
    row = "(" + ",".join("?" * width) + ")"
    done, rows = 0, len(values) // width
    while done < rows:
        size = min(LARGEST_INSERT, (rows - done) // INSERT_STEP * INSERT_STEP or rows - done)
        some = values[done * width : (done + size) * width]
        connection.execute(f"{insert} VALUES {','.join([row] * size)}{suffix}", some)
        done += size
