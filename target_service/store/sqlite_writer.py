"""The thread that writes to SQLite: one a process, a batch a transaction.

It waits for a change, takes the write lock, and only then takes everything that is waiting: the batch grows
by itself while the lock or the disk is busy. A commit (`synchronous=FULL`) has reached the disk before anyone
is answered. Whatever fails, the thread lives on; a connection that failed oddly, or whose file is no longer the one
at its path, is opened anew.
"""

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence

from target_service.store.base import (
    CommitObserver,
    StoreFullError,
    StoreSettings,
    StoreUnavailableError,
)
from target_service.store.changes import apply_batch
from target_service.store.group_commit import Answer, Line, Waiting, deliver
from target_service.store.sqlite_file import FileMovedError, OpenFile, check_whole, count_on
from target_service.store.sqlite_schema import is_locked
from target_service.store.sqlite_session import SqliteSession, at_once

log = logging.getLogger("orders.store")

LOCK_POLL_S = 0.0003
"""How often a lock held by another worker is tried; a commit takes a few milliseconds."""
REOPEN_PAUSE_S = 0.05
CHECK_AGAIN_S = 0.05
"""The file is looked at after each commit; before one, too, if that was longer ago."""
COUNT_EVERY_S = 1.0
"""How often a commit makes the file older (`sqlite_file.count_on`): two statements and one page more."""

ORDINARY = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

Opened = tuple[sqlite3.Connection, OpenFile]


class Writer:
    """The thread that commits batches."""

    def __init__(
        self,
        opened: Opened,
        reopen: Callable[[], Opened],
        settings: StoreSettings,
        observer: CommitObserver,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._reopen = reopen
        self._settings = settings
        self._observer = observer
        self._loop = loop
        self._handed: list[Waiting] = []
        """What came in this turn of the event loop."""
        self._queue: queue.SimpleQueue[list[Waiting] | None] = queue.SimpleQueue()
        self._line = Line(settings.wait_s, self._answer)
        self._finishing = False
        self._is_broken = self._was_moved = False
        self._counted_ns = self._checked_ns = 0
        self._use(opened)
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection that it writes on."""
        return self._session.connection

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def hand_over(self, waiting: Waiting) -> None:
        """Add a change to the line, with all others of this turn of the loop: each wakes the thread, which costs."""
        if not self._handed:
            self._loop.call_soon(self.flush)
        self._handed.append(waiting)

    def flush(self) -> None:
        """Give the thread what was handed over in this turn."""
        handed, self._handed = self._handed, []
        self._queue.put(handed)

    def finish(self) -> None:
        """Commit everything flushed, then end the thread and close the connection."""
        self._queue.put(None)
        self._thread.join()
        with contextlib.suppress(sqlite3.Error):
            self._file.check()
            self._session.connection.close()

    def _use(self, opened: Opened) -> None:
        connection, self._file = opened
        self._session = SqliteSession(connection, self._settings.initial_units)

    def _run(self) -> None:
        while self._wait_for_work():
            try:
                if self._is_broken:
                    self._open_again()
                if time.monotonic_ns() - self._checked_ns > CHECK_AGAIN_S * 1e9:
                    self._file.check()
                if self._take_lock():
                    self._commit(self._next_batch())
            except Exception as error:
                # Whatever it was, a defect of ours too: this thread must live on, and no change may wait for ever.
                self._fail(self._next_batch(), error)

    def _open_again(self) -> None:
        time.sleep(REOPEN_PAUSE_S)
        self._use(self._reopen())
        if self._was_moved:
            check_whole(self.connection)
        self._is_broken = self._was_moved = False
        log.warning("the database was opened anew")

    def _wait_for_work(self) -> bool:
        """Block until someone waits; False when all is done and the store closes."""
        while not self._line:
            if self._finishing and self._queue.empty():
                return False
            self._take(self._queue.get())
        return True

    def _take(self, handed: list[Waiting] | None) -> None:
        if handed is None:
            self._finishing = True
        else:
            self._line.join(handed)

    def _take_all(self) -> None:
        while not self._queue.empty():
            self._take(self._queue.get())

    def _take_lock(self) -> bool:
        """Take SQLite's write lock; False if all that waited were given up meanwhile."""
        while True:
            try:
                self._session.connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if not is_locked(error):
                    raise
                self._take_all()
                if self._line.give_up("another process holds the store's lock"):
                    self._observer.failed()
                if not self._line:
                    return False
                time.sleep(LOCK_POLL_S)
            else:
                return True

    def _next_batch(self) -> list[Waiting]:
        self._take_all()
        return self._line.next_batch()

    def _commit(self, batch: list[Waiting]) -> None:
        connection = self._session.connection
        if not batch:
            connection.execute("ROLLBACK")
            return
        started_ns = time.monotonic_ns()
        try:
            answers = at_once(apply_batch(self._session, [waiting.change for waiting in batch]))
            if stall_s := self._settings.stall_s():
                time.sleep(stall_s)  # which would, for nothing too, let go of the interpreter lock
            if started_ns - self._counted_ns >= COUNT_EVERY_S * 1e9:
                count_on(connection)
                self._counted_ns = started_ns
            connection.execute("COMMIT")
            self._file.check()
            self._checked_ns = time.monotonic_ns()
        except Exception as error:
            self._fail(batch, error)
            return
        self._observer.committed(len(answers), (time.monotonic_ns() - started_ns) / 1e9)
        self._answer(batch, answers)
        if self._settings.shared:
            # Let another worker have the lock: twice its polling interval, or it would starve.
            time.sleep(2 * LOCK_POLL_S)

    def _fail(self, batch: list[Waiting], error: Exception) -> None:
        self._undo()
        if not isinstance(error, sqlite3.OperationalError):
            log.error("a batch failed", exc_info=error)
            if len(batch) > 1:
                self._line.put_first(batch, singly=True)
                return
        self._is_broken = self._is_broken or not _is_ordinary(error)
        self._was_moved = self._was_moved or isinstance(error, FileMovedError)
        self._observer.failed()
        is_full = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL
        kind = StoreFullError if is_full else StoreUnavailableError
        self._answer(batch, [kind(f"the store cannot be written: {error}") for _ in batch])

    def _undo(self) -> None:
        connection = self._session.connection
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._is_broken = True

    def _answer(self, batch: Sequence[Waiting], answers: Sequence[Answer]) -> None:
        if batch:
            self._loop.call_soon_threadsafe(deliver, batch, answers)


def _is_ordinary(error: Exception) -> bool:
    """Whether the connection is as good as before: the disk was full, or a change broke a rule of the tables."""
    return not isinstance(error, sqlite3.Error) or getattr(error, "sqlite_errorcode", 0) & 0xFF in ORDINARY
