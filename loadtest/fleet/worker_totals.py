"""What a master knows of one worker: which of its reports have come, and what is in them.

Reports are numbered from 0 without a gap, so the numbers that have come say which are missing.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import add

import msgspec

from loadtest.fleet.bundle import WorkerSums
from loadtest.fleet.messages import Report
from loadtest.measure.histogram import Histogram
from loadtest.measure.second import COUNTERS

_STARTED = COUNTERS.index("started")
CPU_SAMPLES = 10
"""Reports, two a second: CPU is judged over any five seconds (docs/design.md)."""


class PackedWorker(msgspec.Struct, frozen=True, array_like=True):
    """What a checkpoint keeps of one worker's totals."""

    name: str
    gaps: int
    cpu_max: float
    cpu_wait_max: float
    dispatch_lag: bytes
    counted: list[int]
    asked: list[str] = []
    silent: list[str] = []
    reports: int = 0
    """All its reports with lower numbers are in the totals."""
    besides: list[int] = []
    """Numbers of others that are."""
    newest: int = -1


@dataclass(slots=True)
class WorkerTotals:
    """What is known of one worker."""

    name: str
    seen: set[int] = field(default_factory=set)
    final: bool = False
    ended_ns: int = 0
    in_flight: int = 0
    backlog: int = 0
    dispatch_lag: Histogram = field(default_factory=Histogram)
    counted: list[int] = field(default_factory=lambda: [0] * len(COUNTERS))
    """Sums of the counters of its seconds, in the order of `second.COUNTERS`."""
    newest: int = -1
    """The newest second that it has reported anything of."""
    left: dict[str, int] = field(default_factory=dict)
    """How many users of each scenario have left it for good."""
    asked: set[str] = field(default_factory=set)
    """Scenarios that have made a request here."""
    silent: set[str] = field(default_factory=set)
    """Scenarios of which an arrival ended here without a request that it needed."""
    given_up: int = 0
    """Reports that were missing when an earlier part of this run was interrupted."""
    cpu_highest: tuple[float, float] | None = None
    """Highest means over five seconds of the CPU (used, waited for); None until there were five seconds."""
    _cpu: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=CPU_SAMPLES))
    _contiguous: int = 0

    @property
    def reports(self) -> int:
        """All its reports with lower numbers have come."""
        return self._contiguous

    @property
    def started(self) -> int:
        """Arrivals that it has started."""
        return self.counted[_STARTED]

    @property
    def gaps(self) -> int:
        """Reports that are missing below the highest number seen."""
        highest = max(self.seen, default=self._contiguous - 1)
        return self.given_up + highest + 1 - self._contiguous - len(self.seen)

    @property
    def cpu_max(self) -> float:
        """Highest CPU share over any five seconds, or over a shorter run's whole length."""
        return (self.cpu_highest or self._cpu_mean())[0]

    @property
    def cpu_wait_max(self) -> float:
        """Highest share of the time spent waiting for a core, as `cpu_max`."""
        return (self.cpu_highest or self._cpu_mean())[1]

    @property
    def cpu_recent(self) -> float:
        """Mean CPU share over the last five seconds; a single report can cover an instant."""
        return self._cpu_mean()[0]

    def recall(self, packed: PackedWorker) -> None:
        """Restore which reports had come when the totals were packed; others may still come."""
        self._contiguous, self.seen, self.given_up = packed.reports, set(packed.besides), 0

    def first_sight(self, number: int) -> bool:
        """Note a report's number; False when it was seen before."""
        if self.has(number):
            return False
        self.seen.add(number)
        while self._contiguous in self.seen:  # keeps the set small on a run of days
            self.seen.discard(self._contiguous)
            self._contiguous += 1
        return True

    def has(self, number: int) -> bool:
        """Whether a report has come."""
        return number < self._contiguous or number in self.seen

    def count(self, counters: Sequence[int], newest: int) -> None:
        """Add to its counters what it reported of its seconds up to and with `newest`."""
        self.counted = list(map(add, self.counted, counters))
        self.newest = max(self.newest, newest)

    def note(self, state: Report | WorkerSums) -> None:
        """Note how a worker says that it is."""
        self.in_flight, self.backlog = state.in_flight, state.backlog
        self.note_scenarios(state)
        if state.final:
            self.final, self.ended_ns = True, state.ended_ns

    def note_scenarios(self, state: Report | WorkerSums) -> None:
        """Note what only grows, which a relay tells once: harmless twice, and in any order."""
        self.asked.update(state.asked)
        self.silent.update(state.silent)
        for name, count in (state.left or {}).items():
            self.left[name] = max(count, self.left.get(name, 0))

    def sample_cpu(self, cpu: float, cpu_wait: float) -> None:
        """Note one report's CPU shares; the maxima are of means over five seconds."""
        self._cpu.append((cpu, cpu_wait))
        if len(self._cpu) == CPU_SAMPLES:
            used, waited = self._cpu_mean()
            before = self.cpu_highest or (0.0, 0.0)
            self.cpu_highest = max(before[0], used), max(before[1], waited)

    def _cpu_mean(self) -> tuple[float, float]:
        """Mean shares (used, waited for) of the last reports."""
        reports = max(len(self._cpu), 1)
        return sum(used for used, _ in self._cpu) / reports, sum(waited for _, waited in self._cpu) / reports
