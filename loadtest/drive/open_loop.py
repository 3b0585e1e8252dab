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
costs at most that much lag; a wake-up serves at most `BATCH` arrivals before the loop reads its sockets.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import gevent
from gevent import getcurrent

from loadtest.clock import Clock
from loadtest.drive.start import ArrivalStream
from loadtest.drive.timer import Timer
from loadtest.measure.window import Window
from loadtest.records import EMPTY, NOTHING_TO_DO, OK, SCRIPT_FAILED, Arrival

QUANTUM_NS: Final = 100_000
BATCH: Final = 64
PATIENCE_CHECK_NS: Final = 50_000_000
IDLE_CHECK_NS: Final = 50_000_000
"""With nothing ahead, how soon to look again for a new lease, a new slot, or the end."""


class OpenLoop:
    """Serves one run's arrivals with the users of this process.

    Users may `take` from the moment it exists; nothing is handed out until `begin` says what and when.
    `transactions[i]` tells whether the arrivals of scenario `i` are transactions.
    """

    def __init__(
        self,
        *,
        transactions: Sequence[bool],
        patience_ns: int,
        clock: Clock,
        timer: Callable[[Callable[[], None]], Timer],
    ) -> None:
        self.in_flight = 0
        self.on_dropped: Callable[[Arrival, int], None] | None = None
        """Called with each arrival that is given up before a user was free, and the instant."""
        self._transactions = tuple(transactions)
        self._patience_ns = patience_ns
        self._now_ns = clock.now_ns
        self._idle: list[list[Any]] = [[] for _ in transactions]
        self._backlog: list[deque[tuple[Arrival, int]]] = [deque() for _ in transactions]
        self._timer = timer(self._wake)
        self._hub = gevent.get_hub()
        self._closed = False
        self._zero_ns = 0

    def begin(self, stream: ArrivalStream, window: Window) -> None:
        """Hand out what `stream` holds, from `window.zero_ns` on, and count it in `window`."""
        self.stream = stream
        self.window = window
        self._zero_ns = window.zero_ns
        self._timer.arm(self._now_ns())

    @property
    def backlog(self) -> int:
        """Arrivals that wait for an idle user."""
        return sum(len(queue) for queue in self._backlog)

    @property
    def idle(self) -> int:
        """Users that wait for an arrival."""
        return sum(len(stack) for stack in self._idle)

    def idle_of(self, scenario: int) -> int:
        """Users of one scenario that wait for an arrival."""
        return len(self._idle[scenario])

    def take(self, scenario: int) -> Arrival:
        """Wait for the next arrival of a scenario; called by a user's greenlet, which then serves it."""
        waiting = self._next_waiting(scenario)
        if waiting is not None:
            return waiting
        current = getcurrent()
        idle = self._idle[scenario]
        idle.append(current)
        try:
            arrival: Arrival = self._hub.switch()
        except BaseException:
            if current in idle:  # killed while waiting: it must not be handed an arrival
                idle.remove(current)
            raise
        return arrival

    def finish(self, arrival: Arrival, outcome: str, started_ns: int) -> None:
        """Count an arrival that a user has served since `started_ns`; `outcome` is one of those in `records`."""
        if self._closed:
            return  # it was counted as cancelled when the run was closed
        self.in_flight -= 1
        now_ns = self._now_ns()
        second = self.window.second(now_ns)
        second.busy_us += (now_ns - started_ns) // 1000
        if outcome is OK:
            second.ok += 1
            if self._transactions[arrival.scenario]:
                second.transactions_ok += 1
        elif outcome is NOTHING_TO_DO:
            second.ok += 1  # and no transaction, neither a good nor a bad one
        else:
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
        if self.backlog or self.in_flight:
            now_ns = self._now_ns()
            self.window.second(now_ns).cancelled += self.in_flight
            self.in_flight = 0
            for queue in self._backlog:
                while queue:
                    self._drop(queue.popleft()[0], now_ns)

    def _offset_ns(self) -> int:
        return self._now_ns() - self._zero_ns

    def _wake(self) -> None:
        """Hand out what is due, then arm the timer for what comes next."""
        zero_ns, stream = self._zero_ns, self.stream
        woke_ns = now_ns = self._now_ns()
        for _ in range(BATCH):
            due = stream.due(now_ns - zero_ns)
            if due is None:
                break
            offset_ns, scenario = due
            self._dispatch(Arrival(zero_ns + offset_ns, scenario), now_ns)
            now_ns = self._now_ns()
        self._drop_impatient(now_ns)
        if not self._closed:
            self._timer.arm(self._next_wake_ns(woke_ns, now_ns))

    def _next_wake_ns(self, woke_ns: int, now_ns: int) -> int:
        next_ns = self.stream.peek_ns()
        if next_ns is None or next_ns >= self.stream.lease_ns:
            return now_ns + IDLE_CHECK_NS
        at_ns = max(self._zero_ns + next_ns, woke_ns + QUANTUM_NS)
        return min(at_ns, now_ns + PATIENCE_CHECK_NS)

    def _dispatch(self, arrival: Arrival, now_ns: int) -> None:
        window = self.window
        window.second(arrival.intended_ns).scheduled += 1
        second = window.second(now_ns)
        second.dispatch_lag.record_ns(now_ns - arrival.intended_ns)
        idle = self._idle[arrival.scenario]
        if idle:
            self._count_start(arrival, now_ns, now_ns)
            idle.pop().switch(arrival)
        else:
            self._backlog[arrival.scenario].append((arrival, now_ns))

    def _count_start(self, arrival: Arrival, now_ns: int, reached_ns: int) -> None:
        second = self.window.second(now_ns)
        second.started += 1
        second.queueing.record_ns(now_ns - reached_ns)
        if self._transactions[arrival.scenario]:
            second.transactions_started += 1
        self.in_flight += 1

    def _next_waiting(self, scenario: int) -> Arrival | None:
        queue = self._backlog[scenario]
        if not queue:
            return None
        now_ns = self._now_ns()
        self._drop_impatient(now_ns)
        if not queue:
            return None
        arrival, reached_ns = queue.popleft()
        self._count_start(arrival, now_ns, reached_ns)
        return arrival

    def _drop_impatient(self, now_ns: int) -> None:
        """Drop arrivals that waited longer than a customer would; they count as failed in availability."""
        for queue in self._backlog:
            while queue and now_ns - queue[0][0].intended_ns > self._patience_ns:
                self._drop(queue.popleft()[0], now_ns)

    def _drop(self, arrival: Arrival, now_ns: int) -> None:
        self.window.second(now_ns).dropped += 1
        if self.on_dropped is not None:
            self.on_dropped(arrival, now_ns)
