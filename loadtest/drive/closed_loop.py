"""A dispatcher without a schedule: the next arrival comes when one is over. What a machine's probe needs.

It takes the place of `open_loop.OpenLoop` beneath a `Serving`, so that a probe runs users, task sets and clients
exactly as a run does. Scenarios come in a fixed order, whatever each takes, so that their proportions stay: as many
arrivals are under way at once as was asked for, and the next in the order waits for a user of its own scenario.
"""

from collections.abc import Callable, Iterator
from typing import Any

import gevent
from gevent import getcurrent

from loadtest.clock import Clock
from loadtest.records import FAILED, OK, SCRIPT_FAILED, Arrival


class ClosedLoop:
    """Hands out arrivals of `scenarios` in `order`, endlessly, `at_once` of them under way."""

    def __init__(self, order: Iterator[int], scenarios: int, at_once: int, clock: Clock) -> None:
        self.on_dropped: Callable[[Arrival, int], None] | None = None
        """Never called: nothing waits here for so long that it would be given up."""
        self.ok = [0] * scenarios
        """Arrivals of each scenario that have ended well."""
        self.failed = 0
        """Arrivals that have failed, in a request or in the script."""
        self.in_flight = 0
        self._order = order
        self._at_once = at_once
        self._now_ns = clock.now_ns
        self._idle: list[list[Any]] = [[] for _ in range(scenarios)]
        self._next = next(order)
        self._hub = gevent.get_hub()
        self._running = False
        self._waking = False

    def start(self) -> None:
        """Begin to hand out arrivals; users may `take` before."""
        self._running = True
        self._wake_soon()

    def stop(self) -> None:
        """Hand out no more."""
        self._running = False

    @property
    def idle(self) -> int:
        """Users that wait for an arrival."""
        return sum(len(stack) for stack in self._idle)

    def take(self, scenario: int) -> Arrival:
        """Wait for the next arrival of a scenario; called by a user's greenlet, which then serves it."""
        current = getcurrent()
        idle = self._idle[scenario]
        idle.append(current)
        self._wake_soon()
        try:
            arrival: Arrival = self._hub.switch()
        except BaseException:
            if current in idle:  # killed while waiting
                idle.remove(current)
            raise
        return arrival

    def finish(self, arrival: Arrival, outcome: str, started_ns: int) -> None:  # noqa: ARG002 - as OpenLoop's
        """Count an arrival that a user has served to its end."""
        self.in_flight -= 1
        if outcome is OK:
            self.ok[arrival.scenario] += 1
        self.failed += outcome in (FAILED, SCRIPT_FAILED)
        self._wake_soon()

    def _wake_soon(self) -> None:
        """Look for what can be handed out once the hub gets to it: users are switched to from there."""
        if self._running and not self._waking:
            self._waking = True
            self._hub.loop.run_callback(self._wake)

    def _wake(self) -> None:
        self._waking = False
        while self._running and self.in_flight < self._at_once and self._idle[self._next]:
            scenario, self._next = self._next, next(self._order)
            self.in_flight += 1
            self._idle[scenario].pop().switch(Arrival(self._now_ns(), scenario))
