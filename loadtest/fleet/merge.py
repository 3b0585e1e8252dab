"""The master's books: each worker's numbered reports, folded exactly once.

Reports add up, so their order does not matter and only their numbers do. A number seen before is acknowledged
again and ignored; a number that never came by the time the worker's final report did is a gap, and a run with
a gap is INVALID, because nobody can say what was in it.
"""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from loadtest.fleet.messages import Report, unpack_second
from loadtest.fleet.timeline import Timeline
from loadtest.measure.histogram import Histogram
from loadtest.measure.window import Second

IDENTITY = ("scheduled", "started", "dropped", "ok", "failed", "cancelled")
"""The counters that have to add up at the end of a run (DESIGN section 3)."""
CPU_SAMPLES = 10
"""Reports, two a second: CPU is judged over any five seconds (DESIGN section 3)."""


@dataclass(slots=True)
class WorkerBook:
    """What is known of one worker."""

    name: str
    seen: set[int] = field(default_factory=set)
    final: bool = False
    ended_ns: int = 0
    in_flight: int = 0
    backlog: int = 0
    started: int = 0
    cpu: float = 0.0
    cpu_max: float = 0.0
    cpu_wait_max: float = 0.0
    dispatch_lag: Histogram = field(default_factory=Histogram)
    counted: Counter[str] = field(default_factory=Counter)
    """Sums of the `IDENTITY` counters of its seconds."""
    _cpu: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=CPU_SAMPLES))
    _contiguous: int = 0

    @property
    def gaps(self) -> int:
        """Reports that are missing below the highest number seen."""
        highest = max(self.seen, default=self._contiguous - 1)
        return highest + 1 - self._contiguous - len(self.seen)

    @property
    def cpu_recent(self) -> float:
        """Mean CPU share over the last five seconds; a single report can cover an instant."""
        return sum(cpu for cpu, _ in self._cpu) / max(len(self._cpu), 1)

    def first_sight(self, number: int) -> bool:
        """Note a report's number; False when it was seen before."""
        if number < self._contiguous or number in self.seen:
            return False
        self.seen.add(number)
        while self._contiguous in self.seen:  # keeps the set small on a run of days
            self.seen.discard(self._contiguous)
            self._contiguous += 1
        return True

    def sample_cpu(self, cpu: float, cpu_wait: float) -> None:
        """Note one report's CPU shares; the maxima are of means over five seconds."""
        self.cpu = cpu
        self._cpu.append((cpu, cpu_wait))
        if len(self._cpu) == CPU_SAMPLES:
            self.cpu_max = max(self.cpu_max, sum(c for c, _ in self._cpu) / CPU_SAMPLES)
            self.cpu_wait_max = max(self.cpu_wait_max, sum(w for _, w in self._cpu) / CPU_SAMPLES)


class Merge:
    """Sums of everything every worker reported, for one run.

    `stretches` are the (from_s, to_s) whose sums are wanted too, to whole seconds: `stretch_totals` has them in
    the same order.
    """

    def __init__(self, stretches: Sequence[tuple[float, float]] = ()) -> None:
        self.total = Second(0)
        self.stretch_totals = [Second(0) for _ in stretches]
        self._stretches = [(round(from_s), round(to_s)) for from_s, to_s in stretches]
        self.timeline = Timeline()
        self.workers: dict[str, WorkerBook] = {}
        self.best_second: tuple[int, int] = (0, 0)
        self._transactions: dict[int, int] = {}

    def fold(self, worker: str, report: Report) -> bool:
        """Add a report to the books; False if it was there already. Raises `MessageError`, adding nothing."""
        seconds = [unpack_second(packed) for packed in report.seconds]
        book = self.workers.setdefault(worker, WorkerBook(worker))
        if not book.first_sight(report.number):
            return False
        for second in seconds:
            self._add(book, second)
        self._note_state(book, report)
        return True

    def write_off(self) -> None:
        """Settle the arrivals of workers that never sent a final report, or of which a report is missing.

        To be called once, at the end. What such a worker had in flight is cancelled, what waited there is
        dropped; an arrival whose beginning was in a missing report, and its end was not, did begin.
        """
        for book in self.workers.values():
            counted = book.counted
            ended = counted["ok"] + counted["failed"] + counted["cancelled"]
            self.total.cancelled += max(counted["started"] - ended, 0)
            unseen = max(ended - counted["started"], 0)
            self.total.started += unseen
            reached = counted["started"] + unseen + counted["dropped"]
            self.total.dropped += max(counted["scheduled"] - reached, 0)
            self.total.scheduled += max(reached - counted["scheduled"], 0)
            counted.clear()

    @property
    def gaps(self) -> int:
        """Reports missing, over all workers."""
        return sum(book.gaps for book in self.workers.values())

    @property
    def peak_tps(self) -> float:
        """Transactions that succeeded in the best whole second."""
        return float(self.best_second[1])

    def _add(self, book: WorkerBook, second: Second) -> None:
        self.total.add(second)
        for (from_s, to_s), stretch in zip(self._stretches, self.stretch_totals, strict=True):
            if from_s <= second.index < to_s:
                stretch.add(second)
        self.timeline.add(second)
        book.started += second.started
        for name in IDENTITY:
            book.counted[name] += getattr(second, name)
        book.dispatch_lag.merge(second.dispatch_lag)
        count = self._transactions.get(second.index, 0) + second.transactions_ok
        self._transactions[second.index] = count
        if count > self.best_second[1]:
            self.best_second = (second.index, count)
        if len(self._transactions) > 120:  # two minutes: later than that no report is on its way
            self._transactions.pop(min(self._transactions))

    def _note_state(self, book: WorkerBook, report: Report) -> None:
        book.in_flight, book.backlog = report.in_flight, report.backlog
        book.sample_cpu(report.cpu, report.cpu_wait)
        if report.final:
            book.final, book.ended_ns = True, report.ended_ns
        if report.seconds:
            self.timeline.note_gauges(
                max(packed.index for packed in report.seconds),
                sum(b.in_flight for b in self.workers.values()),
                sum(b.backlog for b in self.workers.values()),
            )
