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
from target_service.parcels import KeyedParcel, Parcel, ParcelReceipt, Scan
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
    """Cancel unpaid orders that are due, `limit` at most and what belongs to the last one's checkout.

    Their units go back on sale. Answers how many were cancelled: 0 when none is due any more.
    """

    stored_before_ms: int
    """On the store's clock."""
    numbered_below: int
    """Of orders that bear no such time (an earlier program stored them), those with a lower number."""
    limit: int = 1000


class ExpireKeys(NamedTuple):
    """Forget keys that are due; answers how many it forgot. Due, and how many at most, is as in `CancelUnpaid`."""

    stored_before_ms: int
    numbered_below: int
    limit: int = 1000


class PurgeRun(NamedTuple):
    """Delete some of what a load-test run left, at most `limit` orders."""

    run_id: str
    limit: int = 1000


class Purged(NamedTuple):
    """What a purge did."""

    orders: int
    has_more: bool
    """Whether it has to be asked again."""


class Tick(NamedTuple):
    """Read the store's clock, and move it on if no other process does (`store.clock`)."""

    seen_ms: int
    """What it showed when it was last read."""
    elapsed_ms: int
    """Time since then, of the caller's monotonic clock."""
    step_ms: int
    """The most that the next tick may add."""


class ClockReading(NamedTuple):
    """What the store's clock shows, and whether the caller keeps it."""

    now_ms: int
    is_kept: bool


class Proof(NamedTuple):
    """A change for its own sake: it proves that the store makes changes durable."""

    writer_id: int


Sweep = CancelUnpaid | ExpireKeys | PurgeRun | Tick
Change = Purchase | Payment | Restock | Parcel | Scan | KeyedParcel | Proof | Sweep
Result = Receipt | Order | StockLevel | Parcel | ParcelReceipt | Purged | ClockReading | int


class CommitObserver(Protocol):
    """Told about every batch; may be called from another thread."""

    def committed(self, changes: int, seconds: float) -> None:
        """A batch of this many changes was made durable in this many seconds."""
        ...

    def failed(self) -> None:
        """A batch could not be made durable, or a read failed."""
        ...


class Observers(tuple[CommitObserver, ...]):
    """Any number of observers that are told the same."""

    __slots__ = ()

    def committed(self, changes: int, seconds: float) -> None:
        """A batch was made durable."""
        for observer in self:
            observer.committed(changes, seconds)

    def failed(self) -> None:
        """A batch could not be made durable, or a read failed."""
        for observer in self:
            observer.failed()


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
        """Make something durable. Raises StoreUnavailableError."""
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
    async def write(self, change: KeyedParcel, deadline_ns: int | None = None) -> ParcelReceipt: ...
    @overload
    async def write(self, change: PurgeRun, deadline_ns: int | None = None) -> Purged: ...
    @overload
    async def write(self, change: Tick, deadline_ns: int | None = None) -> ClockReading: ...
    @overload
    async def write(
        self, change: CancelUnpaid | ExpireKeys | Proof, deadline_ns: int | None = None
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
