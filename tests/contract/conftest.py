"""Stores for the contract suite: the same tests run on each."""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from target_service.store.base import CommitObserver, StoreSettings
from target_service.store.store import Store, make_store
from tests.contract.postgres_server import PostgresServer, postgres_server

StoreFactory = Callable[..., Store]
"""Makes a store that is not opened yet; two of one factory share their data."""

INITIAL_UNITS = 10
WAIT_S = 60.0
"""For how long a change waits that is to be made, however busy the machine is."""
REFUSED_AFTER_S = 0.5
"""For how long where nothing will come of it."""


class Unobserved:
    """An observer that counts."""

    def __init__(self) -> None:
        self.batches = 0
        self.changes = 0
        self.failures = 0
        self.proofs = 0

    def committed(self, changes: int, seconds: float, proves: bool = True) -> None:
        """Count a batch."""
        assert seconds >= 0
        self.proofs += proves
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


@contextlib.contextmanager
def in_vain(store: Store) -> Iterator[None]:
    """While this is open nothing can be made, and is soon refused."""
    patient = store._settings
    store._settings = patient._replace(wait_s=REFUSED_AFTER_S)
    try:
        yield
    finally:
        store._settings = patient


_databases = itertools.count()


@pytest.fixture(params=["sqlite", "postgres"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> StoreFactory:
    """Makes stores on one fresh database."""
    if request.param == "sqlite":
        dsn = f"sqlite:///{tmp_path}/orders.db"
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        dsn = server.create_database(f"contract_{next(_databases)}")

    def factory(initial_units: int = INITIAL_UNITS, observer: CommitObserver | None = None) -> Store:
        settings = StoreSettings(dsn, initial_units, WAIT_S, shared=True)
        return make_store(settings, observer or Unobserved())

    return factory
