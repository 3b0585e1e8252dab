"""Which arrivals are this worker's, from when until when.

The master assigns slots, extends leases and ends the schedule (see `fleet.coordinator`); an `ArrivalStream`
turns these orders into one ascending stream of arrivals that the dispatcher pulls from. Offsets count in
nanoseconds from the plan's time zero.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from loadtest.drive._core import Ahead

NEVER_NS: Final = 2**63 - 1
"""The offset of an arrival that there is not."""
Arrivals = Callable[[int, int, int, int | None], Iterator[tuple[int, int]]]
"""(slot, slots, from_ns, to_ns) -> ascending (offset_ns, scenario) of that slot of the plan."""


class Assignment(NamedTuple):
    """From `from_ns` on, this worker holds slot `slot` of `slots`.

    What it held before ended at `before_ns`: there, or earlier for a worker that was given up for lost and whose
    slot others have served since.
    """

    slot: int
    slots: int
    from_ns: int
    before_ns: int


class ArrivalStream(Ahead):
    """The arrivals of one worker, across all its assignments, up to its lease and the schedule's end."""

    def __init__(self, arrivals: Arrivals, duration_ns: int) -> None:
        super().__init__(duration_ns)
        self._of_slot = arrivals
        self._pending: deque[Assignment] = deque()

    def assign(self, assignment: Assignment) -> None:
        """Hold another slot from `assignment.from_ns` on; what was held before ends at its `before_ns`."""
        self._pending.append(assignment)
        self.before_ns = self._pending[0].before_ns
        if self.ahead_ns == NEVER_NS:
            self._advance()

    def extend(self, until_ns: int) -> None:
        """Serve arrivals intended before `until_ns` at least."""
        self.lease_ns = max(self.lease_ns, until_ns)

    def halt(self, at_ns: int) -> None:
        """End the schedule at `at_ns`, or where it has already got to if that is later."""
        self.end_ns = max(min(at_ns, self.end_ns), self.position_ns)

    def exhausted(self, now_ns: int) -> bool:
        """True once the schedule has ended by `now_ns` and everything before its end was handed out."""
        return now_ns >= self.end_ns and self.peek_ns() is None

    def _advance(self) -> None:
        """Move on to the newest assignment that the arrival ahead has reached, skipping those of no length."""
        while self._pending and self.ahead_ns >= self._pending[0].before_ns:
            assignment = self._pending.popleft()
            self.before_ns = self._pending[0].before_ns if self._pending else NEVER_NS
            self.follow(self._of_slot(assignment.slot, assignment.slots, max(assignment.from_ns, 0), None))
