"""The reports of many workers, added up until the next bundle goes to the master."""

from dataclasses import dataclass, field
from operator import add, attrgetter

from loadtest.fleet.bundle import Bundle, WorkerSums
from loadtest.fleet.messages import Report, add_parsed, pack_second, parse_second
from loadtest.measure import codec
from loadtest.measure.evidence import MOST_KEPT, Sample
from loadtest.measure.exemplar import Exemplars
from loadtest.measure.histogram import Histogram
from loadtest.measure.second import COUNTERS, Second

_number = attrgetter("number")


@dataclass(slots=True)
class Gathered:
    """What one worker has reported since the last bundle."""

    numbers: list[int] = field(default_factory=list)
    counted: list[int] = field(default_factory=lambda: [0] * len(COUNTERS))
    newest: int = -1
    cpu: list[tuple[float, float]] = field(default_factory=list)
    lag: Histogram = field(default_factory=Histogram)


@dataclass(slots=True)
class Told:
    """What the master was told of one worker, which is not repeated while it is the same."""

    left: dict[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)


class Gathering:
    """Sums of one run's reports since the last bundle."""

    def __init__(self) -> None:
        self.frames: list[tuple[str, int, bytes]] = []
        """(worker, number, report as it came) of each."""
        self._seconds: dict[int, Second] = {}
        self._workers: dict[str, tuple[Gathered, Report]] = {}
        """With the newest report of each: one that is sent again may come after it."""
        self._told: dict[str, Told] = {}
        self._exemplars = Exemplars()
        self._samples: dict[tuple[str, str, str], Sample] = {}
        """The first of each class of failure that came in this run."""
        self._samples_told = 0

    def add(self, worker: str, report: Report, data: bytes) -> None:
        """Add a report, which came as `data`. Raises `MessageError` for a malformed one, adding nothing."""
        parsed = [parse_second(packed) for packed in report.seconds]
        gathered, newest = self._workers.get(worker) or (Gathered(), report)
        self._workers[worker] = gathered, max(newest, report, key=_number)
        for second in parsed:
            packed = second.packed
            add_parsed(self._second(packed.index), second)
            codec.add(gathered.lag, second.dispatch_lag)
            gathered.counted = list(map(add, gathered.counted, packed.counters))
            gathered.newest = max(gathered.newest, packed.index)
        gathered.numbers.append(report.number)
        gathered.cpu.append((report.cpu, report.cpu_wait))
        self.frames.append((worker, report.number, data))
        self._exemplars.offer_all(report.exemplars)
        for sample in report.samples:
            if len(self._samples) < MOST_KEPT:
                self._samples.setdefault((sample.method, sample.name, sample.error), sample)

    def take(self, run_id: str, number: int) -> Bundle:
        """Everything since the last bundle, which is forgotten."""
        samples = list(self._samples.values())[self._samples_told :]
        self._samples_told = len(self._samples)
        bundle = Bundle(
            run_id,
            number,
            [pack_second(second) for second in self._seconds.values()],
            [self._sums_of(name, gathered, report) for name, (gathered, report) in self._workers.items()],
            self._exemplars.take(),
            samples,
        )
        self.frames, self._seconds, self._workers = [], {}, {}
        return bundle

    def tell_again(self) -> None:
        """Repeat with the next bundle what is told once: one that told it may not have come."""
        self._told, self._samples_told = {}, 0

    def _second(self, index: int) -> Second:
        found = self._seconds.get(index)
        if found is None:
            found = self._seconds[index] = Second(index)
        return found

    def _sums_of(self, name: str, gathered: Gathered, report: Report) -> WorkerSums:
        told = self._told.setdefault(name, Told())
        sums = WorkerSums(
            name,
            gathered.numbers,
            gathered.counted,
            gathered.newest,
            report.in_flight,
            report.backlog,
            gathered.cpu,
            report.missed,
            report.final,
            report.ended_ns,
            codec.encode(gathered.lag) if gathered.lag.counts else b"",
            None if report.left == told.left else report.left,
            [] if report.asked == told.asked else report.asked,
            [] if report.silent == told.silent else report.silent,
        )
        told.left, told.asked, told.silent = report.left, report.asked, report.silent
        return sums
