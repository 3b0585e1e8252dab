"""Housekeeping beside orders: how many rows a second a sweep does, and whether it keeps up with what is sold.

    python -m benchmarks.service.sweeping [--orders 30000] [--seconds 12] [--postgres] [--json FILE]

First the store alone, in chunks as the housekeeper asks for them: rows a second of the time that the sweep holds the
store, which it lets go of for twice as long after each chunk. Then a service whose unpaid orders are cancelled after
`TERM_S`, under as many orders as it takes: what is cancelled for each order that was made, once the first ones are
due, how many are left over when the load ends, and how long it takes until nothing is due any more. Needs no machine
of its own: a sweep that keeps up does so at whatever rate the service has.
"""

import argparse
import asyncio
import contextlib
import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import uvloop

from benchmarks.service.load import Load, measure
from benchmarks.service.running import serving
from loadtest.cli.children import wait_until
from target_service.housekeeping import CHUNK
from target_service.orders import OrderIds, Purchase, draft_order
from target_service.store.base import CancelUnpaid, ExpireKeys, StoreSettings
from target_service.store.store import Store, make_store
from tests.contract.postgres_server import postgres_server

LATER = 1 << 62
"""A time after, and a number above, every order's."""
TERM_S = 2.0
CONNECTIONS = 64
PATIENCE_S = 60.0
WANTED_PER_S = 15_000


def server_cpu_s() -> float:
    """CPU that PostgreSQL's connections of ours have used, in seconds; 0 where there are none."""
    found = psutil.process_iter(["cmdline", "cpu_times"])
    ours = [
        one.info for one in found if "".join(one.info["cmdline"] or []).startswith("postgres: shop alone")
    ]
    return sum(sum(info["cpu_times"][:2]) for info in ours)


async def filled(dsn: str, orders: int) -> Store:
    """A store, opened, that holds so many orders, none of them paid."""
    store = make_store(StoreSettings(dsn, 10**9, 30.0, shared=False))
    ids = OrderIds(await store.open())
    for first in range(0, orders, 1000):
        drafts = [draft_order(ids.next(), 7, [(1 + n % 1000, 1)]) for n in range(1000)]
        purchases = [
            Purchase("", f"key-{first + n}", (order,), units) for n, (order, units) in enumerate(drafts)
        ]
        await asyncio.gather(*map(store.write, purchases))
    return store


async def swept_per_s(dsn: str, orders: int) -> dict[str, float]:
    """Rows a second of each sweep, alone on a store that holds so many orders."""
    store, found = await filled(dsn, orders), {}
    for name, kind in (("cancelled", CancelUnpaid), ("keys expired", ExpireKeys)):
        began, cpu_s, server_s, done = time.perf_counter(), time.process_time(), server_cpu_s(), 0
        while swept := await store.write(kind(LATER, CHUNK)):
            done += swept
        found[f"{name} a second of the store's time"] = done / (time.perf_counter() - began)
        found[f"{name} a CPU-second of the service"] = done / (time.process_time() - cpu_s)
        if server_s:
            found[f"{name} a CPU-second of PostgreSQL"] = done / (server_cpu_s() - server_s)
    await store.close()
    return found


def kept_up(dsn: str, seconds: float) -> dict[str, float]:
    """How a service's sweep keeps up with orders that come as fast as they are made."""
    terms = ("--reservation-s", str(TERM_S), "--key-ttl-s", str(TERM_S), "--stock", "1000000000")
    with serving("target_service", "--port", "0", "--admin-port", "0", "--store", dsn, *terms) as running:
        load = Load(running.port, CONNECTIONS, seconds + 2 * TERM_S)
        crowd = threading.Thread(target=lambda: uvloop.run(measure(load)))
        crowd.start()
        time.sleep(2 * TERM_S)
        names = ("orders_created_total", "orders_cancelled_total")
        before = [running.counted(name) for name in names]
        time.sleep(seconds * 0.9)
        made, cancelled = (running.counted(name) - was for name, was in zip(names, before, strict=True))
        crowd.join()
        ended = time.monotonic()
        left = running.counted(names[0]) - running.counted(names[1])
        wait_until(lambda: running.counted(names[0]) <= running.counted(names[1]), PATIENCE_S)
        after_s = time.monotonic() - ended
    return {
        "orders/s meanwhile": made / seconds / 0.9,
        "cancelled : made, beside orders": cancelled / made,
        "unpaid when the load ends": left,
        f"nothing is unpaid after, s (a term is {TERM_S:g})": after_s,
    }


async def _leave(dsn: str, orders: int) -> None:
    await (await filled(dsn, orders)).close()


def caught_up(dsn: str, backlog: int) -> dict[str, float]:
    """How fast a service under as many orders as it takes cancels what was left to it."""
    asyncio.run(_leave(dsn, backlog))
    terms = ("--reservation-s", str(TERM_S), "--key-ttl-s", "0", "--stock", "1000000000")
    with serving("target_service", "--port", "0", "--admin-port", "0", "--store", dsn, *terms) as running:
        crowd = threading.Thread(target=lambda: uvloop.run(measure(Load(running.port, CONNECTIONS, 10.0))))
        crowd.start()
        name = "orders_cancelled_total"
        wait_until(lambda: running.counted(name) > 0, PATIENCE_S)
        began, was = time.monotonic(), running.counted(name)
        wait_until(lambda: running.counted(name) >= backlog, PATIENCE_S)
        per_s = (running.counted(name) - was) / (time.monotonic() - began)
        crowd.join()
    return {f"a backlog of {backlog} cancelled a second, beside orders": per_s}


@contextlib.contextmanager
def databases(*, is_postgres: bool, folder: str | None) -> Iterator[Callable[[str], str]]:
    """Makes fresh databases: the DSN of each name."""
    if is_postgres:
        with postgres_server() as server:
            yield server.create_database
    else:
        with tempfile.TemporaryDirectory(prefix="orders-sweeping-", dir=folder) as data:
            yield lambda name: f"sqlite:///{data}/{name}.db"


def main() -> None:
    """Measure, print the table, and write it as JSON if asked."""
    parser = argparse.ArgumentParser(prog="benchmarks.service.sweeping", description=__doc__)
    parser.add_argument("--orders", type=int, default=30_000)
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--postgres", action="store_true", help="instead of SQLite")
    parser.add_argument("--folder", help="where SQLite's file is")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with databases(is_postgres=arguments.postgres, folder=arguments.folder) as make:
        found = asyncio.run(swept_per_s(make("alone"), arguments.orders))
        found |= kept_up(make("beside"), arguments.seconds)
        found |= caught_up(make("backlog"), arguments.orders)
    found["wanted, rows a second"] = WANTED_PER_S
    for name, value in found.items():
        print(f"{name:58} {value:12,.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
