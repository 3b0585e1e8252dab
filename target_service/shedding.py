"""Shedding: how many changes may be under way before another is refused at once.

The limit follows Little's law, as Sentinel's adaptive protection does (S[49][50] of TRAFFIC): what a system
can hold without a queue is its highest rate times its shortest response time, in-flight <= max rate x min
RTT, both over the last seconds. Two things are added for a store that commits in groups. A lone order's
response time says nothing of a full batch's, so the time is at least `LEAST_RTT_S`. And the limit binds only
while there is a queue (answers take longer than `QUEUE_RTT_S`, or none came for as long): at midnight the
rate jumps by two orders of magnitude (S[24]), and a limit learnt from the quiet before would refuse the first
orders of the day.

A place is taken only for the time in the store: who is slow to send a body takes nobody's place. Time is
injected, in nanoseconds of the monotonic clock.
"""

from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple

LEAST_RTT_S = 0.05
QUEUE_RTT_S = 0.1
LEAST_LIMIT = 64
BUCKET_NS = 250_000_000
BUCKETS = 20
"""Five seconds of memory: long enough to see full batches, short enough to notice a slower disk."""


TOO_MUCH = "more is under way than the store can take"
"""What a refused caller is told."""


class OverloadedError(Exception):
    """More is under way than the store can take."""


class _Bucket(NamedTuple):
    rate_per_s: float
    rtt_s: float


class AdaptiveLimit:
    """Admits changes while the store keeps up."""

    def __init__(self, most_in_flight: int, now_ns: Callable[[], int]) -> None:
        self._most = most_in_flight
        self._now_ns = now_ns
        self._in_flight = 0
        self._history: deque[_Bucket] = deque(maxlen=BUCKETS)
        self._bucket_from_ns = now_ns()
        self._answered = 0
        self._waited_ns = 0
        self._last_rtt_ns = 0
        self._last_answer_ns = now_ns()
        self._limit = float(most_in_flight)

    @property
    def limit(self) -> float:
        """How many changes may be under way while there is a queue."""
        return self._limit

    def is_full(self) -> bool:
        """Whether a change that came now would be refused."""
        return self._in_flight >= LEAST_LIMIT and self._is_too_much(self._now_ns())

    def place(self) -> "Place":
        """Take a place for the length of a `with`. Raises OverloadedError if there is none."""
        began_ns = self.admit()
        if began_ns is None:
            raise OverloadedError(TOO_MUCH)
        return Place(self, began_ns)

    def admit(self) -> int | None:
        """Let a change begin: the instant it began, to be given to `done`; None if it must be refused."""
        now_ns = self._now_ns()
        if self._in_flight >= LEAST_LIMIT and self._is_too_much(now_ns):
            return None
        if self._in_flight == 0:
            self._last_answer_ns = now_ns
        self._in_flight += 1
        return now_ns

    def done(self, began_ns: int) -> None:
        """A change that was admitted has its answer."""
        now_ns = self._now_ns()
        self._in_flight -= 1
        self._answered += 1
        self._last_rtt_ns = now_ns - began_ns
        self._waited_ns += self._last_rtt_ns
        self._last_answer_ns = now_ns
        if now_ns - self._bucket_from_ns >= BUCKET_NS:
            self._close_bucket(now_ns)

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

    def _close_bucket(self, now_ns: int) -> None:
        seconds = (now_ns - self._bucket_from_ns) / 1e9
        rtt_s = self._waited_ns / self._answered / 1e9
        self._history.append(_Bucket(self._answered / seconds, rtt_s))
        self._bucket_from_ns, self._answered, self._waited_ns = now_ns, 0, 0
        fastest = max(bucket.rate_per_s for bucket in self._history)
        shortest = max(LEAST_RTT_S, min(bucket.rtt_s for bucket in self._history))
        self._limit = max(LEAST_LIMIT, fastest * shortest)


class Place:
    """A change's place among those under way."""

    __slots__ = ("_began_ns", "_limit")

    def __init__(self, limit: AdaptiveLimit, began_ns: int) -> None:
        self._limit = limit
        self._began_ns = began_ns

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._limit.done(self._began_ns)
        else:
            self._limit.gave_up()
