"""Schedules: the intended instant of every arrival, for any slot of any number of slots.

A schedule turns a profile into instants: integers of nanoseconds from the plan's time zero. A *slot* is one
of the equal shares that the plan is dealt out in, one to a worker. When the number of workers changes at an
instant T, the old slots are asked for arrivals up to T and the new ones for those from T on; intervals are
half-open, [from, to), and an arrival's instant never depends on who asks, so no arrival falls between them
and none is served twice.

Both kinds compute a few hundred instants at a time, since in Python a loop inside a list comprehension costs
a fraction of a call per item; see `benchmarks/schedule.py` for what an arrival costs.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import accumulate, chain
from math import ceil, floor, log
from random import Random
from typing import Protocol

from loadtest.plan.profile import Profile

CHUNK = 256
"""Arrivals computed at a time: enough to spread the cost, few enough (0.1 ms) not to delay a dispatch."""

NS = 1_000_000_000


class Schedule(Protocol):
    """When arrivals are due. Instants are integer nanoseconds from the plan's time zero."""

    def chunks(
        self, slot: int, slots: int, from_ns: int = 0, to_ns: int | None = None
    ) -> Iterator[list[int]]:
        """The arrivals of `slot` of `slots` in [from_ns, to_ns), ascending, in lists that are never empty.

        `to_ns` of None means to the end of the profile. Raises ValueError unless
        0 <= slot < slots.
        """
        ...

    def arrivals(self, slot: int, slots: int, from_ns: int = 0, to_ns: int | None = None) -> Iterator[int]:
        """The same arrivals one by one."""
        ...

    def count(self, slot: int, slots: int, from_ns: int = 0, to_ns: int | None = None) -> int:
        """How many `arrivals` yields for the same arguments."""
        ...


class Uniform:
    """Arrivals as even as the profile allows: number n comes when the cumulative reaches n + 1/2.

    Slot i of N takes the numbers n = i (mod N), so the union of the slots is the global schedule for every N.
    """

    def __init__(self, profile: Profile) -> None:
        """Schedule `profile`."""
        self._profile = profile
        self._total = max(ceil(profile.cumulative(profile.duration_s) - 0.5), 0)

    def chunks(
        self, slot: int, slots: int, from_ns: int = 0, to_ns: int | None = None
    ) -> Iterator[list[int]]:
        """The arrivals of a slot in lists; see `Schedule.chunks`."""
        numbers = self._numbers(slot, slots, from_ns, to_ns)
        inverses = self._profile.inverses
        for k in range(0, len(numbers), CHUNK):
            instants_s = inverses([n + 0.5 for n in numbers[k : k + CHUNK]])
            yield [int(t_s * NS + 0.5) for t_s in instants_s]

    def arrivals(self, slot: int, slots: int, from_ns: int = 0, to_ns: int | None = None) -> Iterator[int]:
        """The arrivals of a slot one by one; see `Schedule.arrivals`."""
        return chain.from_iterable(self.chunks(slot, slots, from_ns, to_ns))

    def count(self, slot: int, slots: int, from_ns: int = 0, to_ns: int | None = None) -> int:
        """How many `arrivals` yields, without computing them."""
        return len(self._numbers(slot, slots, from_ns, to_ns))

    def _numbers(self, slot: int, slots: int, from_ns: int, to_ns: int | None) -> range:
        """The arrival numbers of a slot in [from_ns, to_ns)."""
        _check_slot(slot, slots)
        first = self._first_at(from_ns)
        last = self._total if to_ns is None else self._first_at(to_ns)
        return range(first + (slot - first) % slots, last, slots)

    def _first_at(self, instant_ns: int) -> int:
        """The first arrival number due at `instant_ns` or later.

        The cumulative says which, but for a rounding; whoever asks must get the same answer as the instants
        themselves give, so those decide.
        """
        n = min(max(floor(self._profile.cumulative(instant_ns / NS) + 0.5), 0), self._total)
        while n > 0 and self._instant_ns(n - 1) >= instant_ns:
            n -= 1
        while n < self._total and self._instant_ns(n) < instant_ns:
            n += 1
        return n

    def _instant_ns(self, n: int) -> int:
        return int(self._profile.inverse(n + 0.5) * NS + 0.5)


class Poisson:
    """Arrivals as a crowd makes them: independent of one another, at the profile's rate.

    Slot i of N is a Poisson process of its own at 1/N of the rate; independent processes add up to one at the
    whole rate. Each is reproducible from the seed, the slot, the number of slots and `from_ns`. Since the
    process has no memory, a new epoch at T starts new processes at T and the whole stays exactly Poisson.
    """

    def __init__(self, profile: Profile, seed: int | str) -> None:
        """Schedule `profile`; equal seeds give equal arrivals on every machine and Python version."""
        self._profile = profile
        self._seed = seed
        self._total = profile.cumulative(profile.duration_s)

    def chunks(
        self, slot: int, slots: int, from_ns: int = 0, to_ns: int | None = None
    ) -> Iterator[list[int]]:
        """The arrivals of a slot in lists; see `Schedule.chunks`."""
        _check_slot(slot, slots)
        for numbers in self._numbers(slot, slots, from_ns):
            instants_ns = [int(t_s * NS + 0.5) for t_s in self._profile.inverses(numbers)]
            if to_ns is not None and instants_ns and instants_ns[-1] >= to_ns:
                instants_ns = instants_ns[: bisect_left(instants_ns, to_ns)]
                yield from filter(None, [instants_ns])
                return
            yield instants_ns

    def arrivals(self, slot: int, slots: int, from_ns: int = 0, to_ns: int | None = None) -> Iterator[int]:
        """The arrivals of a slot one by one; see `Schedule.arrivals`."""
        return chain.from_iterable(self.chunks(slot, slots, from_ns, to_ns))

    def count(self, slot: int, slots: int, from_ns: int = 0, to_ns: int | None = None) -> int:
        """How many `arrivals` yields, by replaying them: a third of a second a million."""
        return sum(map(len, self.chunks(slot, slots, from_ns, to_ns)))

    def _numbers(self, slot: int, slots: int, from_ns: int) -> Iterator[list[float]]:
        """Where the slot's arrivals fall on the profile's cumulative: the gaps there have mean `slots`."""
        # Reproducible noise is the point; Random's stream for a text seed is the same in every Python
        # version.
        random = Random(f"{self._seed}/{slot}/{slots}/{from_ns}").random  # noqa: S311
        reached = self._profile.cumulative(from_ns / NS)
        while reached < self._total:
            gaps = [-slots * log(1.0 - random()) for _ in range(CHUNK)]
            numbers = list(accumulate(gaps, initial=reached))
            reached = numbers[-1]
            within = numbers[1 : bisect_right(numbers, self._total)]
            if within:
                yield within


def _check_slot(slot: int, slots: int) -> None:
    if not 0 <= slot < slots:
        raise ValueError(f"expected a slot from 0 to {slots - 1} of {slots} slots, got slot {slot}")
