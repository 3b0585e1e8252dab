"""Checks each second of a run once, a second after its end, for the plan's reasons to abort.

Where the master itself stood still, reports of the seconds that have passed may lie unread: they would look as if
nothing had been requested, so none of them is judged, and a breach has to last anew.
"""

from collections.abc import Callable, Iterable

from loadtest.fleet.coordinator import Coordinator, Phase
from loadtest.judge.abort import AbortCondition, AbortDetector

NS_PER_S = 1_000_000_000
MOST_AT_ONCE_S = 3
"""Seconds that may have become due since the last look; looks are a tenth of a second apart."""


class AbortWatch:
    """Watches one run, from where its totals begin; every worker has reported a second by a second after its end."""

    def __init__(self, conditions: Iterable[AbortCondition], coordinator: Coordinator) -> None:
        self.pointless = False
        """Whether the plan itself asked to end the run."""
        self._detector = AbortDetector(conditions)
        self._coordinator = coordinator
        self._judged_s = int(coordinator.scheduled_to_ns // NS_PER_S)

    def reason(self, planned: Callable[[float, float], float]) -> str | None:
        """Why the run must stop by the seconds that are new; None while it may go on.

        `planned` says how many transactions the plan intends between two offsets in seconds.
        """
        due_s = int(self._coordinator.offset_ns // NS_PER_S) - 1
        if self._coordinator.phase is not Phase.RUNNING or due_s <= self._judged_s:
            return None
        if due_s - self._judged_s > MOST_AT_ONCE_S:
            self._judged_s = due_s
            self._detector.forget()
            return None
        points = self._coordinator.merge.timeline.points_between(self._judged_s, due_s, planned)
        self._judged_s = due_s
        reason = next(filter(None, map(self._detector.feed, points)), None)
        self.pointless = reason is not None
        return reason
