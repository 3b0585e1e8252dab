"""What happens inside one transaction of many changes, whichever database it is: the rules, without the SQL.

Changes wait in a line until the store begins a transaction, then all of them go into it (`LARGEST_BATCH` at
most). Of the purchases among them, a plan is made from two reads (which keys are known already, how many
units are left); it yields the rows to write and everyone's answer. Purchases of one key in one batch are put
off to the next batch, where the first one's order is found.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from target_service.idempotency import KeyReusedError
from target_service.inventory import allot
from target_service.orders import Purchase, Receipt
from target_service.parcels import OutOfOrderError, ParcelExistsError, UnknownParcelError
from target_service.payments import PaymentRefusedError, UnknownOrderError, WrongAmountError
from target_service.store.base import Change, DeadlineError, Result

LARGEST_BATCH = 1024
TOO_LATE = "the deadline passed before the work was begun"

RULES = (
    OutOfOrderError,
    ParcelExistsError,
    PaymentRefusedError,
    UnknownOrderError,
    UnknownParcelError,
    WrongAmountError,
)
"""What a change may be refused with; each is raised before anything is written."""

Answer = Result | Exception
"""What one change is told: its result, or why it was not made."""


class Waiting(NamedTuple):
    """A change in the line, and who waits for it."""

    change: Change
    answer: "asyncio.Future[Result]"
    handed_ns: int
    """When it joined the line, on the monotonic clock."""
    deadline_ns: int | None

    def is_late(self, now_ns: int) -> bool:
        """Whether its caller's deadline has passed."""
        return self.deadline_ns is not None and self.deadline_ns <= now_ns


def joining(change: Change, deadline_ns: int | None) -> Waiting:
    """A change that joins the line now, on the running event loop. Raises DeadlineError if it is too late."""
    waiting = Waiting(change, asyncio.get_running_loop().create_future(), time.monotonic_ns(), deadline_ns)
    if waiting.is_late(waiting.handed_ns):
        raise DeadlineError(TOO_LATE)
    return waiting


def sort_out(line: Iterable[Waiting], now_ns: int) -> tuple[list[Waiting], list[Waiting]]:
    """Those whose work is still wanted, and those who are too late; who has gone away is in neither."""
    present = [waiting for waiting in line if not waiting.answer.cancelled()]
    late = [waiting for waiting in present if waiting.is_late(now_ns)]
    if not late:
        return present, late
    return [waiting for waiting in present if not waiting.is_late(now_ns)], late


def deliver(batch: Sequence[Waiting], answers: Iterable[Answer]) -> None:
    """Wake those who wait; must run on their event loop."""
    for waiting, answer in zip(batch, answers, strict=True):
        if waiting.answer.done():
            continue
        if isinstance(answer, Exception):
            waiting.answer.set_exception(answer)
        else:
            waiting.answer.set_result(answer)


def too_late(late: Sequence[Waiting]) -> list[Answer]:
    """The answers to those who are too late."""
    return [DeadlineError(TOO_LATE) for _ in late]


class Delivery(NamedTuple):
    """A purchase handed to the store, by its place in the caller's list."""

    place: int
    purchase: Purchase

    @property
    def quantities(self) -> Mapping[int, int]:
        """Units wanted of each product number."""
        return self.purchase.quantities


class Plan(NamedTuple):
    """What to write for one run's share of a batch, and what to answer."""

    new: list[Purchase]
    taken: dict[int, int]
    """Units sold of each product number; the one write a product gets."""
    answers: dict[int, Answer]


def by_run(batch: Iterable[Change]) -> dict[str, list[Delivery]]:
    """The purchases of a batch, split by run; the first of each key only (the rest is put off)."""
    runs: dict[str, list[Delivery]] = {}
    seen: set[tuple[str, str]] = set()
    for place, purchase in enumerate(batch):
        if not isinstance(purchase, Purchase):
            continue
        if purchase.key is not None:
            if (purchase.run_id, purchase.key) in seen:
                continue
            seen.add((purchase.run_id, purchase.key))
        runs.setdefault(purchase.run_id, []).append(Delivery(place, purchase))
    return runs


def plan(deliveries: Iterable[Delivery], known: Mapping[str, Purchase], left: dict[int, int]) -> Plan:
    """Decide one run's share: replay `known` keys, allot `left` (units by product number) to the others."""
    answers: dict[int, Answer] = {}
    fresh: list[Delivery] = []
    for delivery in deliveries:
        stored = known.get(delivery.purchase.key or "")
        if stored is None:
            fresh.append(delivery)
        else:
            answers[delivery.place] = _replay(delivery.purchase, stored)
    served, refused = allot(fresh, left)
    answers.update((delivery.place, sold_out) for delivery, sold_out in refused)
    answers.update((delivery.place, Receipt(delivery.purchase.orders, False)) for delivery in served)
    return Plan([delivery.purchase for delivery in served], _units(served), answers)


def _replay(purchase: Purchase, stored: Purchase) -> Receipt | KeyReusedError:
    if purchase.is_same_as(stored):
        return Receipt(stored.orders, True)
    return KeyReusedError(f"Idempotency-Key {purchase.key} belongs to a request with another body")


def _units(served: Iterable[Delivery]) -> dict[int, int]:
    taken: dict[int, int] = {}
    for delivery in served:
        for sku_no, units in delivery.purchase.quantities.items():
            taken[sku_no] = taken.get(sku_no, 0) + units
    return taken


def returned_units(cancelled: Iterable[tuple[int, str, str]]) -> dict[tuple[str, int], int]:
    """Units to put back on sale, by run and product, of rows (order number, run id, lines)."""
    units: dict[tuple[str, int], int] = {}
    for _, run_id, lines in cancelled:
        for sku_no, quantity, _ in msgspec.json.decode(lines):
            units[run_id, sku_no] = units.get((run_id, sku_no), 0) + quantity
    return units
