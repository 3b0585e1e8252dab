"""The contract every store keeps; `tests/contract` holds each of them to it.

* `write` returns only when the change is durable, and a change is made wholly or not at all.
* Stock never goes below zero and never drifts: per run and product, initial - available = units in its orders
  that are not cancelled.
* One key, one purchase: a second delivery gets the first one's receipt, or is refused if its body
  differs.
* Runs do not see one another, and live traffic sees none of them.
* When the store cannot answer, StoreUnavailableError (or StoreFullError) is raised within `wait_s`, and the change is
  not made; it may then be tried again. Where that cannot be told, since its commit is under way, FateUnknownError is.
* A change whose caller was cancelled, or whose deadline has passed, before its batch began is not made.

What can be changed is a `Change`; each has one answer, or raises the ProblemError of its own rules (`orders`,
`parcels`). `store.store` has the store itself.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from target_service import problem
from target_service.orders import Order, Payment, Purchase, Receipt
from target_service.parcels import ParcelChange, ParcelReceipt

T = TypeVar("T")


class StoreUnavailableError(Exception):
    """The store did not answer in time or failed; the change is not made, unless it is a FateUnknownError."""

    kind = problem.UNAVAILABLE


class StoreFullError(StoreUnavailableError):
    """The store has no room left; the change is not made."""

    kind = problem.STORE_FULL


class FateUnknownError(StoreUnavailableError):
    """The store did not say whether it has made the change: it may be made already, or yet, or never."""

    kind = problem.FATE_UNKNOWN


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

    Their units go back on sale.
    """

    stored_before_ms: int
    """On the store's clock."""
    limit: int = 1000


class ExpireKeys(NamedTuple):
    """Forget keys that are due. Due, and how many at most, is as in `CancelUnpaid`."""

    stored_before_ms: int
    limit: int = 1000


class Swept(int):
    """How many rows a sweep changed; 0 when none is due any more."""

    took_s: float
    """For how long it had the store."""


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
    """Read the store's clock, and move it on if no other process does (`store.sweeps`)."""

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
    """A change for its own sake: it proves that the store makes changes durable, and has its tables."""

    writer_id: int


Change = Purchase | Payment | Restock | ParcelChange | Proof | CancelUnpaid | ExpireKeys | PurgeRun | Tick
Result = Receipt | Order | StockLevel | ParcelReceipt | Purged | ClockReading | int
Answer = Result | Exception
"""What one change is told: its result, or why it was not made."""


class CommitObserver(Protocol):
    """Told about every batch, on the event loop."""

    def committed(self, changes: int, seconds: float, proves: bool = True) -> None:
        """A batch was made durable in so many seconds; `proves`: orders can be written, not only something else."""

    def failed(self) -> None:
        """A batch could not be made durable, or a read failed."""


class StoreSettings(NamedTuple):
    """What a store needs to know."""

    dsn: str
    initial_units: int
    """Units of a product before its first sale."""
    wait_s: float
    """Longest a change waits for the store's lock."""
    shared: bool
    """Whether other processes write to it too."""
    stall_s: Callable[[], float] = float
    """Asked before each commit how long to wait with it: a drill's stalls; may be called from any thread."""


class Session(Protocol):
    """A connection inside a transaction, or one that only reads; in its SQL `$1` stands for the first argument."""

    initial_units: int
    """Units of a product before its first sale."""
    locked: str
    """The clause that locks the rows of a SELECT until the transaction ends; empty where the store has one lock."""
    unlocked_only: str
    """The same, passing over rows that somebody else has locked."""

    async def fetch(self, sql: str, *arguments: object) -> Sequence[Sequence[Any]]:
        """The rows of a query that has few."""

    async def fetch_many(self, columns: str, source: str, *arguments: object) -> Sequence[Sequence[Any]]:
        """The rows of `SELECT columns source`, where there may be thousands."""

    async def execute(self, sql: str, *arguments: object) -> int:
        """Run a statement; how many rows it changed."""

    async def with_rows(self, columns: str, rows: Sequence[Sequence[object]], statement: str) -> None:
        """Run a statement, if there are rows, in which `new` is a table of them; columns as `"sku_no bigint, …"`."""

    def among(self, place: int, kind: str = "bigint") -> str:
        """SQL for "is one of the values, of this type, in this argument", which `listed` makes."""

    def listed(self, values: Sequence[object]) -> object:
        """Values as one argument."""


def names_of(columns: str) -> str:
    """The names in `"sku_no bigint, units bigint"`, for a statement."""
    return ", ".join(column.split()[0] for column in columns.split(","))
