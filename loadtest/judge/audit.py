"""Compares the client's ledger with the service's orders: none lost, duplicated, oversold or invented.

The client wrote down every order before it sent it and again when it was answered (`measure.ledger`); the
service stored what it acknowledged. After the run both are read and compared key by key. A request that was
never answered, or by what leaves that open, may or may not have been stored; neither is wrong, so such orders are
only counted.

A hundred million orders have to be compared within a gigabyte. A key names its ledger and its place there, so no key
is kept and nothing is sorted: a byte for each order counts how often it was stored, beside the byte that the ledger
has of it, and both are compared a mebibyte at a time, as two very long numbers.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from loadtest.measure.ledger import SUFFIX, LedgerFile, OrderState
from loadtest.measure.run_result import Audit

CHUNK: Final = 1 << 20
MOST: Final = 255
"""An order that is stored more often than a byte counts is counted apart."""
MAY_EXIST: Final = (OrderState.INTENT, OrderState.ACKNOWLEDGED, OrderState.UNKNOWN)


class Auditor(Protocol):
    """Reads what a service stored of a run; for services other than ours (docs/auditing.md).

    Both methods are called once, after the run, in a process of their own. Whatever they raise is why the run was not
    audited.
    """

    def keys(self, run_id: str) -> Iterable[str]:
        """The key of every order of the run that is stored, as often as it is stored, in any order."""

    def problems(self, run_id: str) -> Iterable[str]:
        """What else is wrong in the service's own tables, a sentence each: stock below nought, a payment twice."""


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
    """What the service's database holds of one run besides the keys of its orders."""

    leaked: int = 0
    """Orders of the run that are among the live ones."""
    stock: Sequence[StockLine] = ()
    misplaced: int = 0
    """Orders that were placed in one region, by their key, and are stored for another, or for none."""


class Reconciliation:
    """Compares the client's ledger with what is stored; `add` takes the stored keys as they are read."""

    def __init__(self, ledgers: Iterable[LedgerFile]) -> None:
        """Raise ValueError, which names it, for a ledger with a byte that is no state."""
        self._ledgers = {ledger.prefix: ledger.states for ledger in ledgers}
        for prefix, states in self._ledgers.items():
            _check(prefix, states)
        self._times = {prefix: bytearray(len(states)) for prefix, states in self._ledgers.items()}
        self._beyond: Counter[tuple[str, int]] = Counter()
        """How often an order is stored beyond `MOST`."""
        self._strange: Counter[str] = Counter()
        """Keys that no ledger has room for."""

    @property
    def noted(self) -> int:
        """Orders in the client's ledger."""
        return sum(len(states) - states.count(OrderState.UNUSED) for states in self._ledgers.values())

    def add(self, keys: Iterable[str]) -> None:
        """Take keys that are stored, each as often as it is."""
        ledgers = self._times
        for key in keys:
            prefix, _, text = key.rpartition(":")
            times = ledgers.get(prefix)
            # Not every text that `int` reads is how a number is written: "+1", "01" and "1_0" are none of our keys.
            number = int(text) if times is not None and text.isdecimal() and text.isascii() else -1
            if times is None or not 0 <= number < len(times) or (text[0] == "0" and len(text) > 1):
                self._strange[key] += 1
            elif times[number] < MOST:
                times[number] += 1
            else:
                self._beyond[prefix, number] += 1

    def audit(self, stored: StoredOrders, problems: Iterable[str] = ()) -> Audit:
        """The result of the comparison."""
        found = Audit(
            acknowledged=0,
            stored=len(self._strange),
            lost=0,
            duplicated=self._strange.total() - len(self._strange) + self._beyond.total(),
            oversold=sum(line.oversold for line in stored.stock),
            phantom=len(self._strange),
            shadow_leaks=stored.leaked,
            misplaced=stored.misplaced,
            problems=list(problems),
        )
        for prefix, states in self._ledgers.items():
            _compare(states, self._times[prefix], found)
        return found


def _check(prefix: str, states: bytes) -> None:
    """Raise ValueError for a byte that is no state."""
    for at in range(0, len(states), CHUNK):
        if unknown := states[at : at + CHUNK].translate(None, _STATES):
            file = prefix.rpartition(":")[2] + SUFFIX
            raise ValueError(
                f"{file} has a byte {unknown[0]}, which is no state: it is damaged, or was not written by a run"
            )


def _compare(states: bytes, times: bytearray, found: Audit) -> None:
    """Add one ledger to what was found."""
    for at in range(0, len(times), CHUNK):
        state, count = states[at : at + CHUNK], times[at : at + CHUNK]
        stored = _mask(count, _SOME)
        found.acknowledged += state.count(OrderState.ACKNOWLEDGED)
        found.unknown += state.count(OrderState.INTENT) + state.count(OrderState.UNKNOWN)
        found.stored += stored.bit_count()
        found.lost += (_mask(state, _ACKNOWLEDGED) & ~stored).bit_count()
        found.phantom += (stored & ~_mask(state, _MAY_EXIST)).bit_count()
        found.duplicated += sum(count.count(n) * (n - 1) for n in set(count) if n > 1)


_STATES = bytes(OrderState)
_SOME = bytes(number > 0 for number in range(256))
_ACKNOWLEDGED = bytes(number == OrderState.ACKNOWLEDGED for number in range(256))
_MAY_EXIST = bytes(number in MAY_EXIST for number in range(256))


def _mask(data: bytes | bytearray, chosen: bytes) -> int:
    """A number with a bit for each byte that is one of the chosen."""
    return int.from_bytes(data.translate(chosen), "little")
