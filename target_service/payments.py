"""Payment and cancellation: the states of an order and the steps between them.

    created --pay--> paid
    created --reservation runs out--> cancelled (its units go back on sale)

Paying a paid order again with the right amount changes nothing and is answered alike, so a payment needs no
key of its own: an order can be paid once.
"""

from typing import NamedTuple

from target_service.orders import Order
from target_service.refusal import Refusal

CREATED = "created"
PAID = "paid"
CANCELLED = "cancelled"


class PaymentRefusedError(Refusal):
    """The order cannot be paid: it was cancelled."""


class WrongAmountError(Refusal):
    """The amount is not the order's total."""


class UnknownOrderError(Refusal):
    """There is no such order in this run."""


class Payment(NamedTuple):
    """Money for an order."""

    run_id: str
    order_id: int
    amount_cents: int


def settle(payment: Payment, order: Order | None) -> Order:
    """The order after this payment (the same one if it was paid before).

    Raises UnknownOrderError, WrongAmountError, PaymentRefusedError.
    """
    if order is None:
        raise UnknownOrderError(f"there is no order {payment.order_id:016x}")
    if payment.amount_cents != order.total_cents:
        raise WrongAmountError(f"expected {order.total_cents} cents, got {payment.amount_cents}")
    if order.status == CANCELLED:
        raise PaymentRefusedError("the order was cancelled, so it cannot be paid")
    return order._replace(status=PAID)
