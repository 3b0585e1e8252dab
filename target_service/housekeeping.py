"""Housekeeping: unpaid orders are cancelled when their reservation ends, idempotency keys expire.

One worker of all that share a store does it: the one that keeps the store's clock (`store.clock`). It works in
chunks, each a short transaction found by an index, with a rest after each, so that customers' batches go between.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import NamedTuple

from target_service.metrics import Counter
from target_service.orders import first_number_at
from target_service.store.base import CancelUnpaid, ExpireKeys, Store, StoreUnavailableError, Tick

log = logging.getLogger("orders.housekeeping")

LONGEST_PAUSE_S = 5.0
SHORTEST_PAUSE_S = 0.05
SWEEPS_PER_TERM = 20
"""How often a term is looked after within its length: nothing stays longer than a fifth over it."""
CHUNK = 500
"""Orders in one transaction: some three milliseconds, which an order that comes just then hardly notices."""
BUSY_CHUNK = 1500
BUSY_S = 0.05
"""A chunk that took so long waited for a batch of customers' first. Between batches of that size larger chunks do
no harm, and are needed: at 15,000 orders a second as many become due."""
RESTS_PER_CHUNK = 2.0
LONGEST_REST_S = 0.015
"""After each chunk others have the store for twice as long as it took."""


class Terms(NamedTuple):
    """How long things last, in seconds; 0 is for ever."""

    reservation_s: float
    key_ttl_s: float

    @property
    def pause_s(self) -> float:
        """The time between two sweeps."""
        terms = [max(SHORTEST_PAUSE_S, term / SWEEPS_PER_TERM) for term in self if term > 0]
        return min([LONGEST_PAUSE_S, *terms])


class Clocks(NamedTuple):
    """Where the time comes from: the machine's two clocks, in nanoseconds, and how to let it pass."""

    monotonic_ns: Callable[[], int] = time.monotonic_ns
    wall_ns: Callable[[], int] = time.time_ns


class Housekeeper:
    """Sweeps one store."""

    def __init__(self, store: Store, terms: Terms, cancelled: Counter, clocks: Clocks = Clocks()) -> None:  # noqa: B008
        self._store = store
        self._terms = terms
        self._cancelled = cancelled
        self._clocks = clocks
        self._limit = CHUNK
        self._seen_ms = -1
        self._seen_ns = clocks.monotonic_ns()
        # Read once: a step of the wall clock while we run makes nothing older.
        self._wall_less_monotonic_ns = clocks.wall_ns() - self._seen_ns

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            try:
                await self.sweep()
            except StoreUnavailableError as error:
                log.warning("housekeeping is put off: %s", error)
            except Exception:
                log.exception("housekeeping failed; it is tried again")
            await asyncio.sleep(self._terms.pause_s)

    async def sweep(self) -> None:
        """Cancel and expire what is due now, if no other process does. Raises StoreUnavailableError."""
        now_ms = await self._keep_clock()
        if now_ms is None:
            return
        if self._terms.reservation_s > 0:
            due = self._due(now_ms, self._terms.reservation_s)
            while cancelled := await self._chunk(CancelUnpaid(*due, self._limit)):
                self._cancelled.add(cancelled)
        if self._terms.key_ttl_s > 0:
            due = self._due(now_ms, self._terms.key_ttl_s)
            while await self._chunk(ExpireKeys(*due, self._limit)):
                pass

    async def _keep_clock(self) -> int | None:
        """What the store's clock shows, in milliseconds; None if another process keeps it."""
        now_ns = self._clocks.monotonic_ns()
        elapsed_ms = (now_ns - self._seen_ns) // 1_000_000
        tick = Tick(self._seen_ms, elapsed_ms, step_ms=int(2000 * self._terms.pause_s))
        reading = await self._store.write(tick)
        self._seen_ms, self._seen_ns = reading.now_ms, now_ns
        return reading.now_ms if reading.is_kept else None

    async def _chunk(self, change: CancelUnpaid | ExpireKeys) -> int:
        began_ns = self._clocks.monotonic_ns()
        done = await self._store.write(change)
        if done:
            taken_s = (self._clocks.monotonic_ns() - began_ns) / 1e9
            self._limit = BUSY_CHUNK if taken_s > BUSY_S else CHUNK
            await asyncio.sleep(min(LONGEST_REST_S, RESTS_PER_CHUNK * taken_s))
            if self._clocks.monotonic_ns() - self._seen_ns > self._terms.pause_s * 1e9:
                await self._keep_clock()
        return done

    def _due(self, now_ms: int, term_s: float) -> tuple[int, int]:
        """Before what time of the store's clock, and what number where there is none."""
        term_ms = int(term_s * 1000)
        wall_ms = (self._clocks.monotonic_ns() + self._wall_less_monotonic_ns) // 1_000_000
        return now_ms - term_ms, first_number_at(wall_ms - term_ms)
