"""The queues that servers are made of: instants in, instants out. Times are seconds.

`pool` is the queue of the textbooks, in the order of arrival at the first of several workers that is free. `commits`
is how the sample order service (and many a database) writes: whatever waits is written together, so the more wait,
the more is done in the same time. `tests/simulate` holds both against the formulas for M/M/1, M/D/1 and M/M/c.

One server alone needs no loop: its n-th departure is the largest, over k <= n, of arrival k plus all the work from k
to n (D. V. Lindley, 1952), which is a cumulative sum and a running maximum.
"""

from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from heapq import heapreplace
from math import inf
from typing import Any, NamedTuple

import numpy as np

from loadtest.simulate.arrivals import Floats

TINY_S = 1e-9
Indexes = np.ndarray[Any, np.dtype[np.int64]]


class Served(NamedTuple):
    """What became of the arrivals: `done_s[i]` is when arrival `taken[i]` was answered; the others were refused."""

    taken: Indexes
    done_s: Floats
    refused: Indexes
    busy_s: float
    """For how long the server, or the servers together, worked."""
    batches: int


def pool(arrived_s: Floats, service_s: Floats, servers: int, under_way: int | None = None) -> Served:
    """Serve arrivals in their order by `servers` workers; `service_s` is how long each takes.

    Who comes while `under_way` are served or wait is refused; None: nobody is.
    """
    everyone = np.arange(len(arrived_s))
    if under_way is not None:
        return _with_room(arrived_s, service_s, servers, max(under_way, servers))
    done = _alone(arrived_s, service_s) if servers == 1 else _among(arrived_s, service_s, servers)
    return Served(everyone, done, everyone[:0], float(service_s.sum()), len(arrived_s))


def _alone(arrived_s: Floats, service_s: Floats) -> Floats:
    work = np.cumsum(service_s)
    before = work - service_s
    return work + np.maximum.accumulate(arrived_s - before)


def _among(arrived_s: Floats, service_s: Floats, servers: int) -> Floats:
    free = [0.0] * servers
    done: list[float] = []
    append = done.append
    for arrived, service in zip(arrived_s.tolist(), service_s.tolist(), strict=True):
        first = free[0]
        end = (arrived if arrived > first else first) + service
        heapreplace(free, end)
        append(end)
    return np.array(done)


def _with_room(arrived_s: Floats, service_s: Floats, servers: int, under_way: int) -> Served:
    free = [0.0] * servers
    begins: deque[float] = deque()
    """When each of those that wait will begin: ascending, since they are served in their order."""
    taken: list[int] = []
    done: list[float] = []
    for number, (arrived, service) in enumerate(zip(arrived_s.tolist(), service_s.tolist(), strict=True)):
        while begins and begins[0] <= arrived:
            begins.popleft()
        first = free[0]
        if first > arrived:
            if len(begins) >= under_way - servers:
                continue
            begins.append(first)
        end = max(first, arrived) + service
        heapreplace(free, end)
        taken.append(number)
        done.append(end)
    kept = np.array(taken, dtype=np.int64)
    refused = np.setdiff1d(np.arange(len(arrived_s)), kept, assume_unique=True)
    return Served(kept, np.array(done), refused, float(service_s[kept].sum()), len(kept))


class Housekeeping(NamedTuple):
    """Commits that a server makes for itself, each alone: the order service's clock ticks, unpaid orders end."""

    every_s: float
    """From the last of them to the next first one."""
    commits: int = 1
    """So many each time, with one of others' changes between two of them."""
    first_s: float = 0.0


class Commits(NamedTuple):
    """How a group-committing server works."""

    each_s: float
    """What a change adds to its commit: 1 / this is what the server can do at most."""
    largest: int = 1024
    """Changes in a commit at most."""
    most_waiting: int | None = None
    """Changes that may be under way; one more is refused at once. None: any number."""
    refusal_s: float = 0.0
    """What refusing one takes of the server's CPU, idle while a commit waits for the disk (its fixed part)."""
    refusal_share: float = 1.0
    """The most of its time that refusals may take; whoever else is refused waits at the door and costs nothing."""
    housekeeping: Housekeeping | None = None


class _Own:
    """When the next commit of housekeeping is due."""

    def __init__(self, how: Housekeeping | None) -> None:
        self._how = how
        self._due_s = how.first_s if how is not None else inf
        self._left = how.commits if how is not None else 0

    def is_due(self, now_s: float) -> bool:
        """Whether it comes before whatever else waits."""
        return now_s >= self._due_s

    def idle_until(self, until_s: float, now_s: float, fixed_s: Iterator[float]) -> float:
        """Make the commits that are due while no change waits; returns when the last one ends, or `until_s`."""
        while self._due_s < until_s:
            now_s = max(now_s, self._due_s)
            now_s += self.began(now_s, fixed_s)
        return max(now_s, until_s)

    def began(self, now_s: float, fixed_s: Iterator[float]) -> float:
        """Begin one and return how long it takes in s; the next is due after another commit, or a pause."""
        assert self._how is not None  # noqa: S101 - else none is due
        took_s = next(fixed_s)
        self._left -= 1
        if self._left:
            # What is handed over when this one is over comes after all that waits by then: after one more commit.
            self._due_s = now_s + took_s + TINY_S
        else:
            self._left, self._due_s = self._how.commits, now_s + took_s + self._how.every_s
        return took_s


class _Door:
    """Who waits for a commit, who was refused, and who has not come yet."""

    def __init__(self, count: int, most: int) -> None:
        self._most = most
        self._count = count
        self.next = 0
        """The first that has not come."""
        self.held = 0
        """Those under way: they wait, or are in the commit that goes on."""
        self.waiting: deque[tuple[int, int]] = deque()
        self.refused: list[tuple[int, int]] = []

    @property
    def is_open(self) -> bool:
        """Whether anybody waits or is still to come."""
        return self.next < self._count or self.held > 0

    def let_in(self, end: int) -> int:
        """Take in all arrivals before index `end` for which there is room; returns how many were refused."""
        first = self.next
        cut = min(end, first + self._most - self.held)
        if cut > first:
            self.waiting.append((first, cut))
            self.held += cut - first
        if end > cut:
            self.refused.append((cut, end))
        self.next = max(end, first)
        return max(end - cut, 0)


def commits(arrived_s: Floats, fixed_s: Iterator[float], how: Commits) -> Served:
    """Serve arrivals in group commits; `fixed_s` yields how long each commit takes besides its changes.

    A commit takes all that have come by its beginning. It begins when the one before it is over, or when somebody
    comes. Who comes while too many are under way is refused.
    """
    arrived = array("d", arrived_s.tobytes())  # found as fast as in a list, in a quarter of its memory
    count, now = len(arrived), 0.0
    door = _Door(count, how.most_waiting if how.most_waiting is not None else count)
    own = _Own(how.housekeeping)
    batches: list[tuple[int, int, float]] = []
    busy, rounds, refused = 0.0, 0, 0
    while door.is_open:
        if not door.held:
            now = own.idle_until(arrived[door.next], now, fixed_s)
            refused += door.let_in(max(bisect_left(arrived, now, door.next), door.next + 1))
        if own.is_due(now):
            took = own.began(now, fixed_s)
            now += took
            busy += took
            refused += door.let_in(bisect_left(arrived, now, door.next))
        size = min(door.held, how.largest)
        fixed = next(fixed_s)
        took = fixed + how.each_s * size
        refusing = min(refused * how.refusal_s, took * how.refusal_share / max(1 - how.refusal_share, 1e-9))
        took += max(refusing - fixed, 0.0)
        now += took
        busy += took
        rounds += 1
        # Those in this commit are under way until it is over, so they count against `most` while it lasts.
        refused = door.let_in(bisect_left(arrived, now, door.next))
        door.held -= size
        _take(door.waiting, size, now, batches)
    return _served(batches, door.refused, busy, rounds)


def _take(
    waiting: deque[tuple[int, int]], size: int, now: float, batches: list[tuple[int, int, float]]
) -> None:
    """Move the first `size` of those that wait into `batches`."""
    while size:
        first, end = waiting.popleft()
        taken = min(size, end - first)
        batches.append((first, first + taken, now))
        if first + taken < end:
            waiting.appendleft((first + taken, end))
        size -= taken


def _served(
    batches: list[tuple[int, int, float]], refused: list[tuple[int, int]], busy: float, rounds: int
) -> Served:
    taken = _indexes([(first, end) for first, end, _ in batches])
    sizes = [end - first for first, end, _ in batches]
    done = np.repeat(np.array([at for _, _, at in batches], dtype=np.float64), sizes)
    return Served(taken, done, _indexes(refused), busy, rounds)


def _indexes(ranges: list[tuple[int, int]]) -> Indexes:
    """All numbers of the ranges, one after the other."""
    if not ranges:
        return np.arange(0)
    first = np.array([low for low, _ in ranges])
    sizes = np.array([high - low for low, high in ranges])
    starts = np.cumsum(sizes) - sizes
    found: Indexes = np.arange(sizes.sum()) - np.repeat(starts - first, sizes)
    return found
