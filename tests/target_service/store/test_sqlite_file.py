"""A database that is moved, deleted, replaced, cut short or overwritten while it is in use."""

import asyncio
import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from target_service.orders import OrderIds, Purchase, Receipt, draft_order
from target_service.store import sqlite
from target_service.store.base import StoreSettings, StoreUnavailableError
from target_service.store.store import Store, make_store
from tests.contract.conftest import WAIT_S, Unobserved, in_vain

ids = OrderIds(0)


def purchase() -> Purchase:
    order, quantities = draft_order(ids.next(), 7, [(1, 1)])
    return Purchase("", None, (order,), quantities)


def delete(path: Path) -> None:
    path.unlink()


def move(path: Path) -> None:
    path.rename(path.with_suffix(".moved"))


def delete_log(path: Path) -> None:
    Path(f"{path}-wal").unlink()


def empty(path: Path) -> None:
    os.truncate(path, 0)


def replace(path: Path) -> None:
    """Restore a backup, as an operator does who has been told to take the log with it."""
    backup = path.with_suffix(".backup")
    sqlite3.connect(path).execute("VACUUM INTO ?", (str(backup),)).connection.close()
    for name in (f"{path}-wal", f"{path}-shm"):
        Path(name).unlink()
    backup.rename(path)


def stored(path: Path) -> set[int]:
    database = sqlite3.connect(path)
    try:
        return {number for (number,) in database.execute("SELECT order_id FROM orders")}
    finally:
        database.close()


def run(path: Path, harm: Callable[[Path], None], mend: Callable[[Path], None]) -> list[Receipt]:
    """Buy, do harm, buy in vain, mend it, buy until it works; returns the receipts given after the harm."""

    async def scenario() -> list[Receipt]:
        store = make_store(StoreSettings(f"sqlite:///{path}", 10, WAIT_S, shared=True), Unobserved())
        await store.open()
        try:
            await store.write(purchase())
            harm(path)
            with in_vain(store):
                with pytest.raises(StoreUnavailableError):
                    await store.write(purchase())
                with pytest.raises(StoreUnavailableError):
                    await store.ping()
            mend(path)
            receipts: list[Receipt] = []
            for _ in range(50):
                try:
                    receipts.append(await store.write(purchase()))
                except StoreUnavailableError:
                    await asyncio.sleep(0.05)
                if len(receipts) == 3:
                    break
            assert (await store.stock("", 1)).available == 10 - len(stored(path))
            return receipts
        finally:
            await store.close()

    return asyncio.run(scenario())


@pytest.mark.parametrize("harm", [delete, move, delete_log, empty])
def test_nothing_is_acknowledged_until_a_database_is_back_at_the_path(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    def restore(path: Path) -> None:
        for name in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
            name.unlink(missing_ok=True)
        shutil.copyfile(spare, path)

    path, spare = tmp_path / "orders.db", tmp_path / "spare.db"

    async def make_spare() -> None:
        store = make_store(StoreSettings(f"sqlite:///{spare}", 10, WAIT_S, shared=True), Unobserved())
        await store.open()
        await store.close()

    asyncio.run(make_spare())
    receipts = run(path, harm, restore)
    assert {receipt.orders[0].order_id for receipt in receipts} == stored(path)
    assert len(receipts) == 3


def test_a_restored_backup_is_taken_up_and_kept_whole(tmp_path: Path) -> None:
    path = tmp_path / "orders.db"

    async def scenario() -> set[int]:
        stores = [
            make_store(StoreSettings(f"sqlite:///{path}", 100, WAIT_S, shared=True), Unobserved())
            for _ in range(2)
        ]
        kept = set()
        for store in stores:
            await store.open()
        kept.add((await stores[0].write(purchase())).orders[0].order_id)
        replace(path)
        for store in stores:
            refused = 0
            while True:
                try:
                    receipt = await store.write(purchase())
                except StoreUnavailableError:
                    refused += 1
                    assert refused < 50
                else:
                    kept.add(receipt.orders[0].order_id)
                    break
            assert refused > 0, "an order was acknowledged in a file that has no name any more"
        for _ in range(20):
            kept |= {(await store.write(purchase())).orders[0].order_id for store in stores}
        for store in stores:
            await store.close()
        return kept

    assert asyncio.run(scenario()) == stored(path)


def checkpoint(path: Path) -> None:
    """Move all that the log has into the file."""
    database = sqlite3.connect(path)
    database.execute("PRAGMA wal_checkpoint(PASSIVE)")
    database.close()


async def orders_of(store: Store, count: int) -> set[int]:
    return {(await store.write(purchase())).orders[0].order_id for _ in range(count)}


def test_an_older_copy_put_into_the_same_file_is_noticed_before_an_order_is_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy is as large as the database: what was stored since are changes of the same pages."""
    monkeypatch.setattr(sqlite, "COUNT_EVERY_S", 0.0)  # a second has passed before each commit
    path = tmp_path / "orders.db"

    async def scenario() -> set[int]:
        store = make_store(StoreSettings(f"sqlite:///{path}", 10_000, WAIT_S, shared=True), Unobserved())
        await store.open()
        await orders_of(store, 3)
        checkpoint(path)
        copy = path.read_bytes()
        await orders_of(store, 1)
        checkpoint(path)
        await orders_of(store, 1)
        assert path.stat().st_size == len(copy)
        path.write_bytes(copy)
        with pytest.raises(StoreUnavailableError, match="older copy"):
            await store.write(purchase())
        kept = set()
        with contextlib.suppress(StoreUnavailableError):
            kept = await orders_of(store, 20)
        await store.close()
        return kept

    assert asyncio.run(scenario()) <= stored(path)


def test_a_database_whose_pages_are_of_two_ages_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "COUNT_EVERY_S", 0.0)
    path = tmp_path / "orders.db"

    async def scenario() -> None:
        store = make_store(StoreSettings(f"sqlite:///{path}", 10_000, WAIT_S, shared=True), Unobserved())
        await store.open()
        await orders_of(store, 3)
        checkpoint(path)
        copy = path.read_bytes()
        await orders_of(store, 300)
        checkpoint(path)
        await orders_of(store, 3)
        path.write_bytes(copy + path.read_bytes()[len(copy) :])
        for _ in range(3):
            with pytest.raises(StoreUnavailableError):
                await store.write(purchase())
        await store.close()

    asyncio.run(scenario())
