"""The queues that servers are made of: instants in, instants out. Times are seconds.

`pool` is the queue of the textbooks, in the order of arrival at the first of several workers that is free. `commits`
is how the sample order service (and many a database) writes: whatever waits is written together, so the more wait,
the more is done in the same time. `tests/simulate` holds both against the formulas for M/M/1, M/D/1 and M/M/c.

One server alone needs no loop: its n-th departure is the largest, over k <= n, of arrival k plus all the work from k
to n (D. V. Lindley, 1952), which is a cumulative sum and a running maximum.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from heapq import heapreplace
from typing import Any, NamedTuple

import numpy as np

from loadtest.simulate.arrivals import Floats

Indexes = np.ndarray[Any, np.dtype[np.int64]]


class Served(NamedTuple):
    """What became of the arrivals: `done_s[i]` is when arrival `taken[i]` was answered; the others were refused."""

    taken: Indexes
    done_s: Floats
    refused: Indexes
    busy_s: float
    """For how long the server, or the servers together, worked."""
    batches: int


def pool(arrived_s: Floats, service_s: Floats, servers: int) -> Served:
    """Serve arrivals in their order by `servers` workers; `service_s` is how long each takes."""
    done = _alone(arrived_s, service_s) if servers == 1 else _among(arrived_s, service_s, servers)
    everyone = np.arange(len(arrived_s))
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


class Commits(NamedTuple):
    """How a group-committing server works."""

    each_s: float
    """What a change adds to its commit: 1 / this is what the server can do at most."""
    largest: int = 1024
    """Changes in a commit at most."""
    most_waiting: int | None = None
    """Changes that may be under way; one more is refused at once. None: any number."""
    refusal_s: float = 0.0
    """What refusing one takes from the server's time."""
    refusal_share: float = 1.0
    """The most of its time that refusals may take; whoever else is refused waits at the door and costs nothing."""


def commits(arrived_s: Floats, fixed_s: Iterator[float], how: Commits) -> Served:
    """Serve arrivals in group commits; `fixed_s` yields how long each commit takes besides its changes.

    A commit takes all that have come by its beginning. It begins when the one before it is over, or when somebody
    comes. Who comes while too many are under way is refused.
    """
    arrived = arrived_s.tolist()
    count, next_index, now = len(arrived), 0, 0.0
    waiting: deque[tuple[int, int]] = deque()
    held = 0
    batches: list[tuple[int, int, float]] = []
    refused: list[tuple[int, int]] = []
    busy, rounds, owed = 0.0, 0, 0.0
    most = how.most_waiting if how.most_waiting is not None else count
    while next_index < count or held:
        if not held:
            now = max(now, arrived[next_index])
        here = bisect_left(arrived, now, next_index) if next_index < count else count
        here = max(here, next_index + 1) if not held else here
        admitted = min(here - next_index, most - held)
        if admitted > 0:
            waiting.append((next_index, next_index + admitted))
            held += admitted
        if next_index + admitted < here:
            refused.append((next_index + admitted, here))
            owed += how.refusal_s * (here - next_index - admitted)
        next_index = here
        size = min(held, how.largest)
        took = next(fixed_s) + how.each_s * size
        spent = min(owed, took * how.refusal_share / max(1 - how.refusal_share, 1e-9))
        owed = 0.0
        now += took + spent
        busy += took + spent
        rounds += 1
        # Those in this commit are under way until it is over, so they count against `most` while it lasts.
        late = bisect_left(arrived, now, next_index) if next_index < count else count
        room = most - held
        if late - next_index > room:
            cut = next_index + max(room, 0)
            if cut > next_index:
                waiting.append((next_index, cut))
                held += cut - next_index
            refused.append((cut, late))
            owed += how.refusal_s * (late - cut)
            next_index = late
        held -= size
        _take(waiting, size, now, batches)
    return _served(batches, refused, busy, rounds)


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
