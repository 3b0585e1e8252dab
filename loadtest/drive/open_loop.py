"""The dispatcher: wakes when an arrival is due and hands it to an idle user, whatever the target does.

In a closed loop a slow target slows the load, and the requests that were never sent are missing from the
percentiles: coordinated omission. Here the schedule alone decides. An arrival that finds no idle user waits in
a queue with its intended instant unchanged; its response time goes on growing while it waits.

Lateness has two causes, and they are recorded apart:

* *dispatch lag*: from the intended instant until the dispatcher got to the arrival. Our fault, always.
* *queueing*: from there until a user was free. The target's fault: users are busy because it is slow. It is
  part of the response time.

The dispatcher is a callback in gevent's hub, not a greenlet: handing over is one switch straight into the
user's greenlet, which runs until it first blocks. Idle users are a stack, so the warmest user, connection and
cache line serve next. At high rates wake-ups are spaced `QUANTUM_NS` apart and serve everything due, which
costs at most that much lag; a wake-up serves at most `BATCH` arrivals, and about `TURN_NS`, before the loop reads
its sockets.

A process that was stopped and wakes finds everything due at once. Sent now, it would be a burst that no plan has: 600
orders in an instant where 300 a second were planned. So an arrival that the dispatcher reaches over `STOOD_STILL_NS`
late, or over the plan's patience, says that it stood still, and all that was due meanwhile is dropped and told.
"""

import gc
from collections.abc import Callable, Sequence
from typing import Final

from loadtest.clock import Clock
from loadtest.drive._core import Dispatch, equip_dispatch
from loadtest.drive.start import ArrivalStream
from loadtest.drive.timer import Timer
from loadtest.measure.histogram import Histogram
from loadtest.measure.second import OpenSeconds
from loadtest.records import EMPTY, NOTHING_TO_DO, OK, SCRIPT_FAILED, Arrival

equip_dispatch(Arrival, Histogram.from_parts, EMPTY, OK)

QUANTUM_NS: Final = 100_000
BATCH: Final = 64
TURN_NS: Final = 50_000_000
"""How long a wake-up may go on: with a script that computes, others (reports above all) must have their turns."""
PATIENCE_CHECK_NS: Final = 50_000_000
STOOD_STILL_NS: Final = 1_000_000_000
"""So late no dispatcher is that merely has much to do: its turns are `TURN_NS` long."""
IDLE_CHECK_NS: Final = 50_000_000
"""With nothing ahead, how soon to look again for a new lease, a new slot, or the end."""


class OpenLoop(Dispatch):
    """Serves one run's arrivals with the users of this process.

    Users may `take` from the moment it exists; nothing is handed out until `begin` says what and when.
    `transactions[i]` tells whether the arrivals of scenario `i` are transactions.
    """

    stream: ArrivalStream
    open_seconds: OpenSeconds

    def __init__(
        self,
        *,
        transactions: Sequence[bool],
        patience_ns: int,
        clock: Clock,
        timer: Callable[[Callable[[], None]], Timer],
    ) -> None:
        super().__init__(transactions, patience_ns, clock.now_ns, BATCH, TURN_NS)
        self.stood_still_ns = min(patience_ns, STOOD_STILL_NS)
        self.missed = 0
        """Arrivals that were dropped because this process stood still when they were due."""
        self.on_dropped: Callable[[Arrival, int], None] | None = None
        """Called with each arrival that is given up before a user was free, and the instant."""
        self._now_ns = clock.now_ns
        self._timer = timer(self.wake)

    def begin(self, stream: ArrivalStream, open_seconds: OpenSeconds) -> None:
        """Hand out what `stream` holds, from `open_seconds.zero_ns` on, and count it in `open_seconds`."""
        # Exclude all objects made so far (users, Locust, its web server) from garbage collection, since they live as
        # long as the run: a full collection of them takes tens of milliseconds, in which nothing is dispatched.
        gc.freeze()
        self.stream = stream
        self.count_in(open_seconds)
        self._timer.arm(self._now_ns())

    @property
    def idle(self) -> int:
        """Users that wait for an arrival."""
        return sum(len(stack) for stack in self._idle)

    def idle_of(self, scenario: int) -> int:
        """Users of one scenario that wait for an arrival."""
        return len(self._idle[scenario])

    def _count_end(self, arrival: Arrival, outcome: str, now_ns: int) -> None:
        """Count an arrival that has ended, but not as most do."""
        second = self.open_seconds.second(now_ns)
        if outcome is NOTHING_TO_DO:
            second.ok += 1  # and no transaction, neither a good nor a bad one
            return
        if outcome is EMPTY:
            second.empty += 1
        else:
            second.failed += 1
            second.failed_in_script += outcome is SCRIPT_FAILED
        if self._transactions[arrival.scenario]:
            second.transactions_failed += 1

    def drained(self) -> bool:
        """True when the schedule has ended and nothing is waiting or in flight."""
        return self.stream.exhausted(self._offset_ns()) and not self.backlog and not self.in_flight

    def close(self) -> None:
        """End now: what waits is dropped, what is in flight is cancelled. Nothing is counted afterwards."""
        if self._closed:
            return
        self._closed = True
        self._timer.close()
        gc.unfreeze()
        if self.backlog or self.in_flight:
            now_ns = self._now_ns()
            self.open_seconds.second(now_ns).cancelled += self.in_flight
            self.in_flight = 0
            self.drop_all(now_ns)

    def _offset_ns(self) -> int:
        return self._now_ns() - self._zero_ns

    def _next_wake_ns(self, woke_ns: int, now_ns: int) -> int:
        next_ns = self.stream.peek_ns()
        if next_ns is None or next_ns >= self.stream.lease_ns:
            return now_ns + IDLE_CHECK_NS
        at_ns = max(self._zero_ns + next_ns, woke_ns + QUANTUM_NS)
        return min(at_ns, now_ns + PATIENCE_CHECK_NS)

    def _miss(self, now_ns: int) -> None:
        """Drop all that was due while this process stood still."""
        offset_ns = now_ns - self._zero_ns
        while (due := self.stream.due(offset_ns)) is not None:
            arrival = Arrival(self._zero_ns + due[0], due[1])
            self.open_seconds.second(arrival.intended_ns).scheduled += 1
            self.open_seconds.second(now_ns).dispatch_lag.record_ns(now_ns - arrival.intended_ns)
            self.missed += 1
            self._drop(arrival, now_ns)

    def _drop(self, arrival: Arrival, now_ns: int) -> None:
        self.open_seconds.second(now_ns).dropped += 1
        if self.on_dropped is not None:
            self.on_dropped(arrival, now_ns)
