"""The store: one line of changes, one writer that makes them durable, a batch a transaction, on either database.

The writer waits for a change, has the database begin a transaction, and only then takes everything that waits: the
batch grows by itself while the lock or the disk is busy. Whatever fails, the writer lives on: what a database says of
itself (StoreUnavailableError) is told to the batch's callers, and once to the log; anything else is a defect of one
change, or ours, so the batch is done again one by one, and only the one that fails alone is refused.
"""

import asyncio
import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, NamedTuple

from target_service import problem
from target_service.orders import Order, Purchase
from target_service.parcels import Parcel
from target_service.problem import ProblemError
from target_service.store.base import (
    Answer,
    CancelUnpaid,
    Change,
    CommitObserver,
    ExpireKeys,
    FateUnknownError,
    Proof,
    PurgeRun,
    Restock,
    Result,
    Session,
    StockLevel,
    StoreSettings,
    StoreUnavailableError,
    T,
    Tick,
)
from target_service.store.changes import find_order, find_parcel, find_stock

LARGEST_BATCH = 1024
ALONE = (CancelUnpaid, ExpireKeys, PurgeRun, Restock, Tick)
"""Changes that have a transaction to themselves: each locks in an order of its own, or holds many rows."""


class Waiting(NamedTuple):
    """A change in the line, and the future that gets its answer."""

    change: Change
    answer: "asyncio.Future[Result]"
    handed_ns: int
    """When it joined the line, on the monotonic clock."""
    deadline_ns: int | None

    def is_late(self, now_ns: int) -> bool:
        """Whether its caller's deadline has passed."""
        return self.deadline_ns is not None and self.deadline_ns <= now_ns


def deliver(batch: Iterable[Waiting], answers: Iterable[Answer]) -> None:
    """Give changes their answers, unless they have one; must run on their event loop."""
    for waiting, answer in zip(batch, answers, strict=True):
        if waiting.answer.done():
            continue
        if isinstance(answer, Exception):
            waiting.answer.set_exception(answer)
        else:
            waiting.answer.set_result(answer)


def too_late() -> ProblemError:
    """The refusal of a change whose caller does not wait for it any more."""
    return ProblemError(problem.DEADLINE, "the caller's deadline passed before the work began")


def refuse(changes: Iterable[Waiting], made: Callable[[], Exception]) -> None:
    """Tell changes why they are not made, each by an exception of its own."""
    for waiting in changes:
        deliver([waiting], [made()])


class Line:
    """Changes that wait; any thread may take them away."""

    def __init__(self) -> None:
        self.under_way: list[Waiting] = []
        """What the last transaction has begun with, or begins with again."""
        self._waiting: list[Waiting] = []
        self._late: list[Waiting] = []
        self._singles = 0
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def join(self, waiting: Waiting) -> None:
        """Add one at the end."""
        with self._lock:
            self._waiting.append(waiting)

    def begin(self) -> Sequence[Change]:
        """What goes into one transaction: those whose callers are still there, and not too late."""
        with self._lock:
            now_ns = time.monotonic_ns()
            size = 1 if self._singles else LARGEST_BATCH
            self._singles = max(0, self._singles - 1)
            taken, self._waiting = self._waiting[:size], self._waiting[size:]
            present = [waiting for waiting in taken if not waiting.answer.done()]
            batch = [waiting for waiting in present if not waiting.is_late(now_ns)]
            if len(batch) < len(present):
                self._late += [waiting for waiting in present if waiting.is_late(now_ns)]
            alone = [waiting for waiting in batch if isinstance(waiting.change, ALONE)]
            if alone and len(batch) > 1:
                if batch[0] is alone[0]:
                    batch, rest = batch[:1], batch[1:]
                else:
                    batch, rest = [one for one in batch if not isinstance(one.change, ALONE)], alone
                self._waiting[:0] = rest
            self.under_way = batch
            return [waiting.change for waiting in batch]

    def begin_again(self, *, singly: bool = False) -> None:
        """Put what was under way at the front; `singly`: one by one, to find the one that failed all of them."""
        with self._lock:
            self._waiting[:0] = self.under_way
            self._singles = len(self.under_way) if singly else self._singles
            self.under_way = []

    def give_up(self, wait_s: float, why: str) -> int:
        """Refuse changes that are late, or have waited in the line for too long, or under way for as long again.

        How many waited for too long. What is under way by then may still be made: its callers find out by trying
        again under their key.
        """
        with self._lock:
            now_ns = time.monotonic_ns()
            late, self._late = self._late, []
            there = [
                waiting for waiting in self._waiting if not waiting.answer.done()
            ]  # others' callers are gone
            late += [waiting for waiting in there if waiting.is_late(now_ns)]
            old = _older(there, now_ns - wait_s * 1e9)
            gone = {id(waiting) for waiting in (*late, *old)}
            self._waiting = [waiting for waiting in there if id(waiting) not in gone]
            stuck = _older(self.under_way, now_ns - 2 * wait_s * 1e9)
        refuse(late, too_late)
        refuse(old, lambda: StoreUnavailableError(why))
        refuse(stuck, lambda: FateUnknownError("the store does not answer"))
        return len(old)


def _older(changes: Iterable[Waiting], than_ns: float) -> list[Waiting]:
    return [waiting for waiting in changes if waiting.handed_ns <= than_ns and not waiting.answer.done()]


log = logging.getLogger("orders.store")

LOOK_S = 0.05
"""How often the line is looked through for changes that have waited for too long."""
RETRY_PAUSE_S = 0.05


class AgainError(Exception):
    """Two transactions were in conflict; this one was undone and can be repeated."""


class Committed(NamedTuple):
    """What became of a batch, and how long its transaction took."""

    answers: Sequence[Answer]
    seconds: float


class Store(ABC):
    """Where orders and stock live; see the contract in `store.base`. `sqlite` and `postgres` say how, in theirs."""

    busy: str
    """Why changes wait before a transaction begins."""

    def __init__(self, settings: StoreSettings, *observers: CommitObserver) -> None:
        self._settings = settings
        self._observers = observers
        self._line = Line()
        self._writer_id = 0
        self._said = ""

    @abstractmethod
    async def _connect(self) -> int:
        """Connect, make tables that are missing, and return a writer number no other process has.

        Raises StoreOpenError, or StoreUnavailableError where waiting may help.
        """

    @abstractmethod
    async def _disconnect(self) -> None:
        """Let go of the database."""

    @abstractmethod
    async def _commit(self) -> Committed:
        """Begin a transaction, then write in it the changes that wait in the line.

        Raises StoreUnavailableError, FateUnknownError once it was to be made durable, and AgainError; anything else
        means that a change cannot be made. Nothing is under way if it could not even begin.
        """

    @abstractmethod
    async def _look_up(self, look_up: Callable[[Session], Awaitable[T]]) -> T:
        """Look something up. Raises what the database raises."""

    async def open(self) -> int:
        """Open it, and return a writer number no other process has. Raises StoreOpenError, StoreUnavailableError."""
        self._closing, self._work = False, asyncio.Event()
        self._writer_id = await self._connect()
        self._writer = asyncio.create_task(self._write_until_closed())
        self._watch = asyncio.create_task(self._give_up_on_old())
        return self._writer_id

    async def close(self) -> None:
        """Commit what was handed over, then let go."""
        self._closing = True
        self._work.set()
        await self._writer
        self._watch.cancel()
        self._line.give_up(self._settings.wait_s, "the store closes")  # the writer leaves those that are late
        await self._disconnect()

    async def ping(self) -> None:
        """Make something durable. Raises StoreUnavailableError, also where its fate is unknown: it proves nothing."""
        try:
            await self.write(Proof(self._writer_id))
        except FateUnknownError as error:
            raise StoreUnavailableError(str(error)) from error

    async def write(self, change: Change, deadline_ns: int | None = None) -> Any:
        """Make a change durable; `deadline_ns` is an instant of the monotonic clock. Its answer: see `store.base`.

        Raises StoreUnavailableError, StoreFullError, FateUnknownError; ProblemError as the change's own rules say.
        """
        now_ns = time.monotonic_ns()
        if deadline_ns is not None and deadline_ns <= now_ns:
            raise too_late()
        answer = asyncio.get_running_loop().create_future()
        self._line.join(Waiting(change, answer, now_ns, deadline_ns))
        self._work.set()
        return await answer

    async def order(self, run_id: str, order_id: int) -> Order | None:
        """The order of that number in that run."""
        return await self._read(lambda session: find_order(session, run_id, order_id))

    async def stock(self, run_id: str, sku_no: int) -> StockLevel:
        """Units of the product in that run."""
        return await self._read(lambda session: find_stock(session, run_id, sku_no))

    async def parcel(self, run_id: str, parcel_id: int) -> Parcel | None:
        """The parcel of that number in that run."""
        return await self._read(lambda session: find_parcel(session, run_id, parcel_id))

    async def _read(self, look_up: Callable[[Session], Awaitable[T]]) -> T:
        try:
            return await self._look_up(look_up)
        except Exception as error:
            # Not only the database's own: asyncpg fails in many ways on an answer that is no PostgreSQL's.
            self._note_failure()
            raise StoreUnavailableError(f"the store cannot be read: {error}") from error

    async def _write_until_closed(self) -> None:
        while self._line or not self._closing:
            await self._work.wait()
            self._work.clear()
            while self._line:
                try:
                    committed = await self._commit()
                except Exception as error:
                    await self._fail(error)
                else:
                    self._tell(committed)

    def _tell(self, committed: Committed) -> None:
        batch, self._line.under_way = self._line.under_way, []
        if not batch:
            return
        if self._said:
            self._said = ""
            log.warning("the store can be written again")
        proves = any(isinstance(waiting.change, Purchase | Proof) for waiting in batch)
        for observer in self._observers:
            observer.committed(len(batch), committed.seconds, proves)
        deliver(batch, committed.answers)

    async def _fail(self, error: Exception) -> None:
        batch = self._line.under_way
        if isinstance(error, AgainError):
            self._line.begin_again()
            return
        if not isinstance(error, StoreUnavailableError):
            log.error("writing a batch of changes failed", exc_info=error)
            if len(batch) > 1:
                self._line.begin_again(singly=True)
                return
            error = StoreUnavailableError(f"the store cannot be written: {error!r}")
        elif str(error) != self._said:
            self._said = str(error)
            log.error("%s", error)
        self._note_failure()
        self._line.under_way = []
        refuse(batch, lambda: type(error)(str(error)))
        if not batch:
            await asyncio.sleep(RETRY_PAUSE_S)

    def _note_failure(self) -> None:
        for observer in self._observers:
            observer.failed()

    async def _give_up_on_old(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            why = "the store does not answer" if self._line.under_way else self._said or self.busy
            if self._line.give_up(self._settings.wait_s, why):
                self._note_failure()


def make_store(settings: StoreSettings, *observers: CommitObserver) -> Store:
    """The store that the DSN names, not opened yet."""
    if settings.dsn.startswith("sqlite:"):
        from target_service.store.sqlite import SqliteStore  # noqa: PLC0415

        return SqliteStore(settings, *observers)
    # asyncpg is an extra: only PostgreSQL needs it.
    from target_service.store.postgres import PostgresStore  # noqa: PLC0415

    return PostgresStore(settings, *observers)
