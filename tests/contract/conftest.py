"""Stores for the contract suite: the same tests run on each."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from target_service import stock_buckets
from target_service.store.base import CommitObserver, Store, StoreSettings
from target_service.store.open import make_store
from tests.contract.postgres_server import PostgresServer, postgres_server

StoreFactory = Callable[..., Store]
"""Makes a store that is not opened yet; two of one factory share their data."""

INITIAL_UNITS = 10
BUCKETS = 3


class Unobserved:
    """An observer that counts."""

    def __init__(self) -> None:
        self.batches = 0
        self.changes = 0
        self.failures = 0

    def committed(self, changes: int, seconds: float) -> None:
        """Count a batch."""
        assert seconds >= 0
        self.batches += 1
        self.changes += changes

    def failed(self) -> None:
        """Count a failure."""
        self.failures += 1


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for all tests; each has a database of its own."""
    with postgres_server() as server:
        yield server


_databases = itertools.count()


@pytest.fixture
def spread_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have stores with buckets use several rows from the first purchase on, as if other machines had the trunks."""
    numbers = itertools.count(1)

    async def claim(_connection: object, count: int, _writer_id: int) -> int:
        return next(numbers) % count

    monkeypatch.setattr("target_service.store.postgres.claim_bucket", claim)
    monkeypatch.setattr(stock_buckets, "HOT_PURCHASES", 1)


@pytest.fixture(params=["sqlite", "postgres", "postgres with buckets"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> StoreFactory:
    """Makes stores on one fresh database."""
    buckets = 1
    if request.param == "sqlite":
        dsn = f"sqlite:///{tmp_path}/orders.db"
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        dsn = server.create_database(f"contract_{next(_databases)}")
    if request.param == "postgres with buckets":
        request.getfixturevalue("spread_at_once")
        buckets = BUCKETS

    def factory(initial_units: int = INITIAL_UNITS, observer: CommitObserver | None = None) -> Store:
        settings = StoreSettings(dsn, initial_units, 2.0, shared=True, stock_buckets=buckets)
        return make_store(settings, observer or Unobserved())

    return factory
