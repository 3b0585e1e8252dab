"""What happens inside one transaction of many changes, whichever database it is: the rules, without the SQL.

Changes wait in a line until the store begins a transaction, then all of them go into it (`LARGEST_BATCH` at
most). Of the purchases among them, a plan is made from two reads (which keys are known already, how many
units are left); it yields the rows to write and everyone's answer.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from target_service.idempotency import KeyReusedError
from target_service.inventory import take_units
from target_service.orders import Order, Purchase, Receipt
from target_service.parcels import (
    OutOfOrderError,
    ParcelExistsError,
    TooManyEventsError,
    UnknownParcelError,
)
from target_service.payments import PaymentRefusedError, UnknownOrderError, WrongAmountError
from target_service.store.base import (
    CancelUnpaid,
    Change,
    DeadlineError,
    ExpireKeys,
    PurgeRun,
    Restock,
    Result,
    StoreUnavailableError,
    Tick,
)

LARGEST_BATCH = 1024
TOO_LATE = "the deadline passed before the work was begun"

RULES = (
    KeyReusedError,
    OutOfOrderError,
    ParcelExistsError,
    PaymentRefusedError,
    TooManyEventsError,
    UnknownOrderError,
    UnknownParcelError,
    WrongAmountError,
)
"""What a change may be refused with; each is raised before anything is written."""

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


def sort_out(line: Iterable[Waiting], now_ns: int) -> tuple[list[Waiting], list[Waiting]]:
    """The changes that are still wanted, and those that are too late; those whose caller is gone are in neither."""
    present = [waiting for waiting in line if not waiting.answer.done()]
    late = [waiting for waiting in present if waiting.is_late(now_ns)]
    if not late:
        return present, late
    return [waiting for waiting in present if not waiting.is_late(now_ns)], late


def deliver(batch: Sequence[Waiting], answers: Iterable[Answer]) -> None:
    """Give changes their answers; must run on their event loop."""
    for waiting, answer in zip(batch, answers, strict=True):
        if waiting.answer.done():
            continue
        if isinstance(answer, Exception):
            waiting.answer.set_exception(answer)
        else:
            waiting.answer.set_result(answer)


ALONE = (CancelUnpaid, ExpireKeys, PurgeRun, Restock, Tick)
"""Changes that have a transaction to themselves: each locks in an order of its own, or holds many rows."""


class Line:
    """Changes that wait for their transaction, and which of them go into it together."""

    def __init__(self, wait_s: float, tell: Callable[[Sequence[Waiting], Sequence[Answer]], None]) -> None:
        self._wait_ns = int(wait_s * 1e9)
        self._tell = tell
        self._waiting: list[Waiting] = []
        self._singles = 0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def join(self, handed: Sequence[Waiting]) -> None:
        """Add some at the end."""
        self._waiting += handed

    def put_first(self, batch: Sequence[Waiting], *, singly: bool = False) -> None:
        """Add some at the front again; `singly`: one by one, to find the one that failed all of them."""
        self._waiting[:0] = batch
        if singly:
            self._singles = len(batch)

    def next_batch(self) -> list[Waiting]:
        """Take what goes into one transaction; may be empty. Those that are too late are told so."""
        window = 1 if self._singles else LARGEST_BATCH
        self._singles = max(0, self._singles - 1)
        taken, self._waiting = self._waiting[:window], self._waiting[window:]
        batch, late = sort_out(taken, time.monotonic_ns())
        self._tell(late, [DeadlineError(TOO_LATE) for _ in late])
        if len(batch) > 1 and any(isinstance(waiting.change, ALONE) for waiting in batch):
            head = isinstance(batch[0].change, ALONE)
            together = batch[:1] if head else [one for one in batch if not isinstance(one.change, ALONE)]
            rest = batch[1:] if head else [one for one in batch if isinstance(one.change, ALONE)]
            self._waiting[:0] = rest
            return together
        return batch

    def give_up(self, why: str) -> int:
        """Refuse changes that waited as long as any may, or whose deadline has passed; how many the former were."""
        now_ns = time.monotonic_ns()
        present, late = sort_out(self._waiting, now_ns)
        self._tell(late, [DeadlineError(TOO_LATE) for _ in late])
        too_old_ns = now_ns - self._wait_ns
        old = [waiting for waiting in present if waiting.handed_ns <= too_old_ns]
        self._waiting = [waiting for waiting in present if waiting.handed_ns > too_old_ns]
        self._tell(old, [StoreUnavailableError(why) for _ in old])
        return len(old)


class Pending:
    """All changes that wait for a store: none waits for ever where a disk or a database hangs."""

    def __init__(self, wait_s: float) -> None:
        self._bound_s = 2 * wait_s
        self._waiting: dict[asyncio.Future[Result], int] = {}

    async def hand_over(
        self, change: Change, deadline_ns: int | None, hand_over: Callable[[Waiting], None]
    ) -> Any:
        """Hand a change over and wait for its answer. Raises DeadlineError if it is too late already."""
        now_ns = time.monotonic_ns()
        if deadline_ns is not None and deadline_ns <= now_ns:
            raise DeadlineError(TOO_LATE)
        answer = asyncio.get_running_loop().create_future()
        self._waiting[answer] = now_ns
        hand_over(Waiting(change, answer, now_ns, deadline_ns))
        try:
            return await answer
        finally:
            del self._waiting[answer]

    async def watch(self) -> None:
        """Tell changes that wait too long that the store does not answer, until cancelled.

        What is under way by then may still be made: they find out by trying again under their key.
        """
        while True:
            await asyncio.sleep(min(0.25, self._bound_s / 4))
            too_old_ns = time.monotonic_ns() - int(self._bound_s * 1e9)
            for answer, handed_ns in list(self._waiting.items()):
                if handed_ns > too_old_ns:
                    break
                if not answer.done():
                    answer.set_exception(StoreUnavailableError("the store does not answer"))


class Plan(NamedTuple):
    """What to write for one run's share of a batch, and what to answer."""

    new: list[Purchase]
    answers: dict[int, Answer]


Placed = tuple[int, Purchase]
"""A purchase, and its place in its batch."""


def by_run(batch: Iterable[Change]) -> dict[str, list[Placed]]:
    """The purchases of a batch, split by run."""
    runs: dict[str, list[Placed]] = {}
    for place, purchase in enumerate(batch):
        if isinstance(purchase, Purchase):
            runs.setdefault(purchase.run_id, []).append((place, purchase))
    return runs


def keys_of(share: Iterable[Placed]) -> list[str]:
    """The keys of these purchases."""
    return [purchase.key for _, purchase in share if purchase.key is not None]


def known_purchases(run_id: str, rows: Iterable[Sequence[Any]]) -> dict[str, Purchase]:
    """What keys belong to: rows of key and order; one without lines is of a request that bought nothing."""
    known: dict[str, Purchase] = {}
    for key, *columns in sorted(rows, key=lambda row: row[2]):
        order = Order(*columns)
        before = known[key].orders if key in known else ()
        known[key] = Purchase(run_id, key, (*before, order) if order.lines is not None else (), {})
    return known


def plan(share: Iterable[Placed], known: Mapping[str, Purchase], left: dict[int, int]) -> Plan:
    """Decide one run's share: replay keys that are known, or become so; the others take from `left` in turn.

    `left` is units by product number.
    """
    decided, stored_by_key = Plan([], {}), dict(known)
    for place, purchase in share:
        stored = stored_by_key.get(purchase.key or "")
        if stored is not None:
            decided.answers[place] = _replay(purchase, stored)
            continue
        sold_out = take_units(purchase.quantities, left)
        if sold_out is not None:
            decided.answers[place] = sold_out
            continue
        decided.new.append(purchase)
        if purchase.key is not None:
            stored_by_key[purchase.key] = purchase
        decided.answers[place] = Receipt(purchase.orders, False)
    return decided


def _replay(purchase: Purchase, stored: Purchase) -> Receipt | KeyReusedError:
    if purchase.is_same_as(stored):
        return Receipt(stored.orders, True)
    return KeyReusedError(f"Idempotency-Key {purchase.key} belongs to another request")
