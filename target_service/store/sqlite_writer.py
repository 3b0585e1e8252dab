"""The thread that writes to SQLite: one a process, a batch a transaction.

It waits for a change, takes the write lock, and only then takes everything that is waiting: the batch grows
by itself while the lock or the disk is busy. A commit (`synchronous=FULL`) has reached the disk before anyone
is answered. Only this thread ever gives up on a change, so that no one is told "unavailable" about one that
is being written.
"""

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Sequence

from target_service.orders import Purchase
from target_service.store.base import (
    Change,
    CommitObserver,
    StoreFullError,
    StoreSettings,
    StoreUnavailableError,
)
from target_service.store.group_commit import LARGEST_BATCH, Answer, Waiting, deliver, sort_out, too_late
from target_service.store.sqlite_batch import apply_purchases
from target_service.store.sqlite_changes import apply_change
from target_service.store.sqlite_schema import is_locked

log = logging.getLogger("orders.store")

LOCK_POLL_S = 0.0003
"""How often a lock held by another worker is tried; a commit takes a few milliseconds."""


class Writer:
    """The thread that commits batches."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        settings: StoreSettings,
        observer: CommitObserver,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._wait_ns = int(settings.wait_s * 1e9)
        self._observer = observer
        self._loop = loop
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._waiting: list[Waiting] = []
        self._finishing = False
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def hand_over(self, waiting: Waiting) -> None:
        """Add a change to the line; any thread may."""
        self._queue.put(waiting)

    def finish(self) -> None:
        """Commit everything handed over, then end the thread and close the connection."""
        self._queue.put(None)
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        while self._wait_for_work():
            try:
                if self._take_lock():
                    self._commit(self._next_batch())
            except sqlite3.Error as error:
                self._refuse(self._next_batch(), error)

    def _wait_for_work(self) -> bool:
        """Block until someone waits; False when all is done and the store closes."""
        while not self._waiting:
            if self._finishing and self._queue.empty():
                return False
            self._take(self._queue.get())
        return True

    def _take(self, waiting: Waiting | None) -> None:
        if waiting is None:
            self._finishing = True
        else:
            self._waiting.append(waiting)

    def _take_all(self) -> None:
        while not self._queue.empty():
            self._take(self._queue.get())

    def _take_lock(self) -> bool:
        """Take SQLite's write lock; False if everyone who waited was given up meanwhile."""
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if not is_locked(error):
                    raise
                if not self._give_up_on_late():
                    return False
                time.sleep(LOCK_POLL_S)
            else:
                return True

    def _give_up_on_late(self) -> bool:
        """Refuse those who are late, or waited too long for the lock; whether anyone still waits."""
        self._take_all()
        now_ns = time.monotonic_ns()
        present, late = sort_out(self._waiting, now_ns)
        self._answer(late, too_late(late))
        too_old_ns = now_ns - self._wait_ns
        old = [waiting for waiting in present if waiting.handed_ns <= too_old_ns]
        self._waiting = [waiting for waiting in present if waiting.handed_ns > too_old_ns]
        if old:
            self._observer.failed()
            self._answer(old, [StoreUnavailableError("another process holds the store's lock") for _ in old])
        return bool(self._waiting)

    def _next_batch(self) -> list[Waiting]:
        self._take_all()
        batch, late = sort_out(self._waiting[:LARGEST_BATCH], time.monotonic_ns())
        self._waiting = self._waiting[LARGEST_BATCH:]
        self._answer(late, too_late(late))
        return batch

    def _commit(self, batch: list[Waiting]) -> None:
        if not batch:
            self._connection.execute("ROLLBACK")
            return
        started_ns = time.monotonic_ns()
        try:
            answers = self._apply([waiting.change for waiting in batch])
            time.sleep(self._settings.stall_s())
            self._connection.execute("COMMIT")
        except Exception as error:
            # Whatever it was, a defect of ours too: this thread must live on, and nobody may wait for ever.
            self._refuse(batch, error)
            return
        self._observer.committed(len(answers), (time.monotonic_ns() - started_ns) / 1e9)
        self._answer([batch[place] for place in answers], list(answers.values()))
        self._waiting[:0] = [waiting for place, waiting in enumerate(batch) if place not in answers]
        if self._settings.shared:
            # Let another worker have the lock: twice its polling interval, or it would starve.
            time.sleep(2 * LOCK_POLL_S)

    def _apply(self, batch: Sequence[Change]) -> dict[int, Answer]:
        """Make the changes of a batch; answers by place, none for those put off."""
        answers = apply_purchases(self._connection, batch, self._settings.initial_units)
        for place, change in enumerate(batch):
            if not isinstance(change, Purchase):
                answers[place] = apply_change(self._connection, change, self._settings.initial_units)
        return answers

    def _refuse(self, batch: list[Waiting], error: Exception) -> None:
        if not isinstance(error, sqlite3.Error):
            log.error("a batch failed", exc_info=error)
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        self._observer.failed()
        is_full = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL
        kind = StoreFullError if is_full else StoreUnavailableError
        self._answer(batch, [kind(f"the store cannot be written: {error}") for _ in batch])

    def _answer(self, batch: Sequence[Waiting], answers: Sequence[Answer]) -> None:
        if batch:
            self._loop.call_soon_threadsafe(deliver, batch, answers)
