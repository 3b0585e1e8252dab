"""Storms: everybody wants one product, everybody sends one key."""

import asyncio
import contextlib
import sqlite3
from pathlib import Path

from benchmarks.service.load import Load, measure
from benchmarks.service.slow_clients import slow_clients
from tests.target_service.buyers import wait_until
from tests.target_service.service_process import running
from tests.timing import Timing

STOCK = 1000
MOST_WAVES = 20
"""On a quiet machine one buys everything."""


def test_a_crowd_through_all_workers_gets_exactly_the_units_there_are(tmp_path: Path) -> None:
    with running(tmp_path, "--workers", "2", "--stock", str(STOCK)) as service:
        load = Load(service.address[1], connections=100, seconds=4, sku_no=42)
        created = refused = 0
        for _ in range(MOST_WAVES):
            measured = asyncio.run(measure(load))
            created, refused = created + measured.created, refused + measured.refused
            left = service.ask("GET", "/products/sku-000042", X_Load_Test="bench").json["available"]
            if left == 0 and refused:
                break
    assert created == STOCK
    assert refused > 0
    assert left == 0
    with contextlib.closing(sqlite3.connect(tmp_path / "orders.db")) as database:
        assert database.execute("SELECT count(*) FROM shadow_orders").fetchone() == (STOCK,)
        assert database.execute("SELECT count(*) FROM orders").fetchone() == (0,)


def test_a_storm_of_one_key_makes_one_order(tmp_path: Path, timing: Timing) -> None:
    with running(tmp_path, "--workers", "2") as service:
        load = Load(service.address[1], connections=50, seconds=3, sku_no=42, key="everybody")
        measured = asyncio.run(measure(load))
        assert service.metric('orders_created_total{traffic="shadow"}') == 1
        replayed = service.metric('orders_replayed_total{traffic="shadow"}')
        in_flight = service.metric('orders_rejected_total{reason="key-in-flight",traffic="shadow"}')
    assert (measured.created, measured.refused) == (replayed + 1, in_flight)
    with timing:
        assert replayed > 100
    with contextlib.closing(sqlite3.connect(tmp_path / "orders.db")) as database:
        assert database.execute("SELECT count(*) FROM shadow_orders").fetchone() == (1,)


def test_clients_that_dribble_take_nobodys_place(tmp_path: Path, timing: Timing) -> None:
    with running(tmp_path, "--most-in-flight", "64") as service, slow_clients(service.address[1], 300):
        wait_until(lambda: service.metric("orders_in_flight") >= 300)
        load = Load(service.address[1], connections=4, seconds=2, rate_per_s=100)
        measured = asyncio.run(measure(load))
    assert measured.refused == 0
    assert measured.created > 0
    with timing:
        assert measured.created > 100
