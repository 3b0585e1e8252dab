"""What goes in and out as JSON: the types that check requests also write the OpenAPI document.

Unknown keys are refused by the types, wrong types and ranges too. Duplicate keys are not msgspec's concern
(it keeps the last one): where a body is of the plain shape clients send, `has_plain_keys` rules them out by
counting, else `refuse_duplicate_keys` reads it again pair by pair.
"""

import json
import re
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from target_service.inventory import SKU_PATTERN
from target_service.orders import NAME_PATTERN
from target_service.parcels import EventKind, Region

MAX_ID = (1 << 53) - 1
"""The largest integer that every JSON reader keeps exact."""

BuyerId = Annotated[int, Meta(ge=1, le=MAX_ID, description="Who buys.")]
Sku = Annotated[str, Meta(pattern=SKU_PATTERN, min_length=10, max_length=13, description="Which product.")]


OrderName = Annotated[str, Meta(pattern=rf"^{NAME_PATTERN}$(?!\n)", description="An order's number.")]


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Units of one product."""

    sku: Sku
    quantity: Annotated[int, Meta(ge=1, le=1000, description="How many units.")]


class OrderRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a buyer orders from one seller."""

    buyer_id: BuyerId
    lines: Annotated[tuple[Line, ...], Meta(min_length=1, max_length=100)]
    region: Region | None = None
    """Where the buyer is, and so where the order's data belong; it is stored with the order."""


class OrderCreated(msgspec.Struct, frozen=True):
    """The answer to a created order; the same bytes whenever it is replayed."""

    order_id: str
    status: str
    buyer_id: int
    total_cents: int
    created_at_ms: int


class OrderLine(msgspec.Struct, frozen=True):
    """A line of a stored order."""

    sku: str
    quantity: int
    price_cents: int


class OrderView(msgspec.Struct, frozen=True):
    """An order as it is now."""

    order_id: str
    status: str
    buyer_id: int
    total_cents: int
    created_at_ms: int
    lines: tuple[OrderLine, ...]
    region: str = ""
    """Where the buyer was; empty where that was not told."""


class CheckoutCreated(msgspec.Struct, frozen=True):
    """The answer to a checkout: one order for each seller."""

    orders: tuple[OrderCreated, ...]
    total_cents: int


class PaymentRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Money for an order."""

    amount_cents: Annotated[int, Meta(ge=1, le=MAX_ID)]


class ParcelRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A parcel that enters the network."""

    origin: Region
    destination: Region
    order_id: OrderName | None = None


class ScanRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An event of a parcel; the same `event_id` again changes nothing."""

    event_id: Annotated[str, Meta(pattern=r"^[!-~]{1,64}$(?!\n)", description="Chosen by the sender.")]
    kind: Annotated[EventKind, Meta(examples=["packed"], description="What may follow the last event.")]
    region: Region


class EventView(msgspec.Struct, frozen=True):
    """What happened to a parcel, where and when."""

    event_id: str
    kind: str
    region: str
    at_ms: int


class ParcelView(msgspec.Struct, frozen=True):
    """A parcel as it is now, with a page of its events."""

    parcel_id: str
    status: str
    destination: str
    order_id: str | None
    earlier_events: int
    """How many events came before those shown; as `?before=` it asks for the page that ends there."""
    events: tuple[EventView, ...]


class Inventory(msgspec.Struct, frozen=True):
    """A product's units."""

    sku: str
    initial: int
    available: int
    sold: int


class RestockRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """More units of a product."""

    units: Annotated[int, Meta(ge=1, le=1_000_000_000)]


class AssistantRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question to the shop's assistant."""

    prompt: Annotated[str, Meta(min_length=1, max_length=4000)]
    max_tokens: Annotated[int, Meta(ge=1, le=500)] = 50


class Token(msgspec.Struct, frozen=True):
    """One piece of the assistant's answer, as one server-sent event."""

    index: int
    text: str


class Product(msgspec.Struct, frozen=True):
    """A product's price, and the units that can be sold."""

    sku: str
    price_cents: int
    available: int


class Health(msgspec.Struct, frozen=True):
    """Whether a process is alive, or ready."""

    status: str


def has_plain_keys(body: bytes, order: OrderRequest) -> bool:
    """Whether a decoded order's body surely repeats no key: it has no more quotes than its keys and values need.

    Every key it may not lack is there at least once, or it would not have been decoded.
    """
    of_region = 0 if b'"region"' not in body else 2 if order.region is None else 4
    quotes = 4 + 6 * len(order.lines) + of_region
    return b"\\" not in body and body.count(b'"') == quotes


class DuplicateKeyError(ValueError):
    """An object of the body names a key twice."""


def refuse_duplicate_keys(body: bytes) -> None:
    """Raise DuplicateKeyError if any object in this (already decoded, hence valid) body repeats a key."""
    json.loads(body, object_pairs_hook=_pairs)


def _pairs(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise DuplicateKeyError(f"duplicate key {key!r}")
        seen.add(key)


LONGEST_PATH = 200
"""Characters; the types of this file have none longer, and a client may write what looks like one into a key."""
_PATH = re.compile(r" - at `\$((?:\.[a-z_]{1,32}+|\[[0-9]{1,6}+\]){0,8}+)`\Z")
_STEP = re.compile(r"\.([a-z_]+)|\[([0-9]+)\]")


def field_of(error: msgspec.ValidationError) -> tuple[str, str]:
    """Split msgspec's message: a JSON pointer to the field, and what is wrong with it.

    Only the end of the message is read, and only what is a path of ours: the rest may be a key of the client's.
    """
    message = str(error)
    path = _PATH.search(message, max(0, len(message) - LONGEST_PATH))
    if path is None:
        return "", message
    pointer = "".join(f"/{name or index}" for name, index in _STEP.findall(path[1]))
    return pointer, message[: path.start()]
