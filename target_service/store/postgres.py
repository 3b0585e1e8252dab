"""The PostgreSQL store: several service machines on one database.

The tables are those of `store.sqlite`. Each process has one connection that writes and a few that read. The
writer takes everything that waits into one transaction, as the SQLite writer does, and answers when
PostgreSQL has said that the commit is on disk (`synchronous_commit` is the server's, on by default). When the
connection breaks while a commit is under way its fate is unknown: the callers are told 503 and find out by
trying again under their key.

The connection is made anew when it is lost; until then changes wait, at most `wait_s`.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import asyncpg

from target_service.orders import Order, Purchase
from target_service.parcels import Parcel
from target_service.stock_buckets import TRUNK, Buckets, StockMovedError
from target_service.store.base import (
    Change,
    CommitObserver,
    StockLevel,
    StoreFullError,
    StoreOpenError,
    StoreSettings,
    StoreUnavailableError,
)
from target_service.store.group_commit import (
    LARGEST_BATCH,
    Answer,
    Waiting,
    deliver,
    joining,
    sort_out,
    too_late,
)
from target_service.store.postgres_batch import apply_purchases
from target_service.store.postgres_changes import apply_change, find_order, find_parcel
from target_service.store.postgres_schema import NewerSchemaError, migrate
from target_service.store.postgres_stock import claim_bucket, find_stock

log = logging.getLogger("orders.store")

READERS = 4
RETRY_PAUSE_S = 0.05
FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)
FULL = (asyncpg.DiskFullError, asyncpg.OutOfMemoryError)
AGAIN = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, StockMovedError)
"""Two machines were in each other's way; this one's transaction was undone and can be done again."""
MISCONFIGURED = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ClientConfigurationError,
)

T = TypeVar("T")


class PostgresStore:
    """A store in one PostgreSQL database; see the contract in `store.base`."""

    def __init__(self, settings: StoreSettings, observer: CommitObserver) -> None:
        self._settings = settings
        self._observer = observer
        self._line: list[Waiting] = []
        self._work = asyncio.Event()
        self._closing = False
        self._connection: Any = None
        self._writer_id = 0
        self._buckets = Buckets(settings.stock_buckets, TRUNK)

    async def open(self) -> int:
        """Connect, migrate, start the writer. Raises StoreOpenError, StoreUnavailableError."""
        try:
            self._connection = await self._connect()
            await migrate(self._connection)
            self._writer_id = await self._connection.fetchval(
                "INSERT INTO writers DEFAULT VALUES RETURNING writer_id"
            )
            await self._claim_bucket()
            self._readers = await asyncpg.create_pool(
                self._settings.dsn,
                min_size=1,
                max_size=READERS,
                command_timeout=self._settings.wait_s,
                timeout=self._settings.wait_s,
            )
        except (*MISCONFIGURED, NewerSchemaError, ValueError) as error:
            raise StoreOpenError(f"cannot open the PostgreSQL store: {error}") from error
        except FAILURES as error:
            raise StoreUnavailableError(f"PostgreSQL does not answer: {error}") from error
        self._writer = asyncio.create_task(self._write_until_closed())
        return self._writer_id

    async def close(self) -> None:
        """Commit what was handed over, then let go of the connections."""
        self._closing = True
        self._work.set()
        await self._writer
        with contextlib.suppress(*FAILURES):
            async with asyncio.timeout(self._settings.wait_s):
                await self._readers.close()
        self._drop_connection()

    async def ping(self) -> None:
        """Read one row. Raises StoreUnavailableError."""
        await self._read(lambda reader: reader.fetchval("SELECT max(version) FROM schema_version"))

    async def write(self, change: Change, deadline_ns: int | None = None) -> Any:
        """Hand a change to the writer and wait until it is on disk."""
        waiting = joining(change, deadline_ns)
        self._line.append(waiting)
        self._work.set()
        return await waiting.answer

    async def order(self, run_id: str, order_id: int) -> Order | None:
        """Look an order up by its number."""
        return await self._read(lambda reader: find_order(reader, run_id, order_id))

    async def stock(self, run_id: str, sku_no: int) -> StockLevel:
        """Units of a product."""
        initial_units = self._settings.initial_units
        return await self._read(lambda reader: find_stock(reader, run_id, sku_no, initial_units))

    async def parcel(self, run_id: str, parcel_id: int) -> Parcel | None:
        """Look a parcel up by its number."""
        return await self._read(lambda reader: find_parcel(reader, run_id, parcel_id))

    async def _read(self, look_up: Callable[[Any], Awaitable[T]]) -> T:
        try:
            async with self._readers.acquire(timeout=self._settings.wait_s) as reader:
                return await look_up(reader)
        except FAILURES as error:
            self._observer.failed()
            raise StoreUnavailableError(f"PostgreSQL cannot be read: {error}") from error

    async def _connect(self) -> Any:
        wait_s = self._settings.wait_s
        return await asyncpg.connect(self._settings.dsn, timeout=wait_s, command_timeout=wait_s)

    async def _write_until_closed(self) -> None:
        while not (self._closing and not self._line):
            await self._work.wait()
            self._work.clear()
            while self._line:
                if await self._has_connection():
                    await self._commit(self._next_batch())

    async def _has_connection(self) -> bool:
        """Connect again if need be; False, after a pause, if it cannot be done now."""
        if self._connection is not None and not self._connection.is_closed():
            return True
        try:
            self._connection = await self._connect()
            await self._claim_bucket()
        except FAILURES:
            self._drop_connection()
            self._observer.failed()
            self._give_up_on_late()
            await asyncio.sleep(RETRY_PAUSE_S)
            return False
        return True

    async def _claim_bucket(self) -> None:
        own = await claim_bucket(self._connection, self._settings.stock_buckets, self._writer_id)
        self._buckets = self._buckets._replace(own=own)

    def _give_up_on_late(self) -> None:
        """Answer those whose deadline has passed, and those who have waited as long as anybody may."""
        now_ns = time.monotonic_ns()
        present, late = sort_out(self._line, now_ns)
        deliver(late, too_late(late))
        too_old_ns = now_ns - int(self._settings.wait_s * 1e9)
        old = [waiting for waiting in present if waiting.handed_ns <= too_old_ns]
        self._line = [waiting for waiting in present if waiting.handed_ns > too_old_ns]
        deliver(old, [StoreUnavailableError("PostgreSQL does not answer") for _ in old])

    def _next_batch(self) -> list[Waiting]:
        batch, late = sort_out(self._line[:LARGEST_BATCH], time.monotonic_ns())
        self._line = self._line[LARGEST_BATCH:]
        deliver(late, too_late(late))
        return batch

    async def _commit(self, batch: list[Waiting]) -> None:
        started_ns = time.monotonic_ns()
        try:
            async with asyncio.timeout(self._settings.wait_s), self._transaction():
                answers = await self._apply([waiting.change for waiting in batch])
                await asyncio.sleep(self._settings.stall_s())
        except AGAIN:
            self._line[:0] = batch
            self._buckets = self._buckets._replace(one_row=False)
            return
        except Exception as error:
            # Whatever it was, a defect of ours too: the writer must live on, and nobody may wait for ever.
            self._refuse(batch, error)
            return
        self._buckets = self._buckets._replace(one_row=True)
        self._observer.committed(len(answers), (time.monotonic_ns() - started_ns) / 1e9)
        self._line[:0] = [waiting for place, waiting in enumerate(batch) if place not in answers]
        deliver([batch[place] for place in answers], answers.values())

    def _transaction(self) -> Any:
        # Whatever the server's default is: `postgres_stock` needs a new snapshot for each statement.
        return self._connection.transaction(isolation="read_committed")

    async def _apply(self, batch: Sequence[Change]) -> dict[int, Answer]:
        """Make the changes of a batch; answers by place, none for those put off."""
        initial_units = self._settings.initial_units
        answers = await apply_purchases(self._connection, batch, initial_units, self._buckets)
        for place, change in enumerate(batch):
            if not isinstance(change, Purchase):
                answers[place] = await apply_change(self._connection, change, initial_units)
        return answers

    def _refuse(self, batch: list[Waiting], error: Exception) -> None:
        if not isinstance(error, FAILURES):
            log.error("a batch failed", exc_info=error)
        # Whatever state the connection is in, a new one has none.
        self._drop_connection()
        self._observer.failed()
        kind = StoreFullError if isinstance(error, FULL) else StoreUnavailableError
        deliver(batch, [kind(f"PostgreSQL cannot be written: {error!r}") for _ in batch])

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
