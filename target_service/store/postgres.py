"""PostgreSQL: several service machines on one database.

Each process has one connection that writes and a few that read. A commit is on disk when PostgreSQL says so
(`synchronous_commit` is the server's, but never off). When the connection breaks while a commit is under way its fate
is unknown: the callers are told so (FateUnknownError) and find out by trying again under their key. The connection is
made anew when it is lost; until then changes wait, at most `wait_s`.
"""

# ruff: noqa: S608 - only our own table names are put into statements; values are bound

import asyncio
import contextlib
import struct
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg
import asyncpg.protocol

from target_service.orders import Purchase
from target_service.parcels import ParcelChange
from target_service.store.base import (
    Change,
    FateUnknownError,
    Session,
    StoreFullError,
    StoreOpenError,
    StoreUnavailableError,
    T,
    names_of,
)
from target_service.store.changes import apply_batch
from target_service.store.store import AgainError, Committed, Store
from target_service.store.tables import are_missing, schema

READERS = 4
SCHEMA_VERSION = 5
"""What table `schema_version` says of a database that has these tables."""
WORDS = {
    "big": "bigint",
    "number": "bigserial PRIMARY KEY",
    "time": "timestamptz",
    "hot": " WITH (fillfactor = 50)",
    "keyed_by": "",
}
SCHEMA_LOCK = 0x0_5EED
"""Any number will do, as long as no other program uses it in the same database."""
BY_INDEX = "SET enable_seqscan = off; SET enable_bitmapscan = off; SET jit = off"
"""Every statement of the writer's goes by an index. Without statistics, of tables that are minutes old, the planner
would read all that is due for each chunk of a sweep, and sort it: of 200,000 due orders, in chunks of 1,500, a
CPU-second of the server's cancelled 28,000; by the index 54,000, however many are due. The clock's one row is read in
any case, and must not be thought so costly that its plan is compiled."""
LONGEST_SCHEMA_S = 60.0
FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)
FULL = (asyncpg.DiskFullError, asyncpg.OutOfMemoryError)
AGAIN = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
REFUSED = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)
"""One change is not as the database wants it; the others of its batch may be."""
MISCONFIGURED = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ClientConfigurationError,
    ValueError,
)


def _reason_of(error: Exception) -> str:
    """What one of `MISCONFIGURED` tells, without a piece of the address that may be one of its password."""
    if isinstance(error, ValueError) and not isinstance(error, asyncpg.ClientConfigurationError):
        return (
            "expected a number for the port (a password has its / ? # and @ written as %2F %3F %23 and %40)"
        )
    return str(error)


def _has_undone(error: Exception) -> bool:
    """Whether the server itself says that it has undone a transaction, whose connection and process live on.

    Errors do that, and nothing graver (PostgreSQL's documentation, "Message Severity Levels"). asyncpg's own have no
    severity.
    """
    return getattr(error, "severity_en", None) == "ERROR"


class WatchedProtocol(asyncpg.protocol.Protocol):  # type: ignore[misc]  # asyncpg has no types
    """asyncpg's side of one connection, which a message of an impossible length ends.

    asyncpg 0.31 and 0.32 read a message shorter than its own length field for ever, without giving the event loop
    back. What stands on the database's port by mistake may send such a thing: 64 zero bytes will do.
    """

    _HEAD = struct.Struct(">xi")
    """A message's kind, and its length without that (PostgreSQL's documentation, "Message Formats")."""
    _transport: asyncio.Transport
    _begun = b""
    """The first bytes of a head that has not come whole."""
    _to_come = 0
    """How many bytes are left of the message that has begun."""

    def connection_made(self, transport: Any) -> None:
        """The connection is there."""
        self._transport = transport
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Bytes have come: for asyncpg, if they can be messages."""
        seen, at = self._begun + data, self._to_come
        while at + self._HEAD.size <= len(seen):
            (length,) = self._HEAD.unpack_from(seen, at)
            if length < 4:  # it counts itself
                self._transport.abort()
                return
            at += 1 + length
        self._begun, self._to_come = seen[at:], max(0, at - len(seen))
        super().data_received(data)


asyncpg.protocol.Protocol = WatchedProtocol  # asyncpg takes no protocol of its user's


class PostgresSession:
    """One connection; see `base.Session`."""

    locked = " FOR UPDATE"
    unlocked_only = " FOR UPDATE SKIP LOCKED"

    def __init__(self, connection: Any, initial_units: int) -> None:
        self.connection = connection
        self.initial_units = initial_units

    async def fetch(self, sql: str, *arguments: object) -> Sequence[Sequence[Any]]:
        rows: list[Sequence[Any]] = await self.connection.fetch(sql, *arguments)
        return rows

    async def fetch_many(self, columns: str, source: str, *arguments: object) -> Sequence[Sequence[Any]]:
        return await self.fetch(f"SELECT {columns} {source}", *arguments)

    async def execute(self, sql: str, *arguments: object) -> int:
        tag: str = await self.connection.execute(sql, *arguments)
        return int(tag.rsplit(" ", 1)[1])  # such as `UPDATE 5`

    async def with_rows(self, columns: str, rows: Sequence[Sequence[object]], statement: str) -> None:
        if rows:
            kinds = [column.split()[1] for column in columns.split(",")]
            arrays = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(kinds, 1))
            new = f"WITH new ({names_of(columns)}) AS (SELECT * FROM unnest({arrays}))"
            await self.connection.execute(f"{new} {statement}", *map(list, zip(*rows, strict=True)))

    def among(self, place: int, kind: str = "bigint") -> str:
        return f"= ANY(${place}::{kind}[])"

    def listed(self, values: Sequence[object]) -> object:
        return values


async def lock_keys(session: PostgresSession, batch: Sequence[Change]) -> None:
    """Have every key of a batch to itself: what another machine stores under one is unseen until it commits."""
    keys = [
        f"{change.run_id} {change.key}"
        for change in batch
        if isinstance(change, Purchase | ParcelChange) and change.key is not None
    ]
    if keys:
        await session.fetch(
            "SELECT pg_advisory_xact_lock(lock) FROM (SELECT DISTINCT hashtextextended(key, 0) AS lock"
            " FROM unnest($1::text[]) AS key ORDER BY lock) AS sorted",
            keys,
        )


async def prepare(connection: Any) -> None:
    """Make the tables, unless they are there; one machine at a time. Raises StoreOpenError and asyncpg's errors."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", SCHEMA_LOCK, timeout=LONGEST_SCHEMA_S)
        await connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version integer NOT NULL)")
        version = await connection.fetchval("SELECT max(version) FROM schema_version") or 0
        if are_missing(version, SCHEMA_VERSION):
            await connection.execute(schema(**WORDS), timeout=LONGEST_SCHEMA_S)
            await connection.execute("INSERT INTO schema_version VALUES ($1)", SCHEMA_VERSION)


class PostgresStore(Store):
    """A store in one database, to which this process has a connection that writes and some that read."""

    busy = "PostgreSQL does not answer"
    _session: PostgresSession | None = None

    async def _connect(self) -> int:
        try:
            await self._open_connections()
        except MISCONFIGURED as error:
            raise StoreOpenError(f"cannot open the PostgreSQL store: {_reason_of(error)}") from error
        except FAILURES as error:
            raise StoreUnavailableError(f"PostgreSQL does not answer: {error}") from error
        return self._writer_id

    async def _open_connections(self) -> None:
        """The one that writes and those that read; where these fail, neither is left."""
        wait_s = self._settings.wait_s
        self._session = await self._open_session()
        try:
            self._readers = await asyncpg.create_pool(
                self._settings.dsn, min_size=1, max_size=READERS, command_timeout=wait_s, timeout=wait_s
            )
        except BaseException:
            self._drop_connection()
            raise

    async def _disconnect(self) -> None:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(self._settings.wait_s):
                await self._readers.close()
        self._readers.terminate()
        self._drop_connection()

    async def _look_up(self, look_up: Callable[[Session], Awaitable[T]]) -> T:
        async with self._readers.acquire(timeout=self._settings.wait_s) as reader:
            return await look_up(PostgresSession(reader, self._settings.initial_units))

    async def _open_session(self) -> PostgresSession:
        """A connection that writes, to a database that has its tables."""
        wait_s = self._settings.wait_s
        connection = await asyncpg.connect(self._settings.dsn, timeout=wait_s, command_timeout=wait_s)
        try:
            # The first time there may be tables to make, or another machine makes them, for as long as that takes.
            async with asyncio.timeout(wait_s if self._writer_id else None):
                # Set for the session, so that no later change of the server's settings reaches it.
                asked = await connection.fetchval("SHOW synchronous_commit")
                await connection.execute(f"SET synchronous_commit = {'on' if asked == 'off' else asked}")
                await connection.execute(BY_INDEX)
                await prepare(connection)
                if not self._writer_id:
                    self._writer_id = await connection.fetchval(
                        "INSERT INTO writers (started_at) VALUES (CURRENT_TIMESTAMP) RETURNING writer_id"
                    )
        except BaseException:
            connection.terminate()
            raise
        return PostgresSession(connection, self._settings.initial_units)

    async def _commit(self) -> Committed:
        line, is_ending = self._line, False
        try:
            if self._session is None or self._session.connection.is_closed():
                self._drop_connection()
                self._session = await self._open_session()
            session, began_s = self._session, time.monotonic()
            async with asyncio.timeout(self._settings.wait_s):
                # Whatever the server's default is: what was locked by others is read again when they are done.
                await session.connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
                batch = line.begin()
                await lock_keys(session, batch)
                answers = await apply_batch(session, batch)
                await asyncio.sleep(self._settings.stall_s())
                is_ending = True
                await session.connection.execute("COMMIT")
        except Exception as error:
            raise await self._undo(error, has_begun=bool(line.under_way), is_ending=is_ending) from error
        return Committed(answers, time.monotonic() - began_s)

    async def _undo(self, error: Exception, *, has_begun: bool, is_ending: bool) -> Exception:
        """Undo the transaction, if it `is_ending` unless that is done; the error to raise for it."""
        if isinstance(error, AGAIN) and self._session is not None:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(self._settings.wait_s):
                    await self._session.connection.execute("ROLLBACK")
                    return AgainError(str(error))
        # Whatever state the connection is in, a new one has none.
        self._drop_connection()
        if is_ending and not _has_undone(error):
            return FateUnknownError(f"PostgreSQL does not say whether it has written: {error!r}")
        if not has_begun:
            return StoreUnavailableError(f"PostgreSQL does not answer as it should: {error!r}")
        if isinstance(error, FAILURES) and not isinstance(error, REFUSED):
            kind = StoreFullError if isinstance(error, FULL) else StoreUnavailableError
            return kind(f"PostgreSQL cannot be written: {error!r}")
        return error

    def _drop_connection(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            with contextlib.suppress(Exception):
                session.connection.terminate()
