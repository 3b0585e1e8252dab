"""Changes that wait for a transaction, and which of them go into it together.

They join on the event loop, while the store's writer, in a thread of its own or not, takes them away: whatever waits
when a transaction has begun goes into it, LARGEST_BATCH at most.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from target_service import problem
from target_service.problem import ProblemError
from target_service.store.base import (
    CancelUnpaid,
    Change,
    ExpireKeys,
    PurgeRun,
    Restock,
    Result,
    StoreUnavailableError,
    Tick,
)

LARGEST_BATCH = 1024
ALONE = (CancelUnpaid, ExpireKeys, PurgeRun, Restock, Tick)
"""Changes that have a transaction to themselves: each locks in an order of its own, or holds many rows."""

Answer = Result | Exception
"""What one change is told: its result, or why it was not made."""


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
            late += [waiting for waiting in self._waiting if waiting.is_late(now_ns)]
            old = _older(self._waiting, now_ns - wait_s * 1e9)
            if late or old:
                gone = {id(waiting) for waiting in (*late, *old)}
                self._waiting = [waiting for waiting in self._waiting if id(waiting) not in gone]
            stuck = _older(self.under_way, now_ns - 2 * wait_s * 1e9)
        refuse(late, too_late)
        refuse(old, lambda: StoreUnavailableError(why))
        refuse(stuck, lambda: StoreUnavailableError("the store does not answer"))
        return len(old)


def _older(changes: Iterable[Waiting], than_ns: float) -> list[Waiting]:
    return [waiting for waiting in changes if waiting.handed_ns <= than_ns and not waiting.answer.done()]
