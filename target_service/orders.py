"""Orders: their numbers, what a purchase is made of, and how it is priced.

An order number is a 63-bit integer that grows with time, so inserts land at the end of the table, and is made
without asking anyone: 41 bits of milliseconds since 2025, 12 bits naming the writer (the store hands out a
new one to every process that opens it), 10 bits of sequence. Outside it is written as 16 hexadecimal digits.

A *purchase* is what one request buys under one idempotency key: one order, or with a checkout one order for
each seller. It is stored wholly or not at all.

    created --pay--> paid
    created --reservation runs out--> cancelled (its units go back on sale)

Paying a paid order again with the right amount changes nothing and is answered alike, so a payment needs no
key of its own: an order can be paid once.
"""

import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import msgspec

from target_service import problem
from target_service.inventory import price_cents
from target_service.problem import ProblemError

EPOCH_MS = 1_735_689_600_000
"""2025-01-01T00:00:00Z in milliseconds since 1970; 41 bits from there last until 2094."""
WRITER_BITS, SEQUENCE_BITS = 12, 10
MOST_AT_ONCE = 1 << SEQUENCE_BITS
"""Numbers that one writer has for one millisecond."""

CREATED, PAID, CANCELLED = "created", "paid", "cancelled"

NAME_PATTERN = "[0-7][0-9a-f]{15}"
_NAME = re.compile(NAME_PATTERN)


class OrderIds:
    """Makes order numbers for one writer; strictly increasing, also when the wall clock steps back."""

    def __init__(self, writer: int, wall_ns: Callable[[], int] = time.time_ns) -> None:
        self._writer = (writer % (1 << WRITER_BITS)) << SEQUENCE_BITS
        self._wall_ns = wall_ns
        self._tick_ms = 0
        self._sequence = 0

    def next(self) -> int:
        """The next number. When a millisecond's sequence is used up, the next millisecond is borrowed."""
        now_ms = self._wall_ns() // 1_000_000 - EPOCH_MS
        if now_ms > self._tick_ms:
            self._tick_ms, self._sequence = now_ms, 0
        else:
            self._sequence += 1
            if self._sequence >> SEQUENCE_BITS:
                self._tick_ms, self._sequence = self._tick_ms + 1, 0
        return self._tick_ms << (WRITER_BITS + SEQUENCE_BITS) | self._writer | self._sequence

    def several(self, count: int) -> range:
        """The next `count` numbers (at most MOST_AT_ONCE), all of one millisecond."""
        first = self.next()
        if self._sequence + count > MOST_AT_ONCE:
            self._sequence = MOST_AT_ONCE - 1
            first = self.next()
        self._sequence += count - 1
        return range(first, first + count)


def order_name(order_id: int) -> str:
    """How the number is written outside."""
    return f"{order_id:016x}"


def order_number(name: str) -> int | None:
    """The number behind a name, or None if it is not one."""
    return int(name, 16) if _NAME.fullmatch(name) else None


def created_at_ms(order_id: int) -> int:
    """When the number was made, in milliseconds since 1970."""
    return (order_id >> (WRITER_BITS + SEQUENCE_BITS)) + EPOCH_MS


class Order(NamedTuple):
    """One order as it is stored."""

    order_id: int
    part: int
    """Place among the orders of its checkout, from 1; 0 for an order of its own."""
    buyer_id: int
    total_cents: int
    lines: str
    """JSON: `[[sku number, units, price in cents], …]`, in the buyer's order."""
    status: str = CREATED
    region: str = ""
    """Where its buyer is; empty where that was not told."""


class Purchase(NamedTuple):
    """What one request buys: stored wholly or not at all."""

    run_id: str
    """The load-test run whose shadow it belongs to; empty for live traffic."""
    key: str | None
    """Its idempotency key."""
    orders: tuple[Order, ...]
    quantities: Mapping[int, int]
    """Units wanted of each product number, over all its orders."""

    def is_same_as(self, stored: "Purchase") -> bool:
        """Whether a stored purchase answers this one: all that was asked is the same, and asked in the same way."""
        return self._asked() == stored._asked()

    def _asked(self) -> list[tuple[bool, int, str, str]]:
        is_checkout = any(order.part for order in self.orders)
        return [(is_checkout, order.buyer_id, order.lines, order.region) for order in self.orders]


class Receipt(NamedTuple):
    """What the store answers to a purchase: the orders it holds, and whether it held them before."""

    orders: tuple[Order, ...]
    replayed: bool


def draft_order(
    order_id: int, buyer_id: int, wanted: Iterable[tuple[int, int]], part: int = 0, region: str = ""
) -> tuple[Order, dict[int, int]]:
    """Price an order of (product number, units): the order to store, and its units by product number."""
    lines = [(sku_no, units, price_cents(sku_no)) for sku_no, units in wanted]
    total_cents = sum(units * each_cents for _, units, each_cents in lines)
    quantities: dict[int, int] = {}
    for sku_no, units, _ in lines:
        quantities[sku_no] = quantities.get(sku_no, 0) + units
    text = msgspec.json.encode(lines).decode()
    return Order(order_id, part, buyer_id, total_cents, text, region=region), quantities


class Payment(NamedTuple):
    """Money for an order."""

    run_id: str
    order_id: int
    amount_cents: int


def settle(payment: Payment, order: Order | None) -> Order:
    """The order after this payment (the same one if it was paid before). Raises ProblemError."""
    if order is None:
        raise ProblemError(problem.NOT_FOUND, f"there is no order {order_name(payment.order_id)}")
    if payment.amount_cents != order.total_cents:
        detail = f"expected {order.total_cents} cents, got {payment.amount_cents}"
        raise ProblemError(problem.BAD_FIELD, detail)
    if order.status == CANCELLED:
        raise ProblemError(problem.CONFLICT, "the order was cancelled, so it cannot be paid")
    return order._replace(status=PAID)
