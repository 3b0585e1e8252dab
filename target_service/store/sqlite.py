"""SQLite: one file shared by all workers, every order on disk before it is acknowledged (`synchronous=FULL`).

Writes are made in one thread a process. Reads are made on the event loop: with the log, SQLite's readers wait for no
lock, and a look-up by primary key takes about as long as handing it to a thread. A connection that failed oddly, or
whose file is no longer the one at its path, is opened anew.
"""

import asyncio
import contextlib
import ctypes
import sqlite3
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

from target_service.store.base import (
    CommitObserver,
    FateUnknownError,
    Session,
    StoreFullError,
    StoreOpenError,
    StoreSettings,
    StoreUnavailableError,
    T,
)
from target_service.store.changes import apply_batch
from target_service.store.sqlite_file import FileMovedError, OpenFile, check_whole, count_on
from target_service.store.sqlite_session import SqliteSession, at_once
from target_service.store.store import Committed, Line, Store
from target_service.store.tables import are_missing, schema

OPEN_WAIT_S = 5.0
"""Longest wait for other processes that open the file at the same time."""
LOCK_POLL_S = 0.0003
"""How often a lock held by another worker is tried; a commit takes a few milliseconds."""
REOPEN_PAUSE_S = 0.05
CHECK_AGAIN_S = 0.05
"""The file is looked at after each commit; before one, too, if that was longer ago."""
COUNT_EVERY_S = 1.0
"""How often a commit makes the file older (`sqlite_file.count_on`): two statements and one page more."""
CHECKPOINT_PAGES = 4000
"""Pages (4 KiB) of log after which a commit folds it into the database: 16 MB, rare enough not to cost
throughput, small enough that the fold stays below a few tens of milliseconds."""
CACHE_KIB = 4096
"""SQLite's page cache of one connection. Every order adds pages that are not looked at again, so any cache fills up;
this one is full before 54,000 orders, and memory is flat from then on, as a soak's `drift == 0` expects. 8 and 64 MiB
made hardly more orders a CPU-second: what falls out is still in the kernel's page cache."""
SCHEMA_VERSION = 3
"""`PRAGMA user_version` of a file that has these tables."""
WORDS = {
    "big": "INTEGER",
    "number": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "time": "TEXT",
    "hot": " WITHOUT ROWID",
    "keyed_by": " WITHOUT ROWID",
}
LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
ORDINARY = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_CONSTRAINT, *LOCKED)
"""Errors after which the connection is as good as before, and a COMMIT has not been done.

After any other, such as of a sync, the log may hold all of the transaction; whoever opens the file next may find it.
"""


def database_path(dsn: str) -> Path:
    """The file of `sqlite:///relative.db` or `sqlite:////absolute.db`."""
    return Path(unquote(urlsplit(dsn).path[1:]))


def synchronous_of(dsn: str) -> str:
    """How commits are synced: `?synchronous=` of the DSN, FULL without it.

    Anything less loses acknowledged orders in a power cut; it is there to show that the drills notice.
    Raises StoreOpenError.
    """
    asked = parse_qs(urlsplit(dsn).query).get("synchronous", ["FULL"])[-1].upper()
    if asked not in ("FULL", "NORMAL", "OFF"):
        raise StoreOpenError(f"synchronous={asked}: expected FULL, NORMAL or OFF")
    return asked


def connect(path: Path, *, may_create: bool = True) -> sqlite3.Connection:
    """A connection in autocommit mode (transactions are explicit) that reports a lock at once, for any thread."""
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={'rwc' if may_create else 'rw'}",
        uri=True,
        timeout=0,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=512,
    )
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    return connection


def prepare(connection: sqlite3.Connection, synchronous: str) -> None:
    """Switch to the write-ahead log, and make tables that are missing. Raises StoreOpenError, sqlite3.Error."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("BEGIN IMMEDIATE")  # of processes that open one file together, one makes them
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if are_missing(version, SCHEMA_VERSION):
        for statement in schema(**WORDS).split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")


def retry_while_locked(action: Callable[[], T], wait_s: float) -> T:
    """Repeat an action while another process holds the lock, for at most `wait_s`; then raise its error."""
    until_s = time.monotonic() + wait_s
    while True:
        try:
            return action()
        except sqlite3.OperationalError as error:
            if _code(error) not in LOCKED or time.monotonic() > until_s:
                raise
            time.sleep(0.005)


def _code(error: Exception) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


class SqliteStore(Store):
    """A store in one file, to which this process has two connections."""

    busy = "another process has locked the database"

    def __init__(self, settings: StoreSettings, *observers: CommitObserver) -> None:
        super().__init__(settings, *observers)
        self._path = database_path(settings.dsn)
        self._session: SqliteSession
        self._reader: SqliteSession
        self._harm: Exception | None = None
        """Why the connection must be opened anew; None while it works."""
        self._counted_s = self._checked_s = self._ended_s = 0.0

    async def _connect(self) -> int:
        # In a thread: another process may hold the lock, and meanwhile the event loop must show that it lives.
        self._thread = ThreadPoolExecutor(1, "store-writer")
        self._writer_id = 0
        try:
            await self._in_thread(retry_while_locked, self._open_file, OPEN_WAIT_S)
        except sqlite3.Error as error:
            raise StoreOpenError(f"cannot open {self._path}: {error}") from error
        return self._writer_id

    async def _disconnect(self) -> None:
        await self._in_thread(self._close_file)
        self._reader.connection.close()
        self._thread.shutdown(wait=False)

    async def _commit(self) -> Committed:
        return await self._in_thread(self._commit_batch, self._line)

    async def _look_up(self, look_up: Callable[[Session], Awaitable[T]]) -> T:
        return await look_up(self._reader)

    def _in_thread(self, action: Callable[..., T], *arguments: object) -> "asyncio.Future[T]":
        return asyncio.get_running_loop().run_in_executor(self._thread, action, *arguments)

    def _open_file(self) -> None:
        """Connect to what is at the path now; only the first time may it be made. Raises sqlite3.Error."""
        may_create = not self._writer_id
        with contextlib.ExitStack() as on_error:
            writer = on_error.enter_context(contextlib.closing(connect(self._path, may_create=may_create)))
            prepare(writer, synchronous_of(self._settings.dsn))
            reader = on_error.enter_context(contextlib.closing(connect(self._path, may_create=may_create)))
            reader.execute("PRAGMA query_only = ON")
            # Written in any case: from now on the log is there, and can be watched.
            ((number,),) = writer.execute(
                "INSERT INTO writers (writer_id, started_at) VALUES (?, CURRENT_TIMESTAMP)"
                " ON CONFLICT (writer_id) DO UPDATE SET proofs = proofs + 1 RETURNING writer_id",
                (self._writer_id or None,),
            ).fetchall()
            file = OpenFile(self._path)
            on_error.pop_all()
        if self._writer_id:
            # Never closed: at their end SQLite would delete the log at the path, which is the new database's by now.
            for session in (self._session, self._reader):
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(session.connection))
        self._session, self._reader = (
            SqliteSession(connection, self._settings.initial_units) for connection in (writer, reader)
        )
        self._writer_id, self._file = number, file

    def _close_file(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._file.check()
            self._session.connection.close()

    def _commit_batch(self, line: Line) -> Committed:
        is_ending = False
        try:
            if not self._has_begun(line):
                return Committed((), 0.0)
            began_s = time.monotonic()
            answers = at_once(apply_batch(self._session, line.begin()))
            if stall_s := self._settings.stall_s():
                time.sleep(stall_s)  # which would, for nothing too, let go of the interpreter lock
            if began_s - self._counted_s >= COUNT_EVERY_S:
                count_on(self._session.connection)
                self._counted_s = began_s
            is_ending = True
            self._session.connection.execute("COMMIT")
            self._file.check()
        except Exception as error:
            if not line.under_way:
                line.begin()  # what waits is refused at once: it would wait for nothing
            raise self._undo(error, is_ending=is_ending) from error
        self._ended_s = self._checked_s = time.monotonic()
        return Committed(answers, self._ended_s - began_s)

    def _has_begun(self, line: Line) -> bool:
        """Take the write lock; False if all that waited were given up meanwhile."""
        if self._harm:
            self._open_again()
        if time.monotonic() - self._checked_s > CHECK_AGAIN_S:
            self._file.check()
        # Another worker must have had time for the lock: twice its polling interval, or it would starve.
        early_s = self._ended_s + 2 * LOCK_POLL_S - time.monotonic()
        if self._settings.shared and early_s > 0:
            time.sleep(early_s)
        while line:
            try:
                self._session.connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if _code(error) not in LOCKED:
                    raise
                time.sleep(LOCK_POLL_S)
            else:
                return True
        return False

    def _open_again(self) -> None:
        time.sleep(REOPEN_PAUSE_S)
        retry_while_locked(self._open_file, self._settings.wait_s)
        if isinstance(self._harm, FileMovedError):
            check_whole(self._session.connection)
        self._harm = None

    def _undo(self, error: Exception, *, is_ending: bool) -> Exception:
        """Undo the transaction, if it `is_ending` unless that is done; the error to raise for it."""
        if isinstance(error, FileMovedError):
            self._harm = error
        elif isinstance(error, sqlite3.Error) and _code(error) not in ORDINARY:
            self._harm = self._harm or error
        try:
            if self._session.connection.in_transaction:
                self._session.connection.execute("ROLLBACK")
        except sqlite3.Error as worse:
            self._harm = self._harm or worse
        kind = StoreFullError if _code(error) == sqlite3.SQLITE_FULL else StoreUnavailableError
        if is_ending and _code(error) not in ORDINARY:
            kind = FateUnknownError
        elif not isinstance(error, sqlite3.OperationalError):
            return error
        why = self._harm or error
        return kind(str(why) if isinstance(why, FileMovedError) else f"the store cannot be written: {why}")
