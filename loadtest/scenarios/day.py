"""The whole day's shop: page views, carts, checkouts, submits again, payments and order status, each an arrival.

When and how often each comes is the plan's: `day` gives nearly every scenario a curve of its own
(`loadtest.plan.whole_day`). Here is what one of them sends. A transaction is one checkout, an order as its buyer sees
it: the service makes one order of it for each seller, 1.6 on average (A). All figures are in docs/traffic.md, "Skew,
funnel, fan-out".

Which products are wanted changes with the hour: Zipf's law with theta 0.9 on a normal day and 1.22 in the spike
(S[27]); between them theta rises with the plan's rate.
"""

from collections import deque
from dataclasses import dataclass, field
from random import Random
from time import monotonic_ns
from typing import NamedTuple

import msgspec
from locust import task

from loadtest.drive.serving import nothing_to_do
from loadtest.measure.ledger import OrderState
from loadtest.records import in_region
from loadtest.scenarios.regions import REGIONS, Region, somewhere, travel
from loadtest.scenarios.shop import JSON, THETA_SPIKE, Shop, ShopUser, order_state, shop_of, sku
from loadtest.zipf import ZipfSampler

CATALOGUE = 1_000_000
"""Products that are wanted on such a day: all that the sample service has."""
THETA_NORMAL = 0.9
"""Zipf's exponent in quiet hours: 1 % of the million products take 52 % of the accesses (D of S[27] and S[57]).

At the spike, with `THETA_SPIKE`, they take 92 %.
"""
NORMAL_LEVEL, SPIKE_LEVEL = 0.1, 0.85
"""A: theta rises between these shares of the peak: every hour but the first is below, the spike above."""
THETA_STEPS = 15

SELLERS = 1000
"""How the sample service tells sellers apart: a product's number modulo this."""
ORDERS_IN_CHECKOUT, ORDERS_WEIGHTS = (1, 2, 3), (5, 4, 1)
"""A: 1.6 seller orders on average."""
SECOND_LINE = 0.3
"""A: 1.3 lines an order."""
PAID = 0.92
"""A: the share of the orders that are paid in the end."""
MOST_OPEN = 100_000
"""Orders and checkouts that a worker remembers, the latest."""

CHECKOUTS_OF = {region.name: in_region("/checkouts", region.name) for region in REGIONS}


class Bill(NamedTuple):
    """An order that can be paid."""

    order_id: str
    total_cents: int


class Submitted(NamedTuple):
    """A checkout that was answered, as it was sent."""

    key: str
    body: bytes


class Created(msgspec.Struct):
    """What is read of a seller's order in the answer to a checkout."""

    order_id: str
    total_cents: int


class CheckedOut(msgspec.Struct):
    """What is read of the answer to a checkout."""

    orders: tuple[Created, ...]


_answers = msgspec.json.Decoder(CheckedOut)


@dataclass(slots=True)
class DayShop(Shop):
    """What the buyers of one worker share through the day."""

    baskets: Random = field(init=False)
    unpaid: deque[Bill] = field(default_factory=lambda: deque(maxlen=MOST_OPEN))
    paid: deque[Bill] = field(default_factory=lambda: deque(maxlen=MOST_OPEN))
    submitted: deque[Submitted] = field(default_factory=lambda: deque(maxlen=MOST_OPEN))
    samplers: list[ZipfSampler] = field(init=False)

    def __post_init__(self) -> None:
        random = self.context.random("sku of the day")
        self.baskets = self.context.random("basket")
        self.regions = self.context.random("region")
        self.samplers = [
            ZipfSampler(CATALOGUE, theta(k / THETA_STEPS), random) for k in range(THETA_STEPS + 1)
        ]

    def number(self, level: float) -> int:
        """The number of a product that somebody wants while the plan is at `level` of its peak."""
        return self.samplers[round(excitement(level) * THETA_STEPS)].draw()

    def basket(self, level: float) -> list[int]:
        """The products of one checkout, each of them one unit; those of one seller are one order."""
        (orders,) = self.baskets.choices(ORDERS_IN_CHECKOUT, ORDERS_WEIGHTS)
        of_sellers: dict[int, int] = {}
        while len(of_sellers) < orders:
            number = self.number(level)
            of_sellers.setdefault(number % SELLERS, number)
        return [line for number in of_sellers.values() for line in self._lines(number)]

    def _lines(self, number: int) -> list[int]:
        """One seller's order: the product that was wanted, and sometimes another one of that seller's."""
        if self.baskets.random() >= SECOND_LINE:
            return [number]
        return [number, number + SELLERS if number + SELLERS <= CATALOGUE else number - SELLERS]

    def keep(self, orders: tuple[Created, ...]) -> None:
        """Remember what was ordered; some orders are never paid."""
        for order in orders:
            self.recent.append(order.order_id)
            if self.baskets.random() < PAID:
                self.unpaid.append(Bill(order.order_id, order.total_cents))


def excitement(level: float) -> float:
    """0 in an ordinary hour to 1 at the spike, linear in the plan's rate as a share of its peak."""
    return min(max((level - NORMAL_LEVEL) / (SPIKE_LEVEL - NORMAL_LEVEL), 0.0), 1.0)


def theta(excited: float) -> float:
    """Zipf's exponent at an excitement from 0 to 1, linear between `THETA_NORMAL` and `THETA_SPIKE`."""
    return THETA_NORMAL + (THETA_SPIKE - THETA_NORMAL) * excited


class DayUser(ShopUser):
    """A buyer of the day, somewhere in the world."""

    abstract = True
    shop: DayShop

    def on_start(self) -> None:
        """Learn which shop this is."""
        self.shop = shop_of(self.environment, DayShop)

    def level(self) -> float:
        """How near the peak the plan is at the instant that this arrival was planned for."""
        intended_ns = self.client.intended_ns
        return self.shop.context.level(monotonic_ns() if intended_ns is None else intended_ns)

    def wanted_sku(self) -> str:
        """A product that this buyer wants at this hour."""
        return sku(self.shop.number(self.level()))


class Browse(DayUser):
    """Looks at a product."""

    @task
    def look(self) -> None:
        """Read one product page."""
        self.look_at_product()


class Cart(DayUser):
    """Puts a product into the cart: the shop asks whether there are units of it."""

    @task
    def put(self) -> None:
        """Count a product's units; the cart itself is the buyer's."""
        self.client.get(f"/inventory/{self.wanted_sku()}", name="/inventory/[sku]")


class Checkout(DayUser):
    """Checks a cart out, from wherever the buyer is."""

    @task
    def check_out(self) -> None:
        """Order from one seller or several; measured by the buyer's region."""
        shop = self.shop
        region = somewhere(shop.regions)
        body = msgspec.json.encode(
            {
                "buyer_id": shop.next_buyer(),
                "lines": [{"sku": sku(number), "quantity": 1} for number in shop.basket(self.level())],
                "region": region.name,
            }
        )
        travel(self, region)
        self._submit(body, region)

    def _submit(self, body: bytes, region: Region) -> None:
        shop, name = self.shop, CHECKOUTS_OF[region.name]
        ledger = shop.context.ledger_of(region.name)
        number, key = ledger.intend() if ledger is not None else (0, "")
        response = self.client.post("/checkouts", data=body, headers=_headers(key), name=name)
        state = order_state(response)
        if ledger is not None:
            ledger.settle(number, state)
        if state is OrderState.ACKNOWLEDGED:
            shop.keep(_answers.decode(response.content or b"").orders)
            if key:
                shop.submitted.append(Submitted(key, body))


def _headers(key: str) -> dict[str, str]:
    return {**JSON, "Idempotency-Key": key} if key else JSON


class SubmitAgain(DayUser):
    """An impatient buyer who submits once more: the same order under the same key, which must create nothing."""

    @task
    def submit_again(self) -> None:
        """Send one of the latest checkouts again."""
        if not self.shop.submitted:
            nothing_to_do()
            return
        key, body = self.shop.submitted.pop()
        self.client.post("/checkouts", data=body, headers=_headers(key), name="/checkouts [again]")


class Payment(DayUser):
    """Pays for an order.

    The real payments of the first hour are more than its orders: balances of pre-sales, ordered weeks before. Where
    no order is left to be paid, one is paid again, which the service answers alike.
    """

    @task
    def pay(self) -> None:
        """Pay the oldest order that is not paid."""
        shop = self.shop
        if not (shop.unpaid or shop.paid):
            nothing_to_do()
            return
        bill = shop.unpaid.popleft() if shop.unpaid else shop.paid.popleft()
        body = b'{"amount_cents":%d}' % bill.total_cents
        path = f"/orders/{bill.order_id}/payment"
        if self.client.post(path, data=body, headers=JSON, name="/orders/[id]/payment").ok:
            shop.paid.append(bill)


class Status(DayUser):
    """Asks after an order; before there is any, looks at a product."""

    @task
    def ask(self) -> None:
        """Read the state of one of the latest orders of this worker's buyers."""
        self.ask_after_order()
