"""The PostgreSQL store: several service machines on one database.

The tables are those of `store.sqlite`. Each process has one connection that writes and a few that read. The
writer takes everything that waits into one transaction, as the SQLite writer does, and answers when
PostgreSQL has said that the commit is on disk (`synchronous_commit` is the server's, but never off). When the
connection breaks while a commit is under way its fate is unknown: the callers are told 503 and find out by
trying again under their key.

The connection is made anew when it is lost; until then changes wait, at most `wait_s`.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import asyncpg

from target_service.orders import Order
from target_service.parcels import Parcel
from target_service.store.base import (
    Change,
    CommitObserver,
    Proof,
    StockLevel,
    StoreFullError,
    StoreOpenError,
    StoreSettings,
    StoreUnavailableError,
)
from target_service.store.changes import apply_batch, find_order, find_parcel, find_stock
from target_service.store.group_commit import Line, Pending, Waiting, deliver
from target_service.store.postgres_schema import NewerSchemaError, migrate
from target_service.store.postgres_session import PostgresSession
from target_service.store.postgres_wire import watch_messages

log = logging.getLogger("orders.store")

READERS = 4
RETRY_PAUSE_S = 0.05
FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)
FULL = (asyncpg.DiskFullError, asyncpg.OutOfMemoryError)
AGAIN = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
"""Two machines were in each other's way; this one's transaction was undone and can be done again."""
REFUSED = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.SyntaxOrAccessError)
"""One change is not as the database wants it; the others of its batch may be."""
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
        self._line = Line(settings.wait_s, deliver)
        self._pending = Pending(settings.wait_s)
        self._work = asyncio.Event()
        self._closing = False
        self._session: PostgresSession | None = None
        self._writer_id = 0
        self._said = ""

    async def open(self) -> int:
        """Connect, migrate, start the writer. Raises StoreOpenError, StoreUnavailableError."""
        watch_messages()
        try:
            self._session = await self._connect()
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
        self._watchers = [
            asyncio.create_task(watch) for watch in (self._pending.watch(), self._give_up_while_stuck())
        ]
        return self._writer_id

    async def close(self) -> None:
        """Commit what was handed over, then let go of the connections."""
        self._closing = True
        self._work.set()
        await self._writer
        for watcher in self._watchers:
            watcher.cancel()
        with contextlib.suppress(Exception):
            async with asyncio.timeout(self._settings.wait_s):
                await self._readers.close()
        self._readers.terminate()
        self._drop_connection()

    async def ping(self) -> None:
        """Make something durable. Raises StoreUnavailableError."""
        await self.write(Proof(self._writer_id))

    def write(self, change: Change, deadline_ns: int | None = None) -> Coroutine[Any, Any, Any]:
        """Hand a change to the writer and wait until it is on disk."""
        return self._pending.hand_over(change, deadline_ns, self._hand_over)

    def _hand_over(self, waiting: Waiting) -> None:
        self._line.join([waiting])
        self._work.set()

    async def order(self, run_id: str, order_id: int) -> Order | None:
        """Look an order up by its number."""
        return await self._read(lambda reader: find_order(reader, run_id, order_id))

    async def stock(self, run_id: str, sku_no: int) -> StockLevel:
        """Units of a product."""
        return await self._read(lambda reader: find_stock(reader, run_id, sku_no))

    async def parcel(self, run_id: str, parcel_id: int) -> Parcel | None:
        """Look a parcel up by its number."""
        return await self._read(lambda reader: find_parcel(reader, run_id, parcel_id))

    async def _read(self, look_up: Callable[[PostgresSession], Awaitable[T]]) -> T:
        try:
            async with self._readers.acquire(timeout=self._settings.wait_s) as reader:
                return await look_up(PostgresSession(reader, self._settings.initial_units))
        except Exception as error:
            # Not only asyncpg's: it fails in many ways on an answer that is no PostgreSQL's.
            self._observer.failed()
            raise StoreUnavailableError(f"PostgreSQL cannot be read: {error!r}") from error

    async def _connect(self) -> PostgresSession:
        """A connection that writes, to a database whose schema is up to date."""
        wait_s = self._settings.wait_s
        connection = await asyncpg.connect(self._settings.dsn, timeout=wait_s, command_timeout=wait_s)
        try:
            # The first time there may be a schema to bring up to date, which takes as long as it takes.
            async with asyncio.timeout(wait_s if self._writer_id else None):
                await self._prepare(connection)
        except BaseException:
            connection.terminate()
            raise
        return PostgresSession(connection, self._settings.initial_units)

    async def _prepare(self, connection: Any) -> None:
        # Set for the session, so that no later change of the server's settings reaches it.
        asked = await connection.fetchval("SHOW synchronous_commit")
        await connection.execute(f"SET synchronous_commit = {'on' if asked == 'off' else asked}")
        await migrate(connection)
        if not self._writer_id:
            self._writer_id = await connection.fetchval(
                "INSERT INTO writers DEFAULT VALUES RETURNING writer_id"
            )

    async def _write_until_closed(self) -> None:
        while not (self._closing and not self._line):
            await self._work.wait()
            self._work.clear()
            while self._line:
                try:
                    if self._session is not None and self._session.connection.is_closed():
                        self._drop_connection()
                    session = self._session or await self._connect()
                except Exception as error:
                    await self._wait_to_connect(error)
                else:
                    self._session = session
                    await self._commit(session, self._line.next_batch())

    async def _wait_to_connect(self, error: Exception) -> None:
        if repr(error) != self._said:
            self._said = repr(error)
            log.error("PostgreSQL does not answer as it should: %r", error)
        self._observer.failed()
        self._line.give_up("PostgreSQL does not answer")
        await asyncio.sleep(RETRY_PAUSE_S)

    async def _give_up_while_stuck(self) -> None:
        """Refuse changes that have waited as long as any may while there is no connection."""
        while True:
            await asyncio.sleep(RETRY_PAUSE_S)
            if self._line and self._session is None:
                self._line.give_up("PostgreSQL does not answer")

    async def _commit(self, session: PostgresSession, batch: list[Waiting]) -> None:
        if not batch:
            return
        started_ns = time.monotonic_ns()
        try:
            async with asyncio.timeout(self._settings.wait_s):
                # Whatever the server's default is: what was locked by others is read again when they are done.
                await session.connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
                changes = [waiting.change for waiting in batch]
                await session.lock_keys(changes)
                answers = await apply_batch(session, changes)
                await asyncio.sleep(self._settings.stall_s())
                await session.connection.execute("COMMIT")
        except Exception as error:
            # Whatever it was, a defect of ours too: the writer must live on, and no change may wait for ever.
            await self._fail(session, batch, error)
            return
        self._observer.committed(len(answers), (time.monotonic_ns() - started_ns) / 1e9)
        deliver(batch, answers)

    async def _fail(self, session: PostgresSession, batch: list[Waiting], error: Exception) -> None:
        if isinstance(error, AGAIN) and await self._is_undone(session):
            self._line.put_first(batch)
            return
        # Whatever state the connection is in, a new one has none.
        self._drop_connection()
        is_ours = not isinstance(error, FAILURES) or isinstance(error, REFUSED)
        if is_ours:
            log.error("a batch failed", exc_info=error)
            if len(batch) > 1:
                self._line.put_first(batch, singly=True)
                return
        self._observer.failed()
        kind = StoreFullError if isinstance(error, FULL) else StoreUnavailableError
        deliver(batch, [kind(f"PostgreSQL cannot be written: {error!r}") for _ in batch])

    async def _is_undone(self, session: PostgresSession) -> bool:
        try:
            async with asyncio.timeout(self._settings.wait_s):
                await session.connection.execute("ROLLBACK")
        except Exception:
            return False
        return True

    def _drop_connection(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            with contextlib.suppress(Exception):
                session.connection.terminate()
