"""The contract of `target_service.store.base`, held against every store."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from target_service import problem
from target_service.orders import Order, OrderIds, Payment, Purchase, Receipt, draft_order
from target_service.parcels import Parcel, ParcelChange, ParcelEvent, Scan
from target_service.problem import ProblemError
from target_service.store.base import (
    CancelUnpaid,
    ExpireKeys,
    FateUnknownError,
    PurgeRun,
    Restock,
    StockLevel,
    StoreUnavailableError,
    Tick,
)
from target_service.store.store import Store
from tests.contract.conftest import INITIAL_UNITS, StoreFactory, Unobserved
from tests.target_service.refusals import kind_of, refused

T = TypeVar("T")
LATER = 1 << 62
"""A time after every order's."""

ids = OrderIds(writer=0)


def run(test: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(test)


@contextlib.asynccontextmanager
async def opened(store: Store) -> AsyncIterator[Store]:
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def purchase(*lines: tuple[int, int], key: str | None = None, run_id: str = "", buyer: int = 7) -> Purchase:
    """One order of (product number, units)."""
    order, quantities = draft_order(ids.next(), buyer, lines)
    return Purchase(run_id, key, (order,), quantities)


async def swept(store: Store, sweep: CancelUnpaid | ExpireKeys) -> int:
    """How many rows a sweep changes in all; on a busy machine it takes several passes."""
    changed = 0
    while done := await store.write(sweep):
        changed += done
    return changed


def test_what_is_refused_is_not_stored_unless_it_is_told_that_it_may_be(make: StoreFactory) -> None:
    """The commit takes longer than its caller waits: one store makes it all the same, the other does not."""

    async def scenario() -> None:
        store, wanted = make(), purchase((1, 2), key="k")
        async with opened(store):
            store._settings = store._settings._replace(wait_s=0.2, stall_s=lambda: 1.0)
            with pytest.raises(StoreUnavailableError) as raised:
                await store.write(wanted)
        async with opened(make()) as after:
            found = await after.order("", wanted.orders[0].order_id)
        assert raised.type in (StoreUnavailableError, FateUnknownError)
        assert found is None or raised.type is FateUnknownError

    run(scenario())


async def outcome(store: Store, wanted: Purchase) -> Receipt | Exception:
    try:
        receipt: Receipt = await store.write(wanted)
    except ProblemError as refusal:
        return refusal
    return receipt


def test_a_stored_order_is_found_again_after_reopening(make: StoreFactory) -> None:
    wanted = purchase((1, 2), (3, 1))

    async def scenario() -> Order | None:
        async with opened(make()) as store:
            receipt = await store.write(wanted)
            assert receipt == Receipt(wanted.orders, replayed=False)
        async with opened(make()) as store:
            return await store.order("", wanted.orders[0].order_id)

    assert run(scenario()) == wanted.orders[0]


def test_every_process_that_opens_it_gets_a_number_of_its_own(make: StoreFactory) -> None:
    async def scenario() -> list[int]:
        stores = [make() for _ in range(3)]
        numbers = list(await asyncio.gather(*(store.open() for store in stores)))
        await asyncio.gather(*(store.close() for store in stores))
        return numbers

    assert len(set(run(scenario()))) == 3


def test_stock_goes_down_with_each_order_and_never_below_zero(make: StoreFactory) -> None:
    async def scenario() -> tuple[list[Any], StockLevel]:
        async with opened(make()) as store:
            answers = [await outcome(store, purchase((5, 4))) for _ in range(3)]
            return answers, await store.stock("", 5)

    answers, level = run(scenario())
    assert [kind_of(answer) for answer in answers] == [None, None, problem.SOLD_OUT]
    assert level == StockLevel(INITIAL_UNITS, INITIAL_UNITS - 8)


def test_a_purchase_is_stored_wholly_or_not_at_all(make: StoreFactory) -> None:
    async def scenario() -> tuple[StockLevel, Order | None]:
        async with opened(make()) as store:
            wanted = purchase((1, 1), (2, INITIAL_UNITS + 1))
            assert kind_of(await outcome(store, wanted)) is problem.SOLD_OUT
            return await store.stock("", 1), await store.order("", wanted.orders[0].order_id)

    assert run(scenario()) == (StockLevel(INITIAL_UNITS, INITIAL_UNITS), None)


def test_concurrent_buyers_on_two_processes_share_exactly_the_stock_there_is(make: StoreFactory) -> None:
    async def scenario() -> tuple[int, int]:
        async with opened(make(100)) as one, opened(make(100)) as other:
            answers = await asyncio.gather(
                *(outcome(store, purchase((9, 1))) for _ in range(120) for store in (one, other))
            )
            sold = sum(isinstance(answer, Receipt) for answer in answers)
            return sold, (await other.stock("", 9)).available

    assert run(scenario()) == (100, 0)


def test_a_key_gives_its_first_receipt_again(make: StoreFactory) -> None:
    first, second = purchase((1, 1), key="k"), purchase((1, 1), key="k")

    async def scenario() -> tuple[Receipt, Receipt, StockLevel]:
        async with opened(make()) as store:
            return await store.write(first), await store.write(second), await store.stock("", 1)

    told, again, level = run(scenario())
    assert told == Receipt(first.orders, replayed=False)
    assert again == Receipt(first.orders, replayed=True)
    assert level.available == INITIAL_UNITS - 1


def test_a_storm_of_one_key_on_two_processes_makes_one_order(make: StoreFactory) -> None:
    async def scenario() -> list[Receipt]:
        async with opened(make()) as one, opened(make()) as other:
            deliveries = (store.write(purchase((1, 1), key="k")) for _ in range(50) for store in (one, other))
            return list(await asyncio.gather(*deliveries))

    receipts = run(scenario())
    assert len({receipt.orders for receipt in receipts}) == 1
    assert [receipt.replayed for receipt in receipts].count(False) == 1


def test_a_key_with_another_body_is_refused(make: StoreFactory) -> None:
    async def scenario() -> list[Receipt | Exception]:
        async with opened(make()) as store:
            await store.write(purchase((1, 1), key="k"))
            others = (purchase((1, 2), key="k"), purchase((1, 1), key="k", buyer=8))
            return [await outcome(store, other) for other in others]

    assert [kind_of(answer) for answer in run(scenario())] == [problem.KEY_REUSED] * 2


def test_a_refused_purchase_leaves_its_key_free(make: StoreFactory) -> None:
    async def scenario() -> None:
        async with opened(make()) as store:
            assert kind_of(await outcome(store, purchase((1, 11), key="k"))) is problem.SOLD_OUT
            assert not (await store.write(purchase((1, 1), key="k"))).replayed

    run(scenario())


def test_an_expired_key_can_be_used_again(make: StoreFactory) -> None:
    first, second = purchase((1, 1), key="k"), purchase((1, 1), key="k")

    async def scenario() -> tuple[Receipt, int, int]:
        async with opened(make()) as store:
            await store.write(first)
            none_yet: int = await store.write(ExpireKeys(2))
            expired = await swept(store, ExpireKeys(LATER))
            return await store.write(second), none_yet, expired

    assert run(scenario()) == (Receipt(second.orders, replayed=False), 0, 1)


def test_runs_share_neither_orders_nor_stock_nor_keys(make: StoreFactory) -> None:
    bought = {run_id: purchase((1, 3), key="k", run_id=run_id) for run_id in ("", "run-a", "run-b")}

    async def scenario() -> None:
        async with opened(make()) as store:
            receipts = await asyncio.gather(*(store.write(one) for one in bought.values()))
            assert not any(receipt.replayed for receipt in receipts)
            for run_id, one in bought.items():
                assert (await store.stock(run_id, 1)).available == INITIAL_UNITS - 3
                for other in bought:
                    found = await store.order(other, one.orders[0].order_id)
                    assert (found is not None) == (other == run_id)

    run(scenario())


def test_purging_a_run_leaves_the_others_alone(make: StoreFactory) -> None:
    async def scenario() -> tuple[int, list[int]]:
        async with opened(make()) as store:
            for run_id in ("", "run-a", "run-a", "run-b"):
                await store.write(purchase((1, 1), run_id=run_id))
            purged = await store.write(PurgeRun("run-a"))
            assert not purged.has_more
            return purged.orders, [
                (await store.stock(run_id, 1)).available for run_id in ("", "run-a", "run-b")
            ]

    assert run(scenario()) == (2, [INITIAL_UNITS - 1, INITIAL_UNITS, INITIAL_UNITS - 1])


def test_a_checkout_is_replayed_with_all_its_orders(make: StoreFactory) -> None:
    def checkout() -> Purchase:
        parts = [draft_order(ids.next(), 7, [(sku_no, 1)], part) for part, sku_no in enumerate((4, 5, 6))]
        return Purchase("", "k", tuple(order for order, _ in parts), {4: 1, 5: 1, 6: 1})

    first = checkout()

    async def scenario() -> None:
        async with opened(make()) as store:
            await store.write(first)
            assert await store.write(checkout()) == Receipt(first.orders, replayed=True)

    run(scenario())


def test_paying_is_done_once_and_only_with_the_right_amount(make: StoreFactory) -> None:
    wanted = purchase((1, 1))
    order = wanted.orders[0]

    async def scenario() -> None:
        async with opened(make()) as store:
            with refused(problem.NOT_FOUND):
                await store.write(Payment("", order.order_id, order.total_cents))
            await store.write(wanted)
            with refused(problem.BAD_FIELD, "expected 1999 cents, got 1"):
                await store.write(Payment("", order.order_id, 1))
            with refused(problem.NOT_FOUND):
                await store.write(Payment("run-a", order.order_id, order.total_cents))
            for _ in range(2):
                paid = await store.write(Payment("", order.order_id, order.total_cents))
                assert paid == order._replace(status="paid")
            assert (await store.order("", order.order_id)) == paid

    run(scenario())


def test_unpaid_orders_are_cancelled_and_their_units_return(make: StoreFactory) -> None:
    paid, unpaid, shadow = purchase((1, 2)), purchase((1, 3), (2, 1)), purchase((1, 4), run_id="run-a")

    async def scenario() -> None:
        async with opened(make()) as store:
            for one in (paid, unpaid, shadow):
                await store.write(one)
            await store.write(Payment("", paid.orders[0].order_id, paid.orders[0].total_cents))
            assert await swept(store, CancelUnpaid(LATER)) == 2
            assert await swept(store, CancelUnpaid(LATER)) == 0
            assert await store.stock("", 1) == StockLevel(INITIAL_UNITS, INITIAL_UNITS - 2)
            assert await store.stock("", 2) == StockLevel(INITIAL_UNITS, INITIAL_UNITS)
            assert await store.stock("run-a", 1) == StockLevel(INITIAL_UNITS, INITIAL_UNITS)
            with refused(problem.CONFLICT):
                await store.write(Payment("", unpaid.orders[0].order_id, unpaid.orders[0].total_cents))

    run(scenario())


def test_restocked_units_can_be_sold(make: StoreFactory) -> None:
    async def scenario() -> None:
        async with opened(make()) as store:
            assert await store.write(Restock("", 1, 5)) == StockLevel(INITIAL_UNITS + 5, INITIAL_UNITS + 5)
            await store.write(purchase((1, INITIAL_UNITS + 5)))
            assert await store.write(Restock("", 1, 1)) == StockLevel(INITIAL_UNITS + 6, 1)
            assert await store.stock("run-a", 1) == StockLevel(INITIAL_UNITS, INITIAL_UNITS)

    run(scenario())


def test_a_parcel_goes_through_its_chain_and_no_other_way(make: StoreFactory) -> None:
    accepted = ParcelEvent("e0", "accepted", "hangzhou", 1)
    parcel = Parcel(ids.next(), "", 0, "beijing", (accepted,))
    packed = ParcelEvent("e1", "packed", "hangzhou", 2)

    async def scenario() -> Parcel | None:
        async with opened(make()) as store:
            for _ in range(2):
                assert (await store.write(ParcelChange(parcel))).parcel == parcel
            with refused(problem.CONFLICT):
                await store.write(ParcelChange(parcel._replace(destination="tokyo")))
            with refused(problem.CONFLICT, "signed cannot follow accepted; expected error, packed"):
                signed = ParcelEvent("e9", "signed", "beijing", 2)
                await store.write(ParcelChange(Scan("", parcel.parcel_id, signed)))
            for _ in range(2):
                await store.write(ParcelChange(Scan("", parcel.parcel_id, packed)))
            assert await store.parcel("run-a", parcel.parcel_id) is None
            return await store.parcel("", parcel.parcel_id)

    assert run(scenario()) == parcel._replace(events=(accepted, packed))


def test_work_whose_deadline_has_passed_is_not_begun(make: StoreFactory) -> None:
    wanted = purchase((1, 1))

    async def scenario() -> Order | None:
        async with opened(make()) as store:
            with refused(problem.DEADLINE):
                await store.write(wanted, time.monotonic_ns() - 1)
            await store.write(purchase((2, 1)), time.monotonic_ns() + 60 * 10**9)
            return await store.order("", wanted.orders[0].order_id)

    assert run(scenario()) is None


def test_a_change_that_comes_too_late_does_not_wait_to_be_told(make: StoreFactory) -> None:
    async def scenario() -> None:
        async with opened(make()) as store:
            with refused(problem.DEADLINE):
                store.write(purchase((1, 1)), time.monotonic_ns() - 1).send(None)

    run(scenario())


def test_changes_that_wait_together_are_committed_together(make: StoreFactory) -> None:
    observer = Unobserved()

    async def scenario() -> None:
        async with opened(make(1000, observer)) as store:
            await asyncio.gather(*(store.write(purchase((n, 1))) for n in range(1, 301)))

    run(scenario())
    assert observer.changes == 300
    assert observer.batches < 30


def test_closing_commits_what_was_handed_over(make: StoreFactory) -> None:
    wanted = [purchase((1, 1)) for _ in range(5)]

    async def scenario() -> list[Order | None]:
        store = make()
        await store.open()
        handed = [asyncio.ensure_future(store.write(one)) for one in wanted]
        await asyncio.sleep(0)
        await store.close()
        await asyncio.gather(*handed)
        async with opened(make()) as again:
            return [await again.order("", one.orders[0].order_id) for one in wanted]

    assert run(scenario()) == [one.orders[0] for one in wanted]


@pytest.mark.parametrize("table", ["orders", "shadow_stock", "parcels"])
def test_a_store_that_has_lost_a_table_proves_nothing(make: StoreFactory, table: str) -> None:
    observer = Unobserved()

    async def scenario() -> None:
        async with opened(make(INITIAL_UNITS, observer)) as store:
            await store.ping()
            session = store._session  # type: ignore[attr-defined]  # no other way to ask it
            await session.fetch(f"ALTER TABLE {table} RENAME TO gone")
            proofs = observer.proofs
            with pytest.raises(StoreUnavailableError, match=table):
                await store.ping()
            await store.write(Tick(-1, 0, 1))
            assert observer.proofs == proofs, "the clock goes on, but that proves nothing"

    run(scenario())


LINES = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4)), min_size=1, max_size=3)
PURCHASES = st.lists(
    st.tuples(LINES, st.sampled_from(["", "run-a"]), st.sampled_from([None, "k1", "k2"])), max_size=25
)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(PURCHASES)
def test_the_books_balance_whatever_is_bought(
    make: StoreFactory, wanted: list[tuple[list[tuple[int, int]], str, str | None]]
) -> None:
    async def scenario() -> None:
        async with opened(make()) as store:
            before = {
                (run_id, n): await store.stock(run_id, n) for run_id in ("", "run-a") for n in (1, 2, 3)
            }
            bought = [purchase(*lines, run_id=run_id, key=key) for lines, run_id, key in wanted]
            answers = await asyncio.gather(*(outcome(store, one) for one in bought))
            new = [
                one
                for one, answer in zip(bought, answers, strict=True)
                if isinstance(answer, Receipt) and not answer.replayed
            ]
            for (run_id, sku_no), level in before.items():
                sold = sum(one.quantities.get(sku_no, 0) for one in new if one.run_id == run_id)
                after = await store.stock(run_id, sku_no)
                assert after.available == level.available - sold >= 0

    run(scenario())
