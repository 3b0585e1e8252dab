"""The dispatcher of due arrivals, in Python: the twin of `dispatch.pxi`."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import gevent
from greenlet import getcurrent

from loadtest.records import OK, Arrival


class Dispatch:
    """Who waits for an arrival, which arrivals wait for a user, and what has become of both.

    `transactions[i]` tells whether the arrivals of scenario `i` are transactions; a wake-up hands out at most
    `most_at_once`, and no more once it has taken `longest_turn_ns`. An arrival waits for `patience_ns` at most. When
    to wake is `OpenLoop`'s, and what to do about arrivals that are reached over `stood_still_ns` late.
    """

    open_seconds: Any
    stream: Any
    stood_still_ns: int
    _timer: Any

    def __init__(
        self,
        transactions: Sequence[bool],
        patience_ns: int,
        now_ns: Callable[[], int],
        most_at_once: int,
        longest_turn_ns: int,
    ) -> None:
        self.in_flight = 0
        self._patience_ns = patience_ns
        self._transactions = tuple(transactions)
        self._now_ns = now_ns
        self._most_at_once = most_at_once
        self._longest_turn_ns = longest_turn_ns
        self._idle: list[list[Any]] = [[] for _ in transactions]
        self._backlog: list[deque[tuple[Arrival, int]]] = [deque() for _ in transactions]
        self._hub = gevent.get_hub()
        self._closed = False
        self._zero_ns = 0

    def _drop(self, arrival: Arrival, now_ns: int) -> None:
        raise NotImplementedError

    def _miss(self, now_ns: int) -> None:
        raise NotImplementedError

    def _next_wake_ns(self, woke_ns: int, now_ns: int) -> int:
        raise NotImplementedError

    def _count_end(self, arrival: Arrival, outcome: str, now_ns: int) -> None:
        raise NotImplementedError

    @property
    def backlog(self) -> int:
        """Arrivals that wait for an idle user."""
        return sum(len(queue) for queue in self._backlog)

    def count_in(self, open_seconds: Any) -> None:
        """Count in `open_seconds` from now on."""
        self.open_seconds, self._zero_ns = open_seconds, open_seconds.zero_ns

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
        second = self.open_seconds.second(now_ns)
        second.busy_us += (now_ns - started_ns) // 1000
        if outcome is not OK:
            self._count_end(arrival, outcome, now_ns)
            return
        second.ok += 1
        if self._transactions[arrival.scenario]:
            second.transactions_ok += 1

    def wake(self) -> None:
        """Hand out what is due, then arm the timer for what comes next."""
        zero_ns, stream = self._zero_ns, self.stream
        woke_ns = now_ns = self._now_ns()
        if now_ns - zero_ns - self.stood_still_ns > stream.ahead_ns:
            self._miss(now_ns)
        for _ in range(self._most_at_once):
            due = stream.due(now_ns - zero_ns)
            if due is None:
                break
            offset_ns, scenario = due
            self._dispatch(Arrival(zero_ns + offset_ns, scenario), now_ns)
            now_ns = self._now_ns()
            if now_ns - woke_ns > self._longest_turn_ns:
                break
        self._drop_impatient(now_ns)
        if not self._closed:
            self._timer.arm(self._next_wake_ns(woke_ns, now_ns))

    def hand_in(self) -> None:
        """Put what has been counted into its seconds: it is there."""

    def drop_all(self, now_ns: int) -> None:
        """Drop whatever waits for a user."""
        for queue in self._backlog:
            while queue:
                self._drop(queue.popleft()[0], now_ns)

    def _drop_impatient(self, now_ns: int) -> None:
        """Drop arrivals that waited longer than a customer would; they count as failed in availability."""
        for queue in self._backlog:
            while queue and now_ns - queue[0][0].intended_ns > self._patience_ns:
                self._drop(queue.popleft()[0], now_ns)

    def _dispatch(self, arrival: Arrival, now_ns: int) -> None:
        open_seconds = self.open_seconds
        open_seconds.second(arrival.intended_ns).scheduled += 1
        second = open_seconds.second(now_ns)
        second.dispatch_lag.record_ns(now_ns - arrival.intended_ns)
        idle = self._idle[arrival.scenario]
        if idle:
            self._count_start(arrival, now_ns, now_ns)
            idle.pop().switch(arrival)
        else:
            self._backlog[arrival.scenario].append((arrival, now_ns))

    def _count_start(self, arrival: Arrival, now_ns: int, reached_ns: int) -> None:
        second = self.open_seconds.second(now_ns)
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


def equip_dispatch(*_tools: Any) -> None:
    """Tell a native core which Python classes it makes arrivals of; here nothing is to be told."""
