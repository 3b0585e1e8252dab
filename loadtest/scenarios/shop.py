"""The Singles' Day shop: what buyers send around midnight.

A transaction is one order created, `POST /orders`, and nothing else. Around it, at midnight, carts are loaded
beforehand and most pages come from caches, so little else reaches the service: half a product page and a fifth
of an order status read for each order (A; docs/traffic.md gives 6 product pages, before caching).

Which product is popular is Zipf's law: docs/traffic.md, theta 1.22 in extremes (S[27]). The scenarios share what one
worker's buyers know of each other: the random stream and the ids of the latest orders.
"""

from collections import deque
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar

import msgspec
from locust import task
from locust.env import Environment

from loadtest.drive.response import Response
from loadtest.drive.run_context import RunContext, run_context
from loadtest.drive.serving import open_loop
from loadtest.drive.user import FastHttpUser
from loadtest.measure.ledger import OrderState
from loadtest.records import in_region
from loadtest.zipf import ZipfSampler

CATALOGUE = 100_000
"""SKUs that buyers choose from; a slice of the catalogue, since midnight is about what is on sale (A)."""
THETA_SPIKE = 1.22
"""S[27]: HotRing, the skew in extremes."""
HOT_SKU = "sku-000001"
RECENT_ORDERS = 1_000
REGIONS = ("east", "south", "north", "west", "overseas")
REGION_WEIGHTS = (45, 25, 18, 10, 2)
"""A: docs/traffic.md, "Regions": orders by region in per cent; the first four are China's."""
ORDERS_BY_REGION = tuple(in_region("/orders", region) for region in REGIONS)
MAY_BE_STORED = ("/problems/fate-unknown", "/problems/key-in-flight")
"""Problems (`target_service.problem`) that refuse an order which may be stored all the same, or soon: its commit is
under way, or another request under its key is."""
JSON = {"Content-Type": "application/json"}


@dataclass(slots=True)
class Shop:
    """What the buyers of one worker share."""

    context: RunContext
    skus: ZipfSampler = field(init=False)
    regions: Random = field(init=False)
    buyers: int = 0
    recent: deque[str] = field(default_factory=lambda: deque(maxlen=RECENT_ORDERS))

    def __post_init__(self) -> None:
        self.skus = ZipfSampler(CATALOGUE, THETA_SPIKE, self.context.random("sku"))
        self.regions = self.context.random("region")

    def sku(self) -> str:
        """A product that somebody wants."""
        return sku(self.skus.draw())

    def next_buyer(self) -> int:
        """The next buyer's id, from 1; each worker counts by itself, so ids repeat across workers."""
        self.buyers += 1
        return self.buyers


AnyShop = TypeVar("AnyShop", bound=Shop)
_shops: dict[tuple[Environment, type[Shop]], Any] = {}


def shop_of(environment: Environment, kind: type[AnyShop]) -> AnyShop:
    """The shop of class `kind` that all buyers of an environment share; a new one for each run."""
    context = run_context(environment)
    shop: AnyShop | None = _shops.get((environment, kind))
    if shop is None or shop.context is not context:
        shop = _shops[environment, kind] = kind(context)
    return shop


class ShopUser(FastHttpUser):
    """A buyer that serves arrivals and knows its shop."""

    abstract = True
    host = "http://127.0.0.1:8080"
    wait_time = open_loop()

    def on_start(self) -> None:
        """Learn which shop this is."""
        self.shop = shop_of(self.environment, Shop)

    def wanted_sku(self) -> str:
        """A product that this buyer wants."""
        return self.shop.sku()

    def look_at_product(self) -> None:
        """Read the page of a product that is wanted."""
        self.client.get(f"/products/{self.wanted_sku()}", name="/products/[sku]")

    def ask_after_order(self) -> None:
        """Read the state of one of the latest orders; before there is any, look at a product."""
        recent = self.shop.recent
        if recent:
            self.client.get(f"/orders/{recent[0]}", name="/orders/[id]")
            recent.rotate(-1)
        else:
            self.look_at_product()


class Ordering(ShopUser):
    """A buyer who creates orders, and notes each in the ledger."""

    abstract = True

    def order(self, name: str | None = None, sku: str | None = None) -> None:
        """Order one product, `sku` or any; `name` is what it is measured as, the path by itself."""
        shop = self.shop
        ledger = shop.context.ledger
        body = b'{"buyer_id":%d,"lines":[{"sku":"%s","quantity":1}]}' % (
            shop.next_buyer(),
            (sku or self.wanted_sku()).encode(),
        )
        if ledger is None:
            self.client.post("/orders", data=body, headers=JSON, name=name)
            return
        number, key = ledger.intend()
        headers = {**JSON, "Idempotency-Key": key}
        response = self.client.post("/orders", data=body, headers=headers, name=name)
        ledger.settle(number, order_state(response))
        if response.status_code == 201:
            shop.recent.append(response.json()["order_id"])


class OrderOnly(Ordering):
    """Creates orders and sends nothing else."""

    @task
    def create_order(self) -> None:
        """Order one product."""
        self.order()


class RegionalOrder(Ordering):
    """Creates orders that are measured by the region their buyer is in, for objectives per region."""

    @task
    def create_order(self) -> None:
        """Order one product, somewhere."""
        (name,) = self.shop.regions.choices(ORDERS_BY_REGION, REGION_WEIGHTS)
        self.order(name)


class HotSku(Ordering):
    """Creates orders for one and the same product, as when a sale opens."""

    @task
    def create_order(self) -> None:
        """Order what everybody orders."""
        self.order(sku=HOT_SKU)


class ProductPage(ShopUser):
    """Looks at a product."""

    @task
    def look(self) -> None:
        """Read one product page."""
        self.look_at_product()


class OrderStatus(ShopUser):
    """Asks after an order; before there is any, looks at a product."""

    @task
    def ask(self) -> None:
        """Read the state of one of the latest orders of this worker's buyers."""
        self.ask_after_order()


def sku(number: int) -> str:
    """How the sample service writes a product's number."""
    return f"sku-{number:06d}"


def order_state(response: Response) -> OrderState:
    """The order's state by what was answered: created, refused, or unknown where the answer proves nothing.

    A refusal says that the order is not stored, unless its problem leaves that open, or it had been sent before
    without an answer.
    """
    if response.status_code == 201:
        return OrderState.ACKNOWLEDGED
    refuses = 400 <= response.status_code < 500 or response.status_code == 503
    if refuses and not response.was_repeated and problem_of(response.content) not in MAY_BE_STORED:
        return OrderState.REJECTED
    return OrderState.UNKNOWN


class _Problem(msgspec.Struct):
    """The body of an error (RFC 9457)."""

    type: str


def problem_of(body: bytes | None) -> str:
    """The type of the problem that an answer tells; empty if it tells none."""
    try:
        return msgspec.json.decode(body or b"", type=_Problem).type
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""
