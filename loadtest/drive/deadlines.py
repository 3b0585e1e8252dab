"""Timeouts for ten thousand connections on one timer.

A libev timer per request costs more than parsing its response. Instead every connection carries its
deadline as an integer, and one coarse timer compares them all: a timeout is noticed up to one tick late,
which is a twentieth of the shortest timeout in use, and at most 250 ms.
"""

from collections.abc import Callable
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import gevent

NEVER_NS = 2**63 - 1  # fits where the native core keeps it
_LONGEST_TICK_S = 0.25
_SHORTEST_TICK_S = 0.002
_TICKS_PER_TIMEOUT = 20


class Expiring(Protocol):
    """Something with a deadline."""

    deadline_ns: int

    def expire(self) -> None:
        """The deadline has passed. May switch to another greenlet."""
        ...


class Deadlines:
    """Watches the deadlines of everything added to it, on one event loop."""

    def __init__(self, loop: Any, now_ns: Callable[[], int]) -> None:
        self._loop = loop
        self._now_ns = now_ns
        self._watched: set[Expiring] = set()
        self._tick_s = float("inf")
        self._timer: Any = None

    def add(self, item: Expiring, shortest_timeout_s: float) -> None:
        """Watch `item` until it is discarded; ticks fine enough for its `shortest_timeout_s`."""
        self._watched.add(item)
        tick_s = min(max(shortest_timeout_s / _TICKS_PER_TIMEOUT, _SHORTEST_TICK_S), _LONGEST_TICK_S)
        if tick_s < self._tick_s or self._timer is None:
            self._start_timer(min(tick_s, self._tick_s))

    def discard(self, item: Expiring) -> None:
        """Watch `item` no longer."""
        self._watched.discard(item)
        if not self._watched:
            self._stop_timer()

    def check(self) -> None:
        """Expire everything whose deadline has passed."""
        now_ns = self._now_ns()
        for item in [item for item in self._watched if item.deadline_ns <= now_ns]:
            if item.deadline_ns <= now_ns:  # expiring one may have changed another
                item.expire()

    def _start_timer(self, tick_s: float) -> None:
        self._stop_timer()
        self._tick_s = tick_s
        # ref=False: a process whose only business is this timer may end.
        self._timer = self._loop.timer(tick_s, tick_s, ref=False)
        self._timer.start(self.check)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
            self._timer = None


_by_hub: "WeakKeyDictionary[Any, Deadlines]" = WeakKeyDictionary()


def deadlines_of_hub(now_ns: Callable[[], int]) -> Deadlines:
    """The deadlines watched on the calling thread's event loop."""
    hub = gevent.get_hub()
    deadlines = _by_hub.get(hub)
    if deadlines is None:
        deadlines = _by_hub[hub] = Deadlines(hub.loop, now_ns)
    return deadlines
