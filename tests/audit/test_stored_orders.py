"""Reading the order service's books, as the store itself writes them."""

import re
import sqlite3
from pathlib import Path

import pytest

from loadtest.drive.run_context import RunContext
from loadtest.judge.audit import Reconciliation, StockLine, StoredOrders
from loadtest.measure.ledger import LedgerFile, region_of
from loadtest.stored_orders import StoreError, read_stored_orders

SCHEMA = """
CREATE TABLE orders (idempotency_key TEXT, lines TEXT, status TEXT);
CREATE TABLE shadow_orders (run_id TEXT, idempotency_key TEXT, part INTEGER, lines TEXT, status TEXT);
CREATE TABLE shadow_stock (run_id TEXT, sku_no INTEGER, initial INTEGER, available INTEGER);
"""


def database(tmp_path: Path, *statements: str) -> str:
    """A file with the tables that `target_service/store/tables.py` documents."""
    path = tmp_path / "orders.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(SCHEMA + ";".join(statements))
    connection.close()
    return f"sqlite:///{path}"


def read(dsn: str) -> tuple[StoredOrders, list[str]]:
    """The books of run r1, and the keys of its orders."""
    keys: list[str] = []
    return read_stored_orders(dsn, "r1", keys.extend), keys


def test_the_orders_and_stock_of_one_run_are_read(tmp_path: Path) -> None:
    dsn = database(
        tmp_path,
        "INSERT INTO shadow_orders VALUES ('r1', 'r1:b:0', 0, '[[1, 2, 100]]', 'created')",
        "INSERT INTO shadow_orders VALUES ('r1', 'r1:b:1', 0, '[[1, 1, 100], [7, 1, 50]]', 'paid')",
        "INSERT INTO shadow_orders VALUES ('r2', 'r2:b:0', 0, '[[1, 5, 100]]', 'created')",
        "INSERT INTO shadow_stock VALUES ('r1', 1, 10, 7)",
        "INSERT INTO shadow_stock VALUES ('r1', 7, 10, 9)",
    )
    books, keys = read(dsn)
    assert keys == ["r1:b:0", "r1:b:1"]
    assert list(books.stock) == [StockLine("sku-000001", 10, 7, 3), StockLine("sku-000007", 10, 9, 1)]
    assert books.leaked == 0


def test_cancelled_orders_are_stored_but_sell_nothing(tmp_path: Path) -> None:
    dsn = database(
        tmp_path,
        "INSERT INTO shadow_orders VALUES ('r1', 'r1:b:0', 0, '[[1, 2, 100]]', 'cancelled')",
        "INSERT INTO shadow_stock VALUES ('r1', 1, 10, 10)",
    )
    books, keys = read(dsn)
    assert keys == ["r1:b:0"]
    assert books.stock[0].sold == 0


def test_the_orders_of_one_checkout_are_one_key(tmp_path: Path) -> None:
    dsn = database(
        tmp_path,
        "INSERT INTO shadow_orders VALUES ('r1', 'r1:b:0', 1, '[[1, 2, 100]]', 'created')",
        "INSERT INTO shadow_orders VALUES ('r1', 'r1:b:0', 2, '[[1, 1, 100]]', 'created')",
        "INSERT INTO shadow_stock VALUES ('r1', 1, 10, 7)",
    )
    books, keys = read(dsn)
    assert keys == ["r1:b:0"]
    assert books.stock[0].oversold == 0


@pytest.mark.parametrize(
    ("key", "stored_for", "misplaced"),
    [
        ("r1:frankfurt@w1:0", "frankfurt", 0),
        ("r1:hong-kong@w1-2:7", "hong-kong", 0),
        ("r1:frankfurt@w1:0", "dubai", 1),
        ("r1:frankfurt@w1:0", "", 1),
        ("r1:w1:0", "dubai", 0),
        ("r1:w1:0", "", 0),
    ],
)
def test_an_order_stored_for_another_region_than_its_key_names_is_misplaced(
    tmp_path: Path, key: str, stored_for: str, misplaced: int
) -> None:
    dsn = database(
        tmp_path,
        "ALTER TABLE shadow_orders ADD COLUMN region TEXT NOT NULL DEFAULT ''",
        "INSERT INTO shadow_orders VALUES ('r1', 'KEY', 0, '[]', 'created', 'REGION')".replace(
            "KEY", key
        ).replace("REGION", stored_for),
    )
    books, _ = read(dsn)
    assert books.misplaced == misplaced
    audit = Reconciliation([LedgerFile("r1:any", b"")]).audit(books)
    assert audit.misplaced == misplaced


def test_a_run_keeps_a_book_for_each_region(tmp_path: Path) -> None:
    context = RunContext("r1", 1, 0, "w1", tmp_path)
    keys = []
    for region in ("", "frankfurt", "", "frankfurt"):
        ledger = context.ledger_of(region)
        assert ledger is not None
        keys.append(ledger.intend()[1])
    assert keys == ["r1:w1:0", "r1:frankfurt@w1:0", "r1:w1:1", "r1:frankfurt@w1:1"]
    assert [region_of(key) for key in keys] == ["", "frankfurt", "", "frankfurt"]
    context.close()


def test_an_order_of_the_run_among_the_live_ones_is_a_leak(tmp_path: Path) -> None:
    dsn = database(
        tmp_path,
        "INSERT INTO orders VALUES ('r1:b:0', '[]', 'created')",
        "INSERT INTO orders VALUES ('r1x:b:0', '[]', 'created')",
        "INSERT INTO orders VALUES (NULL, '[]', 'created')",
    )
    assert read(dsn)[0].leaked == 1


@pytest.mark.parametrize("dsn", ["postgresql://nowhere/orders", "sqlite:////nowhere/orders.db"])
def test_a_store_that_cannot_be_read_is_named(dsn: str) -> None:
    with pytest.raises(StoreError, match=re.escape(dsn)):
        read(dsn)


def test_a_file_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no database", encoding="utf-8")
    with pytest.raises(StoreError, match="not an order service's database"):
        read(f"sqlite:///{path}")


def test_orders_are_counted_by_the_thousand_as_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadtest.stored_orders.AT_ONCE", 7)
    insert = "INSERT INTO shadow_orders VALUES ('r1', 'r1:b:{0}', 0, '[[{1}, 2, 100]]', 'created')"
    rows = [insert.format(number, number % 3) for number in range(50)]
    left = "INSERT INTO shadow_stock VALUES ('r1', {0}, 100, 60)"
    stock = [left.format(sku) for sku in range(3)]
    books, keys = read(database(tmp_path, *rows, *stock))
    assert sorted(keys) == sorted(f"r1:b:{number}" for number in range(50))
    assert [line.sold for line in books.stock] == [34, 34, 32]


def test_lines_that_are_none_are_named(tmp_path: Path) -> None:
    dsn = database(tmp_path, "INSERT INTO shadow_orders VALUES ('r1', 'r1:b:0', 0, 'none', 'created')")
    with pytest.raises(StoreError, match="not an order service's database"):
        read(dsn)
