"""Mixes: several scenarios in one stream of arrivals.

Each scenario of a plan has its own schedule, at its own multiple of the transaction rate (one order, half a
product page, a fifth of a status read). A worker serves one stream, so the schedules of its slot are merged
by instant. Merging is done by the block: what is known of every schedule up to a common horizon is put
together and sorted, which for a few runs that are sorted already is one pass in C, and cheaper by far than a
heap.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import repeat

from loadtest.plan.schedule import Schedule


class Mix:
    """The merged schedules of several scenarios. A scenario's index is its position in `schedules`."""

    def __init__(self, schedules: Sequence[Schedule]) -> None:
        """Merge `schedules`, one for each scenario."""
        self.schedules = tuple(schedules)

    def arrivals(
        self, slot: int, slots: int, from_ns: int = 0, to_ns: int | None = None
    ) -> Iterator[tuple[int, int]]:
        """(nanoseconds from time zero, scenario index) of a slot's arrivals in [from_ns, to_ns), ascending.

        `to_ns` of None means to the end. Raises ValueError unless 0 <= slot < slots.
        """
        if len(self.schedules) == 1:
            return zip(self.schedules[0].arrivals(slot, slots, from_ns, to_ns), repeat(0))
        return _merged([schedule.chunks(slot, slots, from_ns, to_ns) for schedule in self.schedules])

    def counts(self, slot: int, slots: int, from_ns: int = 0, to_ns: int | None = None) -> list[int]:
        """How many arrivals of each scenario `arrivals` yields for the same arguments."""
        return [schedule.count(slot, slots, from_ns, to_ns) for schedule in self.schedules]


def _merged(streams: Sequence[Iterator[list[int]]]) -> Iterator[tuple[int, int]]:
    """Merge ascending lists of instants; each stream yields lists that are never empty."""
    pending: dict[int, list[int]] = {}
    running = dict(enumerate(streams))
    while True:
        for scenario in list(running):
            if scenario not in pending:
                chunk = next(running[scenario], None)
                if chunk is None:
                    del running[scenario]
                else:
                    pending[scenario] = chunk
        if not pending:
            return
        yield from _known(pending)


def _known(pending: dict[int, list[int]]) -> list[tuple[int, int]]:
    """Take from every list what is due by the earliest of their last instants: no more can come before."""
    horizon_ns = min(instants_ns[-1] for instants_ns in pending.values())
    ready: list[tuple[int, int]] = []
    for scenario, instants_ns in list(pending.items()):
        due = bisect_right(instants_ns, horizon_ns)
        ready += zip(instants_ns[:due], repeat(scenario), strict=False)
        if due == len(instants_ns):
            del pending[scenario]
        else:
            pending[scenario] = instants_ns[due:]
    ready.sort()
    return ready
