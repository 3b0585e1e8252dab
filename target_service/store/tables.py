"""Where live and shadow traffic live; the names are the same in every store."""

from typing import NamedTuple


class Tables(NamedTuple):
    """The tables of one kind of traffic."""

    orders: str
    stock: str
    parcels: str


LIVE_TABLES = Tables("orders", "stock", "parcels")
SHADOW_TABLES = Tables("shadow_orders", "shadow_stock", "shadow_parcels")


def tables_of(run_id: str) -> Tables:
    """The tables of this run's traffic (the empty run id is live)."""
    return SHADOW_TABLES if run_id else LIVE_TABLES
