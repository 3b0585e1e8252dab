"""Reads what the order service stored of a run, straight from its SQLite file.

The tables are those documented at the top of `target_service/store/sqlite.py`; the service is not asked, since
an audit that trusts the audited is none.
"""

import json
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

from loadtest.judge.audit import StockLine, StoredBooks

SQLITE = "sqlite:///"


class StoreError(Exception):
    """The service's books cannot be read."""


def read_stored_books(dsn: str, run_id: str) -> StoredBooks:
    """The books of one run. Raises `StoreError` for another kind of store or a file that is not the service's."""
    if not dsn.startswith(SQLITE):
        raise StoreError(f"--store {dsn}: expected sqlite:///FILE")
    path = Path(dsn.removeprefix(SQLITE))
    if not path.is_file():
        raise StoreError(f"--store {dsn}: there is no such file")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            return _read(database, run_id)
    except sqlite3.Error as error:
        raise StoreError(f"--store {dsn}: not an order service's database ({error})") from error


def _read(database: sqlite3.Connection, run_id: str) -> StoredBooks:
    keys: list[str] = []
    sold: Counter[int] = Counter()
    rows = database.execute(
        "SELECT idempotency_key, part, lines, status FROM shadow_orders WHERE run_id = ?", (run_id,)
    )
    for key, part, lines, status in rows:
        if (
            key is not None and part == 0
        ):  # one checkout is several orders under one key, told apart by `part`
            keys.append(key)
        if status != "cancelled":
            for sku_no, units, _ in json.loads(lines):
                sold[sku_no] += units
    (leaked,) = database.execute(
        "SELECT count(*) FROM orders WHERE idempotency_key >= ? AND idempotency_key < ?",
        (f"{run_id}:", f"{run_id};"),  # ';' is the character after ':'
    ).fetchone()
    stock = database.execute(
        "SELECT sku_no, initial, available FROM shadow_stock WHERE run_id = ?", (run_id,)
    )
    lines_ = [
        StockLine(f"sku-{sku_no:06d}", initial, available, sold[sku_no])
        for sku_no, initial, available in stock
    ]
    return StoredBooks(keys, leaked, lines_)
