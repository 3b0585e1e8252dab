"""Where live and shadow traffic live, and the schema; names and columns are the same in every store.

An auditor may read the tables with any client, also while the service runs:

    orders, shadow_orders    one row an order
        order_id          primary key; the API writes it as 16 hexadecimal digits
        run_id            '' in `orders`, the `X-Load-Test` run id in `shadow_orders` (both checked)
        idempotency_key   or NULL; unique together with run_id and part while key_live = 1
        part              0, or the place among the orders of one checkout, from 1
        buyer_id, total_cents
        lines             JSON: [[sku_no, units, price_cents], ...]
        status            created, paid, cancelled ...
        key_live          0 once the idempotency key has expired
        region            where its buyer is, '' where that was not told
        stored_ms         when, on the store's clock (`store.sweeps`)
    stock, shadow_stock      one row a product that was ever sold, per run
        run_id, sku_no    as above; 1 is sku-000001
        initial           units before the first sale, plus what was restocked
        available         units left, never below zero (checked)
    parcels, shadow_parcels  one row a parcel; events is JSON: [[event_id, kind, region, at_ms], ...]
    parcel_keys, shadow_…    one row an idempotency key of a parcel's change; its events are the first so many
    clock                    one row, the store's clock
    writers                  one row for every process that ever opened the store

The stock is right when, per run and product, initial - available = units in the lines of orders not cancelled.
"""

from typing import NamedTuple

from target_service.store.base import StoreOpenError


class Tables(NamedTuple):
    """The tables of one kind of traffic."""

    orders: str
    stock: str
    parcels: str
    parcel_keys: str


LIVE_TABLES = Tables("orders", "stock", "parcels", "parcel_keys")
SHADOW_TABLES = Tables("shadow_orders", "shadow_stock", "shadow_parcels", "shadow_parcel_keys")

UNPAID = "status = 'created'"
KEYED = "idempotency_key IS NOT NULL AND key_live = 1"
"""Conditions of the indexes of what may become due; a query must have them word for word."""

STORED_MS = "(SELECT now_ms + step_ms FROM clock)"
"""SQL for what a new row bears as its time (`store.sweeps`)."""

_ONCE = """
CREATE TABLE writers (writer_id {number}, started_at {time} NOT NULL, proofs {big} NOT NULL DEFAULT 0);
CREATE TABLE clock (now_ms {big} NOT NULL, step_ms {big} NOT NULL);
INSERT INTO clock (now_ms, step_ms) VALUES (1, 1)"""

_OF_TRAFFIC = """
CREATE TABLE {orders} (order_id {big} PRIMARY KEY, run_id text NOT NULL CHECK ({run}), idempotency_key text,
    part integer NOT NULL, buyer_id {big} NOT NULL, total_cents {big} NOT NULL, lines text NOT NULL,
    status text NOT NULL DEFAULT 'created', key_live integer NOT NULL DEFAULT 1,
    region text NOT NULL DEFAULT '', stored_ms {big} NOT NULL DEFAULT 0);
CREATE UNIQUE INDEX {orders}_key ON {orders} (run_id, idempotency_key, part) WHERE {keyed};
CREATE INDEX {orders}_unpaid ON {orders} (stored_ms, order_id) WHERE {unpaid};
CREATE INDEX {orders}_keyed ON {orders} (stored_ms, order_id) WHERE {keyed};
CREATE TABLE {stock} (run_id text NOT NULL CHECK ({run}), sku_no {big} NOT NULL, initial {big} NOT NULL,
    available {big} NOT NULL CHECK (available >= 0), PRIMARY KEY (run_id, sku_no)){hot};
CREATE TABLE {parcels} (parcel_id {big} PRIMARY KEY, run_id text NOT NULL CHECK ({run}), order_id {big} NOT NULL,
    destination text NOT NULL, events text NOT NULL);
CREATE TABLE {parcel_keys} (run_id text NOT NULL, idempotency_key text NOT NULL, request text NOT NULL,
    parcel_id {big} NOT NULL, events integer NOT NULL, stored_ms {big} NOT NULL,
    PRIMARY KEY (run_id, idempotency_key)){keyed_by};
CREATE INDEX {parcel_keys}_stored ON {parcel_keys} (stored_ms)"""

_OF_RUNS = """
CREATE INDEX shadow_orders_run ON shadow_orders (run_id);
CREATE INDEX shadow_parcels_run ON shadow_parcels (run_id)"""


def tables_of(run_id: str) -> Tables:
    """The tables of this run's traffic (the empty run id is live)."""
    return SHADOW_TABLES if run_id else LIVE_TABLES


def are_missing(version: int, ours: int) -> bool:
    """Whether the tables must be made; 0 is no version. Raises StoreOpenError if another program made them."""
    if version not in (0, ours):
        which = "a newer" if version > ours else "an older"
        raise StoreOpenError(
            f"the database was made by {which} release (schema version {version}, expected {ours}); name another one"
        )
    return version == 0


def schema(**words: str) -> str:
    """The statements that make all tables; `words` are the database's own for types and for how rows are kept."""
    words |= {"unpaid": UNPAID, "keyed": KEYED}
    live = _OF_TRAFFIC.format(**LIVE_TABLES._asdict(), run="run_id = ''", **words)
    shadow = _OF_TRAFFIC.format(**SHADOW_TABLES._asdict(), run="run_id <> ''", **words)
    return ";".join((_ONCE.format(**words), live, shadow, _OF_RUNS))
