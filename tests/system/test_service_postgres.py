"""Service machines on one PostgreSQL, which is crashed under them."""

import asyncio
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest

from benchmarks.service.load import Load, Measured, measure
from tests.contract.postgres_server import PostgresServer, postgres_server
from tests.target_service.buyers import Buyers, wait_until
from tests.target_service.postgres_drill import read_books
from tests.target_service.service_process import Service, running

STOCK = 6_000


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server that these tests may crash, but leave running."""
    with postgres_server() as started:
        yield started


def test_crashing_postgres_under_two_machines_loses_no_acknowledged_order(
    tmp_path: Path, server: PostgresServer
) -> None:
    dsn = server.create_database("crashed")
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    acknowledged: dict[str, str] = {}
    with running(folders[0], store=dsn) as one, running(folders[1], store=dsn) as other:
        with Buyers(one, 3, name="one") as here, Buyers(other, 3, name="other") as there:
            for _ in range(2):
                seen = len(here.acknowledged), len(there.acknowledged)
                wait_until(lambda: len(here.acknowledged) > seen[0] + 20)  # noqa: B023 - it waits here
                wait_until(lambda: len(there.acknowledged) > seen[1] + 20)  # noqa: B023 - it waits here
                server.stop(signal.SIGQUIT)
                wait_until(lambda: one.ask("GET", "/readyz").status == 503)
                assert one.ask("GET", "/healthz").status == 200
                server.start()
        assert here.cut + there.cut == []
        acknowledged = here.acknowledged | there.acknowledged
        some_key, some_order = next(iter(here.acknowledged.items()))
        again = other.order(some_key, sku=f"sku-{int(some_key.split('-')[1]) + 1:06d}")
        assert again.headers["Idempotent-Replayed"] == "true"
        assert again.json["order_id"] == some_order
        assert one.stop() == other.stop() == 0
    rows, _ = asyncio.run(read_books(dsn))
    assert len(rows) == len(dict(rows))
    assert set(acknowledged.items()) <= set(rows)


@pytest.mark.slow(held_by="test_a_hot_product_sells_exactly_the_stock_there_is")
def test_machines_that_share_a_hot_product_sell_every_unit_once(
    tmp_path: Path, server: PostgresServer
) -> None:
    """Three processes of two machines; PostgreSQL is crashed in the middle, and nobody is killed by a deadlock."""
    dsn = server.create_database("hot")
    flags = ("--stock", str(STOCK))
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    with (
        running(folders[0], *flags, store=dsn) as one,
        running(folders[1], "--workers", "2", *flags, store=dsn) as other,
        ThreadPoolExecutor(2) as crowds,
    ):

        def crowd(service: Service, seconds: float) -> Future[Measured]:
            load = Load(service.address[1], connections=50, seconds=seconds, sku_no=42)
            return crowds.submit(asyncio.run, measure(load))

        def left() -> int:
            return int(one.ask("GET", "/products/sku-000042", X_Load_Test="bench").json["available"])

        first = [crowd(one, 2.0), crowd(other, 2.0)]
        wait_until(lambda: left() < STOCK - 100)
        server.stop(signal.SIGQUIT)
        server.start()
        wait_until(lambda: one.ask("GET", "/readyz").status == 200)
        assert left() > 0, "sold out before the crash, so that this test shows little"
        acknowledged = sum(each.result(60).created for each in first)
        while left():
            acknowledged += sum(each.result(60).created for each in [crowd(one, 1.0), crowd(other, 1.0)])
    rows, orders = asyncio.run(_hot(dsn))
    assert rows == [0]
    assert acknowledged <= orders == STOCK


async def _hot(dsn: str) -> tuple[list[int], int]:
    """Units in each row of the hot product, and how many orders there are."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(
            "SELECT available FROM shadow_stock WHERE sku_no = 42 AND run_id = 'bench'"
        )
        orders = await connection.fetchval("SELECT count(*) FROM shadow_orders WHERE run_id = 'bench'")
    finally:
        await connection.close()
    return [row[0] for row in rows], orders


def test_a_restart_of_postgres_while_nobody_orders_costs_nobody_a_refusal(
    tmp_path: Path, server: PostgresServer
) -> None:
    with running(tmp_path, store=server.create_database("restarted")) as service:
        assert service.order().status == 201
        server.stop(signal.SIGQUIT)
        server.start()
        assert service.order().status == 201


def test_a_service_waits_for_postgres_and_becomes_ready_when_it_answers(
    tmp_path: Path, server: PostgresServer
) -> None:
    dsn = server.create_database("late")
    server.stop()
    log = tmp_path / "service.log"

    def boot() -> None:
        wait_until(lambda: log.exists() and "PostgreSQL does not answer" in log.read_text())
        server.start()

    with ThreadPoolExecutor(1) as boots:
        booting = boots.submit(boot)
        with running(tmp_path, "--store-wait-s", "30", store=dsn) as service:
            booting.result()
            assert service.order("k").status == 201


def test_a_database_that_does_not_exist_ends_with_two(tmp_path: Path, server: PostgresServer) -> None:
    refused = pytest.raises(AssertionError, match="argument --store: cannot open the PostgreSQL store")
    with refused, running(tmp_path, store=server.dsn("nowhere")):
        pass
