"""Which arrivals are this worker's, from when until when.

The master assigns slots, extends leases and ends the schedule (see `fleet.coordinator`); an `ArrivalStream`
turns these orders into one ascending stream of arrivals that the dispatcher pulls from. Offsets count in
nanoseconds from the plan's time zero.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

Arrivals = Callable[[int, int, int, int | None], Iterator[tuple[int, int]]]
"""(slot, slots, from_ns, to_ns) -> ascending (offset_ns, scenario) of that slice of the plan."""


class Assignment(NamedTuple):
    """From `from_ns` on, this worker holds slot `slot` of `slots`.

    What it held before ended at `before_ns`: there, or earlier for a worker that was given up for lost and whose
    slot others have served since.
    """

    slot: int
    slots: int
    from_ns: int
    before_ns: int


class ArrivalStream:
    """The arrivals of one worker, across all its assignments, up to its lease and the schedule's end."""

    def __init__(self, arrivals: Arrivals, duration_ns: int) -> None:
        self._arrivals = arrivals
        self._pending: deque[Assignment] = deque()
        self._end_ns = duration_ns
        self._current: Iterator[tuple[int, int]] = iter(())
        self._ahead: tuple[int, int] | None = None
        self._lease_ns = 0
        self.position_ns = 0
        """Every arrival before this offset has been handed out."""

    @property
    def end_ns(self) -> int:
        """Where the schedule ends for this worker."""
        return self._end_ns

    @property
    def lease_ns(self) -> int:
        """Up to where this worker may serve arrivals."""
        return self._lease_ns

    def assign(self, assignment: Assignment) -> None:
        """Hold another slot from `assignment.from_ns` on; what was held before ends at its `before_ns`."""
        self._pending.append(assignment)
        if self._ahead is None:
            self._advance()

    def extend(self, until_ns: int) -> None:
        """Serve arrivals intended before `until_ns` at least."""
        self._lease_ns = max(self._lease_ns, until_ns)

    def halt(self, at_ns: int) -> None:
        """End the schedule at `at_ns`, or where it has already got to if that is later."""
        self._end_ns = max(min(at_ns, self._end_ns), self.position_ns)

    def peek_ns(self) -> int | None:
        """The offset of the next arrival, or None if there is none before the end; it may lie past the lease."""
        if self._pending and (self._ahead is None or self._ahead[0] >= self._pending[0].before_ns):
            self._advance()
        if self._ahead is None or self._ahead[0] >= self._end_ns:
            return None
        return self._ahead[0]

    def due(self, now_ns: int) -> tuple[int, int] | None:
        """Hand out the next arrival intended at or before `now_ns` and within the lease, if there is one."""
        offset_ns = self.peek_ns()
        if offset_ns is None or offset_ns > now_ns or offset_ns >= self._lease_ns:
            return None
        arrival = self._ahead
        self.position_ns = offset_ns + 1
        self._ahead = next(self._current, None)
        return arrival

    def exhausted(self, now_ns: int) -> bool:
        """True once the schedule has ended by `now_ns` and everything before its end was handed out."""
        return now_ns >= self._end_ns and self.peek_ns() is None

    def _advance(self) -> None:
        """Move on to the newest assignment that the arrival ahead has reached, skipping slices of no length."""
        while self._pending and (self._ahead is None or self._ahead[0] >= self._pending[0].before_ns):
            assignment = self._pending.popleft()
            from_ns = max(assignment.from_ns, 0)
            self._current = self._arrivals(assignment.slot, assignment.slots, from_ns, None)
            self._ahead = next(self._current, None)
