"""The contract every store keeps; `tests/contract` holds each of them to it.

* `write` returns only when the change is durable, and a change is made wholly or not at all.
* Stock never goes below zero and never drifts: per run and product, initial - available = units in its orders
  that are not cancelled.
* One key, one purchase: a second delivery gets the first one's receipt, or KeyReusedError if its body
  differs.
* Runs do not see one another, and live traffic sees none of them.
* When the store cannot answer, StoreUnavailableError (or StoreFullError) is raised within `wait_s`; the
  change may then be tried again.
* A change whose caller was cancelled, or whose deadline has passed, before its batch began is not made.

What can be changed is a `Change`; each has one answer, or raises what its own rules (`orders`, `payments`,
`parcels`) say.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol, overload

from target_service.orders import Order, Purchase, Receipt
from target_service.parcels import Parcel, Scan
from target_service.payments import Payment


class StoreUnavailableError(Exception):
    """The store did not answer in time or failed; nothing was acknowledged."""


class StoreFullError(StoreUnavailableError):
    """The store has no room left; nothing was acknowledged."""


class DeadlineError(Exception):
    """The caller's deadline passed before the change was begun; it was not made."""


class StoreOpenError(Exception):
    """The store cannot be opened as configured, and trying again will not help."""


class StockLevel(NamedTuple):
    """Units of a product in one run."""

    initial: int
    """Units before the first sale, plus those restocked."""
    available: int


class Restock(NamedTuple):
    """More units of a product."""

    run_id: str
    sku_no: int
    units: int


class CancelUnpaid(NamedTuple):
    """Cancel the unpaid orders in a range of numbers, at most `limit`, and put their units back on sale.

    Answers how many were cancelled.
    """

    after_order_id: int
    before_order_id: int
    limit: int = 500


class ExpireKeys(NamedTuple):
    """Forget the keys of the orders in a range of numbers, at most `limit`; answers how many it forgot."""

    after_order_id: int
    before_order_id: int
    limit: int = 5000


class PurgeRun(NamedTuple):
    """Delete everything a load-test run left; answers how many orders it had."""

    run_id: str


Change = Purchase | Payment | Restock | Parcel | Scan | CancelUnpaid | ExpireKeys | PurgeRun
Result = Receipt | Order | StockLevel | Parcel | int


class CommitObserver(Protocol):
    """Told about every batch; may be called from another thread."""

    def committed(self, changes: int, seconds: float) -> None:
        """A batch of this many changes was made durable in this many seconds."""
        ...

    def failed(self) -> None:
        """A batch could not be made durable, or a read failed."""
        ...


class ObserverPair(NamedTuple):
    """Two observers that are told the same."""

    first: CommitObserver
    second: CommitObserver

    def committed(self, changes: int, seconds: float) -> None:
        """A batch was made durable."""
        self.first.committed(changes, seconds)
        self.second.committed(changes, seconds)

    def failed(self) -> None:
        """A batch could not be made durable, or a read failed."""
        self.first.failed()
        self.second.failed()


def no_stall() -> float:
    """No stall."""
    return 0.0


class StoreSettings(NamedTuple):
    """What a store needs to know."""

    dsn: str
    initial_units: int
    """Units of a product before its first sale."""
    wait_s: float
    """Longest a change waits for the store's lock."""
    shared: bool
    """Whether other processes write to it too."""
    stock_buckets: int = 1
    """Rows a hot product's stock is spread over, in a store that can."""
    stall_s: Callable[[], float] = no_stall
    """Asked before each commit how long to wait with it: a drill's stalls; may be called from any thread."""


class Store(Protocol):
    """Where orders and stock live."""

    async def open(self) -> int:
        """Open it, bring its schema up to date, and return a writer number no other process has.

        Raises StoreOpenError, or StoreUnavailableError where waiting may help.
        """
        ...

    async def close(self) -> None:
        """Commit what was handed over, then let go."""
        ...

    async def ping(self) -> None:
        """Return if the store answers. Raises StoreUnavailableError."""
        ...

    @overload
    async def write(self, change: Purchase, deadline_ns: int | None = None) -> Receipt: ...
    @overload
    async def write(self, change: Payment, deadline_ns: int | None = None) -> Order: ...
    @overload
    async def write(self, change: Restock, deadline_ns: int | None = None) -> StockLevel: ...
    @overload
    async def write(self, change: Parcel | Scan, deadline_ns: int | None = None) -> Parcel: ...
    @overload
    async def write(
        self, change: CancelUnpaid | ExpireKeys | PurgeRun, deadline_ns: int | None = None
    ) -> int: ...
    async def write(self, change: Change, deadline_ns: int | None = None) -> Result:
        """Make a change durable; `deadline_ns` is an instant of the monotonic clock.

        Raises StoreUnavailableError, StoreFullError, DeadlineError, and what the change's own rules say.
        """
        ...

    async def order(self, run_id: str, order_id: int) -> Order | None:
        """The order of that number in that run."""
        ...

    async def stock(self, run_id: str, sku_no: int) -> StockLevel:
        """Units of the product in that run."""
        ...

    async def parcel(self, run_id: str, parcel_id: int) -> Parcel | None:
        """The parcel of that number in that run."""
        ...
