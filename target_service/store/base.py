"""The contract every store keeps; `tests/contract` holds each of them to it.

* `place` returns only when the purchase is durable. It is atomic: all its orders and all its stock, or
  nothing.
* Stock never goes below zero and never drifts: per product, initial = available + units in its orders.
* One key, one purchase: a second delivery gets the first one's receipt, or KeyReusedError if its body
  differs.
* Runs do not see one another, and live traffic sees none of them.
* When the store cannot answer, StoreUnavailableError (or StoreFullError) is raised within `wait_s`; the
  purchase may then be tried again under its key.
"""

from typing import NamedTuple, Protocol

from target_service.orders import Order, Purchase, Receipt


class StoreUnavailableError(Exception):
    """The store did not answer in time or failed; nothing was acknowledged."""


class StoreFullError(StoreUnavailableError):
    """The store has no room left; nothing was acknowledged."""


class StoreOpenError(Exception):
    """The store cannot be opened as configured, and trying again will not help."""


class CommitObserver(Protocol):
    """Told about every batch; may be called from another thread."""

    def committed(self, purchases: int, seconds: float) -> None:
        """A batch of this many purchases was made durable in this many seconds."""
        ...

    def failed(self) -> None:
        """A batch could not be made durable."""
        ...


class StoreSettings(NamedTuple):
    """What a store needs to know."""

    dsn: str
    initial_units: int
    """Units of a product before its first sale."""
    wait_s: float
    """Longest a purchase waits for the store's lock."""
    shared: bool
    """Whether other processes write to it too."""


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

    async def place(self, purchase: Purchase) -> Receipt:
        """Store a purchase durably.

        Raises SoldOutError, KeyReusedError, StoreUnavailableError, StoreFullError.
        """
        ...

    async def order(self, run_id: str, order_id: int) -> Order | None:
        """The order of that number in that run."""
        ...

    async def available(self, run_id: str, sku_no: int) -> int:
        """Units of the product that can be sold in that run."""
        ...
