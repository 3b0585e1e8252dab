"""Stock in several rows, as only PostgreSQL has it: processes of different counts, and the row there was before."""

import asyncio
from typing import NamedTuple

import asyncpg
import pytest

from target_service import stock_buckets
from target_service.inventory import SoldOutError
from target_service.orders import Receipt
from target_service.store.base import StockLevel, Store, StoreSettings
from target_service.store.open import make_store
from target_service.store.postgres_schema import MIGRATIONS
from tests.contract.conftest import Unobserved
from tests.contract.postgres_server import PostgresServer
from tests.contract.test_store import opened, outcome, purchase

HOT = 42


class Shop(NamedTuple):
    """One database, of which any number of stores can be made."""

    dsn: str
    units: int

    def store(self, buckets: int) -> Store:
        """A process that spreads a hot product over so many rows."""
        settings = StoreSettings(self.dsn, self.units, 5.0, shared=True, stock_buckets=buckets)
        return make_store(settings, Unobserved())

    async def rows(self) -> list[int]:
        """Units in each row of the hot product."""
        connection = await asyncpg.connect(self.dsn)
        try:
            found = await connection.fetch(
                "SELECT available FROM stock WHERE sku_no = $1 ORDER BY bucket", HOT
            )
        finally:
            await connection.close()
        return [row[0] for row in found]


async def sold_by(store: Store, buyers: int) -> int:
    """How many of so many buyers who come at once get a unit each."""
    answers = await asyncio.gather(*(outcome(store, purchase((HOT, 1))) for _ in range(buyers)))
    return sum(isinstance(answer, Receipt) for answer in answers)


def test_processes_of_different_counts_sell_every_unit_once(postgres: PostgresServer) -> None:
    """As while the count is being changed: one keeps to one row, two to four, one to two."""
    shop = Shop(postgres.create_database("rolling"), units=500)

    async def scenario() -> tuple[int, list[int]]:
        async with (
            opened(shop.store(4)) as first,
            opened(shop.store(1)) as old,
            opened(shop.store(2)) as new,
            opened(shop.store(4)) as last,
        ):
            sold = await asyncio.gather(*(sold_by(store, 200) for store in (first, old, new, last)))
            assert await first.stock("", HOT) == StockLevel(500, 0)
        return sum(sold), await shop.rows()

    sold, rows = asyncio.run(scenario())
    assert sold == 500
    assert len(rows) > 1, "nothing was spread, so that this test shows nothing"
    assert set(rows) == {0}


def test_a_single_purchase_may_need_every_row(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stock_buckets, "HOT_PURCHASES", 1)
    shop = Shop(postgres.create_database("gathered"), units=10)

    async def scenario() -> tuple[list[int], object, object]:
        # The first has the trunk for its own, and would have no reason to spread it.
        async with opened(shop.store(4)), opened(shop.store(4)) as store:
            await store.write(purchase((HOT, 1)))
            spread = await shop.rows()
            return spread, await outcome(store, purchase((HOT, 9))), await outcome(store, purchase((HOT, 1)))

    spread, all_the_rest, one_more = asyncio.run(scenario())
    assert spread == [3, 2, 2, 2]
    assert isinstance(all_the_rest, Receipt)
    assert isinstance(one_more, SoldOutError)


def test_stock_from_before_there_were_buckets_is_sold_to_its_end(postgres: PostgresServer) -> None:
    shop = Shop(postgres.create_database("migrated"), units=10)

    async def sell_as_before() -> None:
        connection = await asyncpg.connect(shop.dsn)
        await connection.execute(MIGRATIONS[0])
        await connection.execute("CREATE TABLE schema_version (version integer NOT NULL)")
        await connection.execute("INSERT INTO schema_version VALUES (1)")
        await connection.execute("INSERT INTO stock VALUES ('', $1, 10, 4)", HOT)
        await connection.close()

    async def scenario() -> tuple[StockLevel, int, StockLevel]:
        await sell_as_before()
        async with opened(shop.store(3)) as store:
            before = await store.stock("", HOT)
            return before, await sold_by(store, 20), await store.stock("", HOT)

    assert asyncio.run(scenario()) == (StockLevel(10, 4), 4, StockLevel(10, 0))
