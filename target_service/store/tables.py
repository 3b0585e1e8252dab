"""Where live and shadow traffic live; the names are the same in every store."""

from typing import NamedTuple


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
"""SQL for what a new row bears as its time (`store.clock`)."""


def tables_of(run_id: str) -> Tables:
    """The tables of this run's traffic (the empty run id is live)."""
    return SHADOW_TABLES if run_id else LIVE_TABLES


def first_schema(big: str, table_end: str) -> tuple[str, ...]:
    """The first migration; `big` is the store's 64-bit integer, `table_end` what it says of how stock is kept."""
    statements = []
    for tables, run_check in ((LIVE_TABLES, "run_id = ''"), (SHADOW_TABLES, "run_id <> ''")):
        key = f"{tables.orders} (run_id, idempotency_key, part)"
        statements += [
            f"""CREATE TABLE {tables.orders} (
                order_id {big} PRIMARY KEY,
                run_id text NOT NULL CHECK ({run_check}),
                idempotency_key text,
                part integer NOT NULL,
                buyer_id {big} NOT NULL,
                total_cents {big} NOT NULL,
                lines text NOT NULL,
                status text NOT NULL DEFAULT 'created',
                key_live integer NOT NULL DEFAULT 1
            )""",
            f"CREATE UNIQUE INDEX {tables.orders}_key ON {key} WHERE {KEYED}",
            f"""CREATE TABLE {tables.stock} (
                run_id text NOT NULL CHECK ({run_check}),
                sku_no {big} NOT NULL,
                initial {big} NOT NULL,
                available {big} NOT NULL CHECK (available >= 0),
                PRIMARY KEY (run_id, sku_no)
            ){table_end}""",
            f"""CREATE TABLE {tables.parcels} (
                parcel_id {big} PRIMARY KEY,
                run_id text NOT NULL CHECK ({run_check}),
                order_id {big} NOT NULL,
                destination text NOT NULL,
                events text NOT NULL
            )""",
        ]
    return tuple(statements)


def region_schema() -> tuple[str, ...]:
    """The migration that gives orders their region."""
    return tuple(
        f"ALTER TABLE {tables.orders} ADD COLUMN region text NOT NULL DEFAULT ''"
        for tables in (LIVE_TABLES, SHADOW_TABLES)
    )


def sweeping_schema(big: str, table_end: str = "") -> tuple[str, ...]:
    """The migration that gives orders their time and parcels their keys; `big` is the store's 64-bit integer."""
    statements = [
        f"CREATE TABLE clock (now_ms {big} NOT NULL, step_ms {big} NOT NULL)",
        "INSERT INTO clock (now_ms, step_ms) VALUES (1, 1)",
        f"ALTER TABLE writers ADD COLUMN proofs {big} NOT NULL DEFAULT 0",
    ]
    for tables in (LIVE_TABLES, SHADOW_TABLES):
        orders, keys = tables.orders, tables.parcel_keys
        by_time = f"ON {orders} (stored_ms, order_id) WHERE"
        statements += [
            f"ALTER TABLE {orders} ADD COLUMN stored_ms {big} NOT NULL DEFAULT 0",
            f"CREATE INDEX {orders}_unpaid {by_time} {UNPAID}",
            f"CREATE INDEX {orders}_keyed {by_time} {KEYED}",
            f"""CREATE TABLE {keys} (
                run_id text NOT NULL,
                idempotency_key text NOT NULL,
                request text NOT NULL,
                parcel_id {big} NOT NULL,
                events integer NOT NULL,
                stored_ms {big} NOT NULL,
                PRIMARY KEY (run_id, idempotency_key)
            ){table_end}""",
            f"CREATE INDEX {keys}_stored ON {keys} (stored_ms)",
        ]
    for table in (SHADOW_TABLES.orders, SHADOW_TABLES.parcels):
        statements.append(f"CREATE INDEX {table}_run ON {table} (run_id)")
    return tuple(statements)
