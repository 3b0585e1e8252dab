"""Buyers for system tests: threads that order one after another, and what became of their orders."""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

from tests.target_service.service_process import Service

REST_S = 0.005


def wait_until(condition: Callable[[], object], seconds: float = 300.0) -> None:
    """Poll a condition until it holds; fail when it does not in time."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "the condition never held"
        time.sleep(0.01)


class Buyers:
    """Threads that order one after another, each with keys of its own, and note what was acknowledged.

    Between two orders each rests for as long as an order takes: there are orders under way all the time, and cores
    are left for whatever a test waits for.
    """

    def __init__(self, service: Service, count: int = 8, name: str = "buyer") -> None:
        self._name = name
        self._service = service
        self._stopping = False
        self.acknowledged: dict[str, str] = {}
        self.cut: list[str] = []
        self._threads = [threading.Thread(target=self._buy, args=(n,)) for n in range(count)]

    def __enter__(self) -> "Buyers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        for thread in self._threads:
            thread.join()

    @property
    def all_cut(self) -> bool:
        """Whether every buyer lost its connection."""
        return not any(thread.is_alive() for thread in self._threads)

    def _buy(self, buyer: int) -> None:
        sequence = 0
        while not self._stopping:
            sequence += 1
            key = f"{self._name}-{buyer}-{sequence}"
            try:
                answer = self._service.order(key, sku=f"sku-{buyer + 1:06d}")
            except ConnectionRefusedError:
                return
            except (OSError, HTTPException) as error:
                self.cut.append(f"{key}: {error!r}")
                return
            if answer.status == 201:
                self.acknowledged[key] = answer.json["order_id"]
            time.sleep(REST_S)


def stored_keys(folder: Path) -> list[tuple[str, str]]:
    """Every order in the file: its key and its number as the API writes it."""
    with contextlib.closing(sqlite3.connect(folder / "orders.db")) as database:
        rows = database.execute("SELECT idempotency_key, order_id FROM orders").fetchall()
    return [(key, f"{number:016x}") for key, number in rows]


def unbalanced_products(folder: Path) -> list[tuple[int, int, int]]:
    """Products whose stock does not agree with their orders: (number, units gone, units in orders)."""
    with contextlib.closing(sqlite3.connect(folder / "orders.db")) as database:
        return database.execute(
            """SELECT sku_no, initial - available, coalesce(sold.units, 0) FROM stock
            LEFT JOIN (
                SELECT json_extract(line.value, '$[0]') AS sold_no, sum(json_extract(line.value, '$[1]')) AS
                units FROM orders, json_each(orders.lines) AS line WHERE status <> 'cancelled' GROUP BY
                sold_no
            ) AS sold ON sold_no = sku_no
            WHERE initial - available <> coalesce(sold.units, 0) OR available < 0"""
        ).fetchall()
