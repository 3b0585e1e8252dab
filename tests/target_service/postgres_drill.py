"""The drill of the PostgreSQL store: its server is crashed again and again under load; then its books are read."""

import asyncio
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg

from tests.contract.postgres_server import PostgresServer
from tests.target_service.buyers import Buyers, wait_until
from tests.target_service.drills import BUYERS, Outcome
from tests.target_service.service_process import Service, running

_UNBALANCED = """
    SELECT sku_no, gone, coalesce(sold.units, 0) FROM (
        SELECT sku_no, sum(initial - available)::bigint AS gone, min(available) AS least FROM stock GROUP BY sku_no
    ) AS stock
    LEFT JOIN (
        SELECT (line ->> 0)::bigint AS sold_no, sum((line ->> 1)::bigint)::bigint AS units
        FROM orders, jsonb_array_elements(orders.lines::jsonb) AS line
        WHERE status <> 'cancelled' GROUP BY sold_no
    ) AS sold ON sold_no = sku_no
    WHERE gone <> coalesce(sold.units, 0) OR least < 0
"""


def restart_drill(
    server: PostgresServer,
    folder: Path,
    rounds: int,
    seed: int = 0,
    progress: Callable[[Outcome], None] = lambda _: None,
) -> Outcome:
    """Crash the running `server` under one loaded service `rounds` times; returns what was found then.

    A crash is PostgreSQL's immediate shutdown (SIGQUIT), which aborts every backend and recovers from the log at
    the next start. `ready_s` is from the server's start until the service is ready again.
    """
    dsn = server.create_database(f"drill_{seed}")
    outcome = Outcome()
    dice = random.Random(seed)
    with running(folder, store=dsn) as service:
        with Buyers(service, BUYERS, name="drill") as buyers:
            for _ in range(rounds):
                seen = len(buyers.acknowledged)
                wait_until(lambda: len(buyers.acknowledged) > seen, 30)  # noqa: B023 - it waits here
                time.sleep(dice.uniform(0, 0.1))
                server.stop(signal.SIGQUIT)
                server.start()
                outcome.ready_s.append(_until_ready_s(service))
                outcome.rounds += 1
                outcome.acknowledged = buyers.acknowledged
                progress(outcome)
        assert buyers.cut == [], f"the service itself broke off: {buyers.cut[:3]}"
        assert service.order("after").status == 201
        service.stop()
    outcome.compare(*asyncio.run(read_books(dsn)))
    return outcome


def _until_ready_s(service: Service) -> float:
    began_s = time.monotonic()
    wait_until(lambda: service.ask("GET", "/readyz").status == 200, 30)
    return time.monotonic() - began_s


async def read_books(dsn: str) -> tuple[list[tuple[str, str]], list[tuple[int, int, int]]]:
    """Every order (its key, its number as the API writes it), and the products that do not add up."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch("SELECT idempotency_key, order_id FROM orders")
        unbalanced = await connection.fetch(_UNBALANCED)
    finally:
        await connection.close()
    return [(row[0], f"{row[1]:016x}") for row in rows], [(row[0], row[1], row[2]) for row in unbalanced]
