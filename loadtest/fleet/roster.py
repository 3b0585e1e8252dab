"""The workers of a run as its master knows them: what they are called, how their users and their clocks are."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from loadtest.fleet.messages import UserCount
from loadtest.fleet.worker_totals import WorkerTotals
from loadtest.measure.run_result import UserStart

MOST_NAMED = 3
"""How many groups of users that are late are named in one sentence."""


@dataclass(slots=True)
class Member:
    """One worker as the coordinator sees it."""

    heard_ns: int
    leased_ns: int = 0
    ready: bool = False
    lost: bool = False
    counts: list[UserCount] = field(default_factory=list)
    """How its users are coming, by its last hello."""
    clock_noted: bool = False
    missed: int = 0
    """Arrivals that it dropped because it stood still, as far as has been noted."""
    refused: bool = False
    """Whether it gets nothing to do, since its clock is of no use or it is made of something else."""


class Roster:
    """All workers that came in this part of the run, and the names of those of the parts before it."""

    def __init__(self) -> None:
        self.members: dict[str, Member] = {}
        self.clock_offsets_ns: dict[str, int] = {}
        """How far each worker's wall clock was ahead of ours, when it came."""
        self.names: dict[str, str] = {}
        """What people call each, in the order in which they were named."""

    @property
    def live(self) -> list[str]:
        """Workers that are ready and not lost, in the order they came."""
        return [name for name, member in self.members.items() if member.ready and not member.lost]

    @property
    def awaited(self) -> list[str]:
        """Workers that have come and are not ready, though they may be."""
        return [n for n, member in self.members.items() if not member.ready and not member.refused]

    @property
    def came(self) -> dict[str, int]:
        """In which order the named workers came, from 0; whose first report was first may differ."""
        return {worker: number for number, worker in enumerate(self.names)}

    def name(self, worker: str) -> str:
        """What people call a worker: `worker 1` is the first that came."""
        return self.names.setdefault(worker, f"worker {len(self.names) + 1}")

    def silent(self, since_ns: int) -> list[str]:
        """Live workers that were not heard since an instant."""
        return [
            name
            for name, member in self.members.items()
            if member.heard_ns < since_ns and member.ready and not member.lost
        ]

    def users(self, workers: Mapping[str, WorkerTotals]) -> dict[str, UserStart]:
        """How many users of each scenario there were, over all workers, and how many have left since."""
        found: dict[str, UserStart] = {}
        for name, member in self.members.items():
            totals = workers.get(name)
            for count in member.counts:
                sums = found.setdefault(count.scenario, UserStart())
                sums.wanted += count.wanted
                sums.ready += count.ready
                sums.failed += count.failed
                sums.left += totals.left.get(count.scenario, 0) if totals is not None else 0
                sums.why_not = sums.why_not or count.why
        return found

    def why_users_cannot_start(self, expected: int) -> str:
        """What to say when every user of the fleet has either come or failed, and some have failed; else nothing."""
        counts = [count for member in self.members.values() for count in member.counts]
        if len(self.members) < expected or any(c.ready + c.failed < c.wanted for c in counts):
            return ""
        return "; ".join(
            f"on_start failed for {start.failed} of {start.wanted} users of {scenario}"
            + (f": {start.why_not}" if start.why_not else "")
            for scenario, start in self.users({}).items()
            if start.failed
        )

    def why_nobody_is_ready(self) -> str:
        """What to say when the wait for the workers' users is over."""
        late = [
            f"{count.wanted - count.ready} of {count.wanted} users of {count.scenario} were still in on_start"
            f" at {self.name(name)}"
            for name, member in self.members.items()
            for count in member.counts
            if count.ready < count.wanted
        ]
        return "; ".join(["no worker became ready in time", *late[:MOST_NAMED]])
