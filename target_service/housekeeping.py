"""Housekeeping: unpaid orders are cancelled when their reservation ends, idempotency keys expire.

One worker does it, a bounded number of orders at a time, so that customers' batches go in between. Orders are
numbered by time, so what is old enough is a range of numbers, and each sweep begins where the last one ended.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import NamedTuple

from target_service.metrics import Counter
from target_service.orders import first_number_at
from target_service.store.base import CancelUnpaid, ExpireKeys, Store, StoreUnavailableError

log = logging.getLogger("orders.housekeeping")

LONGEST_PAUSE_S = 60.0
SWEEPS_PER_TERM = 10
"""How often a term is looked after within its length: nothing stays longer than a tenth over it."""


class Terms(NamedTuple):
    """How long things last, in seconds; 0 is for ever."""

    reservation_s: float
    key_ttl_s: float

    @property
    def pause_s(self) -> float:
        """The time between two sweeps."""
        terms = [term / SWEEPS_PER_TERM for term in self if term > 0]
        return min([LONGEST_PAUSE_S, *terms])


class Housekeeper:
    """Sweeps one store."""

    def __init__(
        self, store: Store, terms: Terms, cancelled: Counter, wall_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._store = store
        self._terms = terms
        self._cancelled = cancelled
        self._wall_ns = wall_ns
        self._unpaid_from = 0
        self._keys_from = 0

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await asyncio.sleep(self._terms.pause_s)
            try:
                await self.sweep()
            except StoreUnavailableError as error:
                log.warning("housekeeping is put off: %s", error)

    async def sweep(self) -> None:
        """Cancel and expire what is due now. Raises StoreUnavailableError."""
        if self._terms.reservation_s > 0:
            before = self._before(self._terms.reservation_s)
            while cancelled := await self._store.write(CancelUnpaid(self._unpaid_from, before)):
                self._cancelled.add(cancelled)
            self._unpaid_from = before - 1
        if self._terms.key_ttl_s > 0:
            before = self._before(self._terms.key_ttl_s)
            while await self._store.write(ExpireKeys(self._keys_from, before)):
                pass
            self._keys_from = before - 1

    def _before(self, term_s: float) -> int:
        return first_number_at(self._wall_ns() // 1_000_000 - int(term_s * 1000))
