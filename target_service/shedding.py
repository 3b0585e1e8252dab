"""Shedding: how many changes may be under way before another is refused at once.

The limit follows Little's law, as Sentinel's adaptive protection does (S[49][50] of docs/traffic.md): what is under
way is the rate times the time each change takes. Sentinel takes the highest rate and the shortest response time of
the last seconds. That fails with a store that commits in groups, which commits the more, in the same time, the more
changes wait: the rule would halve its rate for good. So here the time is a constant, and the store's rate and batch
size are measured: `SHORT_QUEUE_S` of work may wait at any store, and at a slower one there is room for `BATCHES`
batches, at most `LONG_QUEUE_S`.

The limit binds only while there is a queue (answers take longer than `QUEUE_RTT_S`, or none came for as long): at
midnight the rate jumps by two orders of magnitude (S[24]), and a limit learned in the quiet before would refuse the
first orders of the day. A change takes a place only for its time in the store: a client that sends its body slowly
takes none. Time is injected, in nanoseconds of the monotonic clock.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

SHORT_QUEUE_S = 0.5
LONG_QUEUE_S = 2.0
BATCHES = 2.5
"""Two would keep a limit as it is, whatever it is: one batch written, one gathering."""
QUEUE_RTT_S = 0.1
LEAST_LIMIT = 64
BUCKET_S = 0.25
ERA_S = 3.0
"""What the store did in this era and the one before counts: long enough to see full batches, short enough to notice a
slower disk."""

LARGEST_CROWD = 4000
"""Of one worker. From 6,000 connections two workers take 0.88 to 1.07 as many orders as from 600; with 2000 it was
0.80 to 0.85, and /healthz was as quick either way (`python -m benchmarks.service.crowd`)."""
LEAST_CROWD = 256
"""Some 50 ms of work: if the loop is late with so few, it is not they that delay it."""
SHORT_LAG_S = 0.02
LONG_LAG_S = 0.25
CROWD_GROWS = 1.25
"""Every tenth of a second, or once in a turn that is longer."""

REFUSALS_PER_CPU_S = 2000
BURST_OF_REFUSALS = 200.0
"""By one worker: at 25 us each, 5 % of the CPU that it gets, be that a core or, on a busy machine, a tenth of one."""
HELD_BACK_S = 0.01
"""How often refusals are sent that had to wait."""
MOST_AT_ONCE = 200
"""Some 2 ms of them."""
CUT_OFFS_PER_S = 10
"""By one worker: an answer of 408 to a connection that is then made anew costs 0.7 ms, so less than a hundredth of
its time, where fifty were one in thirty. Who waits for its turn keeps its connection, and may still finish."""

TOO_MUCH = "too many requests are under way; try again later"
"""The detail of a refusal."""


class AdaptiveLimit:
    """Admits changes while the store keeps up; told by the store of its commits (a CommitObserver)."""

    def __init__(self, most_in_flight: int, now_ns: Callable[[], int]) -> None:
        self._most = most_in_flight
        self._now_ns = now_ns
        self._in_flight = 0
        self._last_rtt_ns = 0
        self._last_answer_ns = now_ns()
        self._limit = float(most_in_flight)
        self._best = self._best_before = (0.0, 0.0)
        """The highest rate a second, and the largest mean batch, of this era and of the one before."""
        self._bucket_from_ns = self._era_from_ns = now_ns()
        self._changes = self._commits = 0

    @property
    def limit(self) -> float:
        """How many changes may be under way while there is a queue."""
        return self._limit

    def is_full(self) -> bool:
        """Whether a change that came now would be refused."""
        return self._in_flight >= LEAST_LIMIT and self._is_too_much(self._now_ns())

    def admit(self) -> int | None:
        """Admit a change: the instant it began, which `done` wants; None if it must be refused."""
        now_ns = self._now_ns()
        if self._in_flight >= LEAST_LIMIT and self._is_too_much(now_ns):
            return None
        if self._in_flight == 0:
            self._last_answer_ns = now_ns
        self._in_flight += 1
        return now_ns

    def done(self, began_ns: int) -> None:
        """A change that was admitted has its answer."""
        self._last_answer_ns = self._now_ns()
        self._last_rtt_ns = self._last_answer_ns - began_ns
        self._in_flight -= 1

    def gave_up(self) -> None:
        """A change that was admitted was not made; it says nothing of how fast the store is."""
        self._in_flight -= 1

    def _is_too_much(self, now_ns: int) -> bool:
        if self._in_flight >= self._most:
            return True
        return self._has_queue(now_ns) and self._in_flight >= self._limit

    def _has_queue(self, now_ns: int) -> bool:
        queue_ns = QUEUE_RTT_S * 1e9
        return self._last_rtt_ns > queue_ns or now_ns - self._last_answer_ns > queue_ns

    def committed(self, changes: int, _seconds: float, _proves: bool = True) -> None:
        """A batch was made durable."""
        now_ns = self._now_ns()
        self._changes += changes
        self._commits += 1
        seconds = (now_ns - self._bucket_from_ns) / 1e9
        if seconds >= BUCKET_S:
            if now_ns - self._era_from_ns >= ERA_S * 1e9:
                self._best_before, self._best, self._era_from_ns = self._best, (0.0, 0.0), now_ns
            rate_per_s, batch = self._changes / seconds, self._changes / self._commits
            self._best = max(self._best[0], rate_per_s), max(self._best[1], batch)
            fastest_per_s, largest = map(max, self._best, self._best_before)
            batches = min(BATCHES * largest, LONG_QUEUE_S * fastest_per_s)
            self._limit = max(LEAST_LIMIT, SHORT_QUEUE_S * fastest_per_s, batches)
            self._bucket_from_ns, self._changes, self._commits = now_ns, 0, 0

    def failed(self) -> None:
        """A batch was not made durable; it says nothing of how fast the store is."""


class Crowd:
    """How many requests may wait for the event loop at a time, whatever they ask for.

    Each of them delays every other. So more are let in while the loop is on time. While its timers are late there
    are as many fewer as they are later than they may be, down to `LEAST_CROWD`, which are let in however late it is:
    on a machine that others use too, a worker that refused everybody would do nothing else. The rest is refused,
    which costs a twentieth of serving it.
    """

    def __init__(self) -> None:
        self.waiting = 0
        """Requests that came whole and have no answer yet."""
        self._largest = 0
        self._most = float(LARGEST_CROWD)
        self._lag_s = 0.0

    def joined(self) -> None:
        """One more waits."""
        self.waiting += 1
        self._largest = max(self._largest, self.waiting)

    def left(self) -> None:
        """One waits no longer."""
        self.waiting -= 1

    def is_full(self) -> bool:
        """Whether a request that came now would be refused."""
        return self.waiting >= self._most

    def is_busy(self) -> bool:
        """Whether enough wait that one more would notice it."""
        return self.waiting >= LEAST_LIMIT

    def is_late(self) -> bool:
        """Whether the loop is so late that refusals are spread out too; otherwise each is sent at once."""
        return self._lag_s > SHORT_LAG_S or self.is_full()

    def note_lag(self, lag_s: float) -> None:
        """A timer of the event loop was so late."""
        self._lag_s = lag_s
        if lag_s > LONG_LAG_S:
            self._most = max(LEAST_CROWD, min(self._most, self._largest) * LONG_LAG_S / lag_s)
        elif lag_s < LONG_LAG_S / 2:
            self._most = min(LARGEST_CROWD, CROWD_GROWS * self._most)
        self._largest = self.waiting


class Pace:
    """How fast refusals may be told. A client that asks again at once is refused again, and a crowd of them could
    keep the loop busy with nothing else; a client that is told a little later asks a little later. The clock is the
    CPU's."""

    def __init__(self, crowd: Crowd, cpu_s: Callable[[], float] = time.thread_time) -> None:
        """Only while the `crowd` makes the loop late."""
        self._crowd = crowd
        self._cpu_s = cpu_s
        self._free = BURST_OF_REFUSALS
        self._since_s = cpu_s()
        self._held_back: deque[Callable[[], None]] = deque()

    def hold_back(self, send: Callable[[], None]) -> None:
        """Have a refusal sent as soon as it is its turn, by which time it may have been sent otherwise."""
        if not self._held_back:
            self._look_later()
        self._held_back.append(send)

    def may_tell(self) -> bool:
        """Whether a refusal may be sent at once."""
        return not self._held_back and self._take()

    def _take(self) -> bool:
        if not self._crowd.is_late():
            return True
        if self._free < 1:
            cpu_s = self._cpu_s()
            self._free = min(BURST_OF_REFUSALS, self._free + (cpu_s - self._since_s) * REFUSALS_PER_CPU_S)
            self._since_s = cpu_s
            if self._free < 1:
                return False
        self._free -= 1
        return True

    def _look_later(self) -> None:
        asyncio.get_running_loop().call_later(HELD_BACK_S, self._send_held_back)

    def _send_held_back(self) -> None:
        for _ in range(min(len(self._held_back), MOST_AT_ONCE)):
            if not self._take():
                break
            self._held_back.popleft()()
        if self._held_back:
            self._look_later()


class Turns:
    """Spreads over time what a crowd would make happen at one instant; `now_s` is a clock that nobody steps."""

    def __init__(self, per_s: float, now_s: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._now_s = now_s
        self._free_s = now_s()

    def take(self) -> float:
        """Take the next turn: how many seconds it is away."""
        now_s = self._now_s()
        turn_s = max(now_s, self._free_s)
        self._free_s = turn_s + 1 / self._per_s
        return turn_s - now_s
