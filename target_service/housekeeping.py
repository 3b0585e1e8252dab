"""Housekeeping: unpaid orders are cancelled when their reservation ends, idempotency keys expire.

One worker of all that share a store does it: the one that keeps the store's clock (`store.sweeps`). It works in
chunks, each a short transaction found by an index, with a rest after each, so that customers' batches go between.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import NamedTuple

from target_service.metrics import Counter
from target_service.store.base import CancelUnpaid, ExpireKeys, StoreUnavailableError, Swept, Tick
from target_service.store.store import Store

log = logging.getLogger("orders.housekeeping")

LONGEST_PAUSE_S = 5.0
SHORTEST_PAUSE_S = 0.05
SWEEPS_PER_TERM = 20
"""How often a term is looked after within its length: nothing stays longer than a fifth over it."""
CHUNK = 500
"""Orders in one transaction: some three milliseconds, which an order that comes just then hardly notices."""
LARGEST_CHUNK = 4000
WANTED_PER_S = 20_000
"""Rows a second, what it waits and rests included: a chunk that did fewer is followed by one of twice as many, for at
15,000 orders a second as many become due. Between the large batches of that rate, large chunks do no harm."""
LONGEST_WORK_S = 0.02
"""A chunk that had the store for longer, on a slow disk, is followed by one of half as many."""
RESTS_PER_CHUNK = 2.0
LONGEST_REST_S = 0.015
"""After each chunk others have the store for twice as long as it had it."""


class Terms(NamedTuple):
    """How long things last, in seconds; 0 is for ever."""

    reservation_s: float
    key_ttl_s: float

    @property
    def pause_s(self) -> float:
        """The time between two sweeps."""
        terms = [max(SHORTEST_PAUSE_S, term / SWEEPS_PER_TERM) for term in self if term > 0]
        return min([LONGEST_PAUSE_S, *terms])


def next_chunk(chunk: int, work_s: float, cycle_s: float) -> int:
    """How many rows come after a chunk that was full: `work_s` is how long it had the store."""
    if work_s > LONGEST_WORK_S:
        return max(CHUNK // 4, chunk // 2)
    per_s = chunk / cycle_s if cycle_s > 0 else WANTED_PER_S
    if per_s < WANTED_PER_S:
        return min(LARGEST_CHUNK, chunk * 2)
    return max(CHUNK, chunk // 2) if per_s > 4 * WANTED_PER_S else chunk


class Housekeeper:
    """Sweeps one store; `now_ns` is a clock that nobody can step."""

    def __init__(
        self, store: Store, terms: Terms, cancelled: Counter, now_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._store = store
        self._terms = terms
        self._cancelled = cancelled
        self._now_ns = now_ns
        self._limit = CHUNK
        self._seen_ms = -1
        self._seen_ns = now_ns()

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            try:
                await self.sweep()
            except Exception as error:
                log.warning(
                    "unpaid orders and old keys wait for the next sweep, in %g s: %s",
                    self._terms.pause_s,
                    error,
                    exc_info=not isinstance(error, StoreUnavailableError),
                )
            await asyncio.sleep(self._terms.pause_s)

    async def sweep(self) -> None:
        """Cancel and expire what is due now, if no other process does. Raises StoreUnavailableError."""
        now_ms = await self._keep_clock()
        if now_ms is None:
            return
        if self._terms.reservation_s > 0:
            due_ms = _due(now_ms, self._terms.reservation_s)
            while cancelled := await self._chunk(CancelUnpaid(due_ms, self._limit)):
                self._cancelled.add(cancelled)
        if self._terms.key_ttl_s > 0:
            due_ms = _due(now_ms, self._terms.key_ttl_s)
            while await self._chunk(ExpireKeys(due_ms, self._limit)):
                pass

    async def _keep_clock(self) -> int | None:
        """What the store's clock shows, in milliseconds; None if another process keeps it."""
        now_ns = self._now_ns()
        elapsed_ms = (now_ns - self._seen_ns) // 1_000_000
        reading = await self._store.write(Tick(self._seen_ms, elapsed_ms, int(2000 * self._terms.pause_s)))
        self._seen_ms, self._seen_ns = reading.now_ms, now_ns
        return reading.now_ms if reading.is_kept else None

    async def _chunk(self, change: CancelUnpaid | ExpireKeys) -> int:
        began_ns = self._now_ns()
        swept: Swept = await self._store.write(change)
        if swept:
            await asyncio.sleep(min(LONGEST_REST_S, RESTS_PER_CHUNK * swept.took_s))
            cycle_s = (self._now_ns() - began_ns) / 1e9
            if swept >= change.limit:
                self._limit = next_chunk(change.limit, swept.took_s, cycle_s)
            if self._now_ns() - self._seen_ns > self._terms.pause_s * 1e9:
                await self._keep_clock()
        return swept


def _due(now_ms: int, term_s: float) -> int:
    """What was stored before this time of the store's clock is due; so is what bears no time, which is 0."""
    return max(1, now_ms - int(term_s * 1000))
