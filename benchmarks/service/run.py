"""Durable orders per CPU-second, beside the same application in memory, FastAPI, and bare SQLite.

    python -m benchmarks.service.run [--rounds 5] [--seconds 2] [--json FILE]

Every round measures every contender, one after the other, so that a noisy neighbour troubles all of them
alike; medians over the rounds are shown. CPU is that of the serving process (user and system), the load
generator's is not counted.
"""

import argparse
import contextlib
import importlib.util
import json
import multiprocessing
import statistics
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

from benchmarks.service.load import Load, measure
from benchmarks.service.overload import MOST_IN_FLIGHT, OVERLOAD, Offered, overload
from benchmarks.service.running import CONNECTIONS, Rate, Running, saturate, service, serving, slowed
from benchmarks.service.slow_clients import slow_clients
from target_service.orders import OrderIds, Purchase, draft_order
from target_service.store.purchases import apply_purchases
from target_service.store.sqlite import connect, prepare
from target_service.store.sqlite_session import SqliteSession, at_once

SLOW_CLIENTS = 2000
SETTLE_S = 1.0
SCRAPE_EVERY_S = 0.1


def bare_sqlite(folder: Path, seconds: float, batch: int = 64) -> Rate:
    """The limit: the service's own SQL for whole batches, with nothing around it."""
    with tempfile.TemporaryDirectory(dir=folder) as data:
        connection = connect(Path(data) / "orders.db")
        prepare(connection, "FULL")
        session = SqliteSession(connection, 10**9)
        ids, began, cpu, done = OrderIds(1), time.perf_counter(), time.process_time(), 0
        while time.perf_counter() - began < seconds:
            connection.execute("BEGIN IMMEDIATE")
            at_once(apply_purchases(session, [_purchase(ids, done + n) for n in range(batch)]))
            connection.execute("COMMIT")
            done += batch
        rate = Rate(done / (time.perf_counter() - began), done / (time.process_time() - cpu))
        connection.close()
        return rate


def _purchase(ids: OrderIds, n: int) -> Purchase:
    order, quantities = draft_order(ids.next(), 7, [(1 + n % 97, 1)])
    return Purchase("bench", f"key-{n}", (order,), quantities)


def scraped(address: tuple[str, int], seconds: float) -> None:
    """Scrape for a while, as cheaply as can be: it is the page that is to be measured, not who asks for it."""
    ends_s = time.monotonic() + seconds
    with contextlib.closing(HTTPConnection(*address)) as connection:
        while time.monotonic() < ends_s:
            time.sleep(SCRAPE_EVERY_S)
            connection.request("GET", "/metrics")
            connection.getresponse().read()


def paced(running: Running, rate_per_s: float, seconds: float, scrape: bool) -> float:
    """The p99 of the latency at a rate, in milliseconds, with or without a scrape every 100 ms."""
    # A process of its own: a thread would take turns with the load, and be measured itself.
    parts = urlsplit(running.admin_url)
    admin = (parts.hostname, parts.port)
    scraper = multiprocessing.get_context("spawn").Process(target=scraped, args=(admin, seconds + SETTLE_S))
    if scrape:
        scraper.start()
        time.sleep(SETTLE_S)  # while Python starts
    measured = uvloop.run(measure(Load(running.port, CONNECTIONS, seconds, rate_per_s)))
    if scrape:
        scraper.join(seconds + 10)
    return measured.quantile_ms(0.99)


def one_round(folder: Path, seconds: float) -> dict[str, float]:
    """Every figure once."""
    figures: dict[str, float] = {}
    with serving("benchmarks.service.memory_app") as running:
        memory, _ = saturate(running, seconds)
    if importlib.util.find_spec("fastapi") and importlib.util.find_spec("uvicorn"):
        command = ("benchmarks.service.fastapi_app", f"sqlite:///{folder}/fastapi-{time.time_ns()}.db")
        with serving(*command) as running:
            fastapi, _ = saturate(running, seconds)
        figures["FastAPI and uvicorn on the same store, orders/s"] = fastapi.per_s
        figures["FastAPI and uvicorn on the same store, orders/CPU-s"] = fastapi.per_cpu_s
    with service(folder) as running:
        durable, _ = saturate(running, seconds)
        crowd, crowded = saturate(running, seconds, CONNECTIONS * OVERLOAD)
        half = durable.per_s / 2
        figures["p99 at half load, ms"] = paced(running, half, seconds, scrape=False)
        figures["p99 at half load with a scrape every 100 ms, ms"] = paced(
            running, half, seconds, scrape=True
        )
        with slow_clients(running.port, SLOW_CLIENTS):
            time.sleep(SETTLE_S)
            beside = paced(running, half, seconds, scrape=False)
        figures[f"p99 at half load beside {SLOW_CLIENTS} slow clients, ms"] = beside
    with service(folder, workers=2) as running:
        two, _ = saturate(running, seconds)
    offered = Offered(seconds)
    with slowed(folder, offered.stall_ms, MOST_IN_FLIGHT) as running:
        figures |= overload(running, offered)
    bare = bare_sqlite(folder, seconds)
    return figures | {
        "memory, orders/s": memory.per_s,
        "memory, orders/CPU-s": memory.per_cpu_s,
        "durable, orders/s": durable.per_s,
        "durable, orders/CPU-s": durable.per_cpu_s,
        "durable : memory, per CPU-s": durable.per_cpu_s / memory.per_cpu_s,
        "two workers, orders/s": two.per_s,
        "two workers, orders/CPU-s": two.per_cpu_s,
        f"{OVERLOAD}x the connections, goodput : capacity": crowd.per_s / durable.per_s,
        f"{OVERLOAD}x the connections, p99 of refusals, ms": crowded.refusal_quantile_ms(0.99),
        "bare SQLite in batches of 64, orders/s": bare.per_s,
        "bare SQLite in batches of 64, orders/CPU-s": bare.per_cpu_s,
    }


def main() -> None:
    """Measure, print the table, and write it as JSON if asked."""
    parser = argparse.ArgumentParser(prog="benchmarks.service.run", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="orders-bench-") as folder:
        rounds = [one_round(Path(folder), arguments.seconds) for _ in range(arguments.rounds)]
    medians = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    for name, value in medians.items():
        low, high = min(one[name] for one in rounds), max(one[name] for one in rounds)
        print(f"{name:58} {value:12,.2f}   ({low:,.2f} .. {high:,.2f})")
    if arguments.json:
        arguments.json.write_text(json.dumps({"medians": medians, "rounds": rounds}, indent=2) + "\n")


if __name__ == "__main__":
    main()
