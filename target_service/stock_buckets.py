"""Stock buckets: the units of a hot product in several rows, so that several processes can sell it at once.

A batch holds the lock of every stock row it takes from until its commit is on disk, so of one row the processes
sell in turns. With buckets a product has several rows, whose *sum* is its stock. Bucket 0, the trunk, is
always there: it keeps `initial`, and restocked and returned units go there. The others are made when a process
first finds the product hot, and are levelled again each time one of them ran short.

A process has a bucket of its own and takes from that one alone while it covers the whole batch (from the trunk, what
is not hot). Where it does not, the batch takes every row of the product, however many and of whatever process: no
order is refused while the sum suffices, and processes that were told different counts (a rolling change) are right
about each other's rows.

Locks are taken in ascending order of (bucket, product). "My own first, then the others" would deadlock: whether
one row suffices is therefore judged before any lock, on a plain read, and a batch that finds it wrong lets go of
everything and begins again, with every row at once (`StockMovedError`).

All of this is pure; the SQL is in `store.postgres_stock`.
"""

import enum
from collections.abc import Iterable, Mapping
from typing import NamedTuple

TRUNK = 0
"""The bucket every product has."""

MOST_BUCKETS = 64

HOT_PURCHASES = 2
"""Purchases of a product in one batch from which it is hot: someone waited while another bought. What sells one at a
time keeps its one row."""

Held = Mapping[int, int]
"""Units of one product by bucket."""


class StockMovedError(Exception):
    """The rows are not as they were read: the batch must begin again, and take every row at once."""


class Buckets(NamedTuple):
    """How one process uses buckets."""

    most: int
    """Rows a hot product is spread over; 1 is off."""
    own: int
    """The one it prefers."""
    one_row: bool = True
    """Whether it may take from one bucket alone; not when it begins again."""


class Demand(NamedTuple):
    """What a batch wants of one product."""

    units: int
    """All purchases together."""
    least: int
    """Of the smallest purchase."""
    purchases: int

    @property
    def is_hot(self) -> bool:
        """Whether the product should be sold from several rows."""
        return self.purchases >= HOT_PURCHASES


class Reach(enum.Enum):
    """Which rows of a product a batch locks."""

    NONE = "none"
    TRUNK = "trunk"
    OWN = "own"
    ALL = "all"


def demands(baskets: Iterable[Mapping[int, int]]) -> dict[int, Demand]:
    """What these purchases, each its units by product number, want together."""
    wanted: dict[int, Demand] = {}
    for basket in baskets:
        for sku_no, units in basket.items():
            so_far = wanted.get(sku_no, Demand(0, units, 0))
            wanted[sku_no] = Demand(so_far.units + units, min(so_far.least, units), so_far.purchases + 1)
    return wanted


def reach(held: Held, demand: Demand, buckets: Buckets) -> Reach:
    """Which rows to lock, as the product was read without a lock.

    None when not even the smallest purchase can be served: that was true at the instant of the read, so the
    crowd before a sold-out product costs no lock.
    """
    if sum(held.values()) < demand.least:
        return Reach.NONE
    if buckets.one_row and held.get(buckets.own, -1) >= demand.units:
        return Reach.OWN
    if buckets.one_row and held.get(TRUNK, -1) >= demand.units and not demand.is_hot:
        return Reach.TRUNK
    return Reach.ALL


def spread(held: Held, demand: Demand, count: int) -> int:
    """Over how many buckets a product is levelled: `count` if it is hot or was spread before, else 1."""
    return count if demand.is_hot or len(held) > 1 else 1


def take(held: Held, units: int, count: int) -> dict[int, int]:
    """What each bucket holds after `units` were sold from all of `held`, levelled over buckets 0 to count - 1.

    Shares differ by one at most, the first are the larger; buckets from `count` on are emptied. Raises ValueError
    if there are fewer units than that.
    """
    left = sum(held.values()) - units
    if left < 0:
        raise ValueError(f"{units} units of {left + units}")
    share, rest = divmod(left, count)
    after = dict.fromkeys(held, 0)
    after.update((bucket, share + (bucket < rest)) for bucket in range(count))
    return after
