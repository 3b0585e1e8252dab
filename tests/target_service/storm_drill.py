"""The drills of crowds: everybody wants one product, everybody sends one key, for as long as it takes."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks.service.load import Load, measure
from tests.target_service.service_process import running

SLICE_S = 5.0
WORKERS = "2"


class Storm(NamedTuple):
    """What a crowd got."""

    asked: int
    created: int
    """Answers that said 201, replays among them."""
    stored: int
    """Orders in the database afterwards."""

    def __str__(self) -> str:
        return f"{self.asked} asked, {self.created} answered with 201, {self.stored} stored"


def crowd_drill(
    folder: Path, buyers: int, units: int, progress: Callable[[Storm], None] = lambda _: None
) -> Storm:
    """`buyers` orders of one unit each for a product of which there are `units`, through all workers."""
    return _storm(folder, Load(0, connections=200, seconds=SLICE_S, sku_no=42), buyers, units, progress)


def duplicate_drill(
    folder: Path, deliveries: int, progress: Callable[[Storm], None] = lambda _: None
) -> Storm:
    """One order delivered `deliveries` times, with the same key, through all workers."""
    load = Load(0, connections=50, seconds=SLICE_S, sku_no=42, key="everybody")
    return _storm(folder, load, deliveries, 1_000_000, progress)


def _storm(folder: Path, load: Load, requests: int, stock: int, progress: Callable[[Storm], None]) -> Storm:
    storm = Storm(0, 0, 0)
    with running(folder, "--workers", WORKERS, "--stock", str(stock)) as service:
        while storm.asked < requests:
            measured = asyncio.run(measure(load._replace(port=service.address[1])))
            answered = measured.created + measured.refused
            assert answered, "the service answers nobody any more"
            storm = Storm(storm.asked + answered, storm.created + measured.created, 0)
            progress(storm)
        service.stop()
    with contextlib.closing(sqlite3.connect(folder / "orders.db")) as database:
        (stored,) = database.execute("SELECT count(*) FROM shadow_orders").fetchone()
    return storm._replace(stored=stored)
