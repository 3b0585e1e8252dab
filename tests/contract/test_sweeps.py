"""Reservations, keys and runs that end beside live traffic, on every store."""

import asyncio
import contextlib
import itertools
import random
from collections import Counter

import pytest

from target_service import problem
from target_service.orders import MOST_AT_ONCE, Payment, Purchase, Receipt, draft_order
from target_service.parcels import (
    MOST_EVENTS,
    Parcel,
    ParcelChange,
    ParcelEvent,
    ParcelReceipt,
    Scan,
)
from target_service.problem import ProblemError
from target_service.store.base import (
    CancelUnpaid,
    ClockReading,
    ExpireKeys,
    Purged,
    PurgeRun,
    Restock,
    StockLevel,
    StoreUnavailableError,
    Tick,
)
from target_service.store.store import Store
from tests.contract.conftest import INITIAL_UNITS, StoreFactory
from tests.contract.test_store import LATER, ids, opened, outcome, purchase, run, swept
from tests.target_service.refusals import kind_of, refused


def checkout(parts: int, key: str | None = None, run_id: str = "") -> Purchase:
    """One order of each of the first products, as one checkout."""
    numbers = ids.several(parts)
    orders = tuple(draft_order(number, 7, [(place, 1)], place)[0] for place, number in enumerate(numbers, 1))
    return Purchase(run_id, key, orders, dict.fromkeys(range(1, parts + 1), 1))


async def let_pass(store: Store, milliseconds: int) -> int:
    """Have the store's clock go on; what it shows then."""
    seen_ms: int = (await store.write(Tick(-1, 0, 1))).now_ms
    for step_ms in (milliseconds, 1):
        seen_ms = (await store.write(Tick(seen_ms, milliseconds, step_ms))).now_ms
    return seen_ms


def test_the_clock_is_kept_by_one(make: StoreFactory) -> None:
    async def scenario() -> None:
        async with opened(make()) as one, opened(make()) as other:
            assert await one.write(Tick(-1, 0, 1000)) == ClockReading(1, is_kept=False)
            assert await one.write(Tick(1, 700, 1000)) == ClockReading(2, is_kept=True)
            assert await other.write(Tick(1, 700, 1000)) == ClockReading(2, is_kept=False)
            assert await one.write(Tick(2, 700, 1000)) == ClockReading(702, is_kept=True)

    run(scenario())


def test_what_was_stored_after_the_bound_is_not_due(make: StoreFactory) -> None:
    async def scenario() -> None:
        async with opened(make()) as store:
            await store.write(purchase((1, 1), key="old"))
            now_ms = await let_pass(store, 5000)
            await store.write(purchase((1, 1), key="new"))
            assert (await store.write(CancelUnpaid(now_ms))) == 1
            assert (await store.write(ExpireKeys(now_ms))) == 1
            assert (await store.write(purchase((1, 1), key="new"))).replayed
            assert not (await store.write(purchase((1, 1), key="old"))).replayed

    run(scenario())


def test_orders_that_another_program_stored_without_a_time_are_due(make: StoreFactory) -> None:
    async def scenario() -> None:
        async with opened(make()) as store:
            for n in range(3):
                await store.write(purchase((1, 1), key=f"k{n}"))
            session = store._session  # type: ignore[attr-defined]  # no other way to ask it
            await session.execute("UPDATE orders SET stored_ms = 0 WHERE order_id < $1", ids.next())
            fresh = purchase((1, 1), key="fresh")
            await store.write(fresh)
            assert await store.write(CancelUnpaid(1)) == await store.write(ExpireKeys(1)) == 3
            assert (await store.write(fresh)).replayed

    run(scenario())


@pytest.mark.parametrize("limit", [1, 2, 7])
def test_a_chunk_ends_with_a_whole_checkout(make: StoreFactory, limit: int) -> None:
    async def scenario() -> None:
        async with opened(make(100)) as store:
            bought = [checkout(9, key=f"k{n}") for n in range(4)]
            for one in bought:
                await store.write(one)
            while await store.write(CancelUnpaid(LATER, limit)):
                for one in bought:
                    found = [await store.order("", order.order_id) for order in one.orders]
                    assert len({order.status for order in found if order is not None}) == 1
            assert (await store.write(ExpireKeys(LATER, limit))) % 9 == 0
            for one in bought:
                again = await store.write(one._replace(orders=checkout(9).orders))
                assert len(again.orders) == 9

    run(scenario())


def test_numbers_of_one_checkout_share_their_millisecond() -> None:
    for count in (1, 100, MOST_AT_ONCE):
        numbers = ids.several(count)
        assert len(numbers) == count
        assert numbers[0] // MOST_AT_ONCE == numbers[-1] // MOST_AT_ONCE
        assert ids.next() > numbers[-1]


@pytest.mark.parametrize("sweep", [CancelUnpaid, ExpireKeys])
def test_one_transaction_changes_no_more_rows_than_its_limit_allows(
    make: StoreFactory, sweep: type[CancelUnpaid | ExpireKeys]
) -> None:
    async def scenario() -> None:
        async with opened(make(10_000)) as store:
            for n in range(200):  # each in a millisecond of its own
                order, quantities = draft_order((1 << 40) + n * MOST_AT_ONCE, 7, [(1, 1)])
                await store.write(Purchase("r" * (n % 2), f"k{n}", (order,), quantities))
            passes = []
            while done := (await store.write(sweep(LATER, 60))):
                passes.append(done)
            assert passes == [60, 60, 60, 20]

    run(scenario())


def test_many_due_orders_are_swept_in_chunks_that_leave_the_books_balanced(make: StoreFactory) -> None:
    async def scenario() -> None:
        async with opened(make(10_000)) as store:
            await asyncio.gather(*(store.write(purchase((n % 7 + 1, 2))) for n in range(300)))
            left = 300
            while done := (await store.write(CancelUnpaid(LATER, 64))):
                left -= done
                sold = 0
                for n in range(1, 8):
                    level = await store.stock("", n)
                    sold += level.initial - level.available
                assert sold == 2 * left
            assert left == 0

    run(scenario())


def test_a_run_that_goes_on_while_it_is_purged_keeps_balanced_books(make: StoreFactory) -> None:
    async def scenario() -> None:
        async with opened(make(10_000)) as store, opened(make(10_000)) as other:
            bought: list[int] = []
            stop = asyncio.Event()

            async def buy() -> None:
                while not stop.is_set():
                    receipt = await other.write(purchase((1, 1), (2, 3), run_id="run-a"))
                    bought.append(receipt.orders[0].order_id)

            buyers = [asyncio.create_task(buy()) for _ in range(5)]
            purged = 0
            for turn in range(100_000):  # on a busy machine many of them before the first purchase
                purged += (await store.write(PurgeRun("run-a", 3))).orders
                if turn >= 60 and purged:
                    break
            stop.set()
            await asyncio.gather(*buyers)
            kept = [number for number in bought if await store.order("run-a", number) is not None]
            assert purged == len(bought) - len(kept) > 0
            for sku_no, units in ((1, 1), (2, 3)):
                level = await store.stock("run-a", sku_no)
                assert level.initial - level.available == units * len(kept)
            while (await store.write(PurgeRun("run-a"))).has_more:
                pass
            assert await store.stock("run-a", 1) == StockLevel(10_000, 10_000)

    run(scenario())


def test_a_purge_takes_parcels_keys_and_restocked_units_too(make: StoreFactory) -> None:
    async def scenario() -> None:
        async with opened(make()) as store:
            await store.write(purchase((1, 1), run_id="run-a", key="k"))
            await store.write(Restock("run-a", 1, 5))
            accepted = ParcelEvent("e0", "accepted", "hangzhou", 1)
            parcels = [Parcel(ids.next(), "run-a", 0, "tokyo", (accepted,)) for _ in range(3)]
            await store.write(ParcelChange(parcels[0], "p", "asked"))
            for parcel in parcels:
                await store.write(ParcelChange(parcel))
            asked = 0
            while (purged := await store.write(PurgeRun("run-a", 2))).has_more:
                asked += 1
                assert asked < 10
            assert purged == Purged(0, has_more=False)
            assert [await store.parcel("run-a", parcel.parcel_id) for parcel in parcels] == [None] * 3
            assert await store.stock("run-a", 1) == StockLevel(INITIAL_UNITS, INITIAL_UNITS)
            assert not (await store.write(purchase((1, 1), run_id="run-a", key="p"))).replayed

    run(scenario())


def test_a_parcels_change_is_made_once_under_its_key(make: StoreFactory) -> None:
    accepted, packed = ParcelEvent("e0", "accepted", "hangzhou", 1), ParcelEvent("e1", "packed", "tokyo", 2)
    handed = ParcelEvent("e2", "handed_over", "tokyo", 3)
    first, second = (Parcel(ids.next(), "", 0, "tokyo", (accepted,)) for _ in range(2))

    async def scenario() -> None:
        async with opened(make()) as store:
            assert await store.write(ParcelChange(first, "a", "send")) == ParcelReceipt(first, replayed=False)
            scan = Scan("", first.parcel_id, packed)
            with_two = first._replace(events=(accepted, packed))
            assert await store.write(ParcelChange(scan, "b", "scan")) == ParcelReceipt(
                with_two, replayed=False
            )
            await store.write(ParcelChange(Scan("", first.parcel_id, handed)))
            # Who asks again is told what was so then.
            assert await store.write(ParcelChange(second, "a", "send")) == ParcelReceipt(first, replayed=True)
            assert await store.write(ParcelChange(scan, "b", "scan")) == ParcelReceipt(
                with_two, replayed=True
            )
            assert await store.parcel("", second.parcel_id) is None
            for key, request in (("a", "other"), ("b", "send")):
                with refused(problem.KEY_REUSED):
                    await store.write(ParcelChange(first, key, request))
            assert await swept(store, ExpireKeys(LATER)) == 2
            assert not (await store.write(ParcelChange(second, "a", "send"))).replayed

    run(scenario())


def test_a_key_belongs_to_the_path_it_was_used_on(make: StoreFactory) -> None:
    parcel = Parcel(ids.next(), "", 0, "tokyo", (ParcelEvent("e0", "accepted", "hangzhou", 1),))
    basket = checkout(1)
    order = basket.orders[0]._replace(order_id=ids.next(), part=0)

    async def scenario() -> None:
        async with opened(make()) as store:
            await store.write(basket._replace(key="checkout"))
            await store.write(basket._replace(key="order", orders=(order,)))
            await store.write(ParcelChange(parcel, "parcel", "send"))
            asked = {
                "checkout": checkout(1),
                "order": basket._replace(orders=(order._replace(order_id=ids.next()),)),
            }
            for used in ("checkout", "order", "parcel"):
                for path, again in asked.items():
                    answer = await outcome(store, again._replace(key=used))
                    assert kind_of(answer) is (None if used == path else problem.KEY_REUSED), (used, path)
            for used in ("checkout", "order"):
                with refused(problem.KEY_REUSED):
                    await store.write(ParcelChange(parcel, used, "send"))

    run(scenario())


def test_a_parcel_has_so_many_events_and_no_more(make: StoreFactory) -> None:
    events = tuple(
        ParcelEvent(f"e{n}", ("station_in", "station_out")[n % 2], "tokyo", n) for n in range(MOST_EVENTS)
    )
    parcel = Parcel(ids.next(), "", 0, "tokyo", events)

    async def scenario() -> None:
        async with opened(make()) as store:
            await store.write(ParcelChange(parcel))
            with refused(problem.CONFLICT, "100 events"):
                another = ParcelEvent("new", "station_in", "tokyo", 1)
                await store.write(ParcelChange(Scan("", parcel.parcel_id, another)))
            known = ParcelChange(Scan("", parcel.parcel_id, events[5]))
            assert (await store.write(known)).parcel == parcel

    run(scenario())


def test_one_change_that_the_database_cannot_take_does_not_cost_the_others_theirs(make: StoreFactory) -> None:
    async def scenario() -> None:
        async with opened(make()) as store:
            order, quantities = draft_order(1 << 70, 7, [(1, 1)])
            poison = Purchase("", None, (order,), quantities)
            answers = await asyncio.gather(
                *(store.write(one) for one in (purchase((1, 1)), poison, purchase((2, 1)))),
                return_exceptions=True,
            )
            assert [type(answer) for answer in answers] == [Receipt, StoreUnavailableError, Receipt]
            assert isinstance(await store.write(purchase((3, 1))), Receipt)

    run(scenario())


class Shop:
    """Three machines, and everything that was bought there."""

    def __init__(self, stores: list[Store]) -> None:
        self._stores = stores
        self._dice = random.Random(0)
        self._bought: dict[int, Purchase] = {}

    @property
    def store(self) -> Store:
        """Any of them."""
        return self._dice.choice(self._stores)

    async def buy(self) -> None:
        """Buy baskets in any order of products, and pay for some."""
        for _ in range(15):
            skus = self._dice.sample(range(1, 8), self._dice.randint(1, 5))
            run_id = self._dice.choice(["", "run-a"])
            wanted = purchase(*((sku_no, self._dice.randint(1, 3)) for sku_no in skus), run_id=run_id)
            if not isinstance(await outcome(self.store, wanted), Receipt):
                continue
            order = wanted.orders[0]
            self._bought[order.order_id] = wanted
            if self._dice.random() < 0.5:
                with contextlib.suppress(ProblemError):
                    await self.store.write(Payment(run_id, order.order_id, order.total_cents))

    async def keep(self) -> None:
        """Restock, and end reservations and keys."""
        for _ in range(15):
            run_id, sku_no = self._dice.choice(["", "run-a"]), self._dice.randint(1, 7)
            await self.store.write(Restock(run_id, sku_no, 3))
            await self.store.write(CancelUnpaid(LATER, 5))
            await self.store.write(ExpireKeys(LATER, 5))

    async def sold(self) -> Counter[tuple[str, int]]:
        """Units in orders that are not cancelled, by run and product."""
        units: Counter[tuple[str, int]] = Counter()
        for number, wanted in self._bought.items():
            order = await self.store.order(wanted.run_id, number)
            assert order is not None
            if order.status != "cancelled":
                units.update({(wanted.run_id, sku_no): n for sku_no, n in wanted.quantities.items()})
        return units


def test_everything_at_once_on_three_machines_leaves_balanced_books(make: StoreFactory) -> None:
    async def scenario() -> None:
        async with opened(make(500)) as one, opened(make(500)) as two, opened(make(500)) as three:
            shop = Shop([one, two, three])
            await asyncio.gather(*(shop.buy() for _ in range(12)), *(shop.keep() for _ in range(4)))
            sold = await shop.sold()
            for run_id, sku_no in itertools.product(("", "run-a"), range(1, 8)):
                level = await one.stock(run_id, sku_no)
                assert level.initial - level.available == sold[run_id, sku_no]

    run(scenario())
