"""The client's ledger against the service's orders: none lost, none twice, none oversold, none invented.

The client wrote down every order before it sent it and again when it was answered (`measure.ledger`); the
service stored what it acknowledged. After the run both are read and compared key by key. A request that was
never answered may or may not have been stored; neither is wrong, so such orders are only counted.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from loadtest.measure.ledger import LedgerEntry, OrderState
from loadtest.measure.run_result import Audit


@dataclass(frozen=True, slots=True)
class StockLine:
    """One product's stock after the run, with what the stored orders say was sold of it."""

    sku: str
    initial: int
    available: int
    sold: int

    @property
    def oversold(self) -> int:
        """Units that were sold and did not exist, or that stock and orders disagree about."""
        return max(
            self.sold - self.initial, -self.available, abs(self.initial - self.available - self.sold), 0
        )


@dataclass(frozen=True, slots=True)
class StoredOrders:
    """What the service's database holds of one run."""

    keys: Sequence[str]
    """The idempotency key of every stored order of the run, as often as it is stored."""
    leaked: int = 0
    """Orders of the run that are among the live ones."""
    stock: Sequence[StockLine] = field(default_factory=tuple)


def reconcile(entries: Iterable[LedgerEntry], orders: StoredOrders) -> Audit:
    """Compare both; `audit.balanced` is the verdict."""
    states = {entry.key: entry.state for entry in entries}
    stored = Counter(orders.keys)
    count = Counter(states.values())
    may_exist = (OrderState.INTENT, OrderState.ACKNOWLEDGED, OrderState.UNKNOWN)
    return Audit(
        acknowledged=count[OrderState.ACKNOWLEDGED],
        stored=len(stored),
        lost=sum(state is OrderState.ACKNOWLEDGED and key not in stored for key, state in states.items()),
        duplicated=sum(times - 1 for times in stored.values()),
        oversold=sum(line.oversold for line in orders.stock),
        phantom=sum(states.get(key) not in may_exist for key in stored),
        shadow_leaks=orders.leaked,
        unknown=count[OrderState.INTENT] + count[OrderState.UNKNOWN],
    )
