"""The reports of many workers, added up until the next bundle goes to the master."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import add, attrgetter

from loadtest.fleet.bundle import Bundle, WorkerSums
from loadtest.fleet.messages import Report, add_parsed, pack_second, parse_second
from loadtest.measure import codec
from loadtest.measure.evidence import MOST_KEPT, Sample
from loadtest.measure.exemplar import Exemplars
from loadtest.measure.histogram import Histogram
from loadtest.measure.second import COUNTERS, Second

LAG_NS = 5_000_000_000
"""How often each worker's own dispatch lag is told; with its final report it is told in any case."""
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
    """What the master has been told of one worker, or is to be told later."""

    lag: Histogram = field(default_factory=Histogram)
    """Its dispatch lag in bundles that the master has taken, as far as it was not told."""
    lag_told_ns: int = 0
    left: dict[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Taking:
    """A bundle, and what is to be remembered until the master has answered it."""

    bundle: Bundle
    frames: list[tuple[str, int, bytes]]
    """(worker, number, report as it came) of each report in it."""
    lag_if_taken: dict[str, Histogram] = field(default_factory=dict)
    """Dispatch lag by worker that is to be told later, once these reports are in the totals."""
    lag_if_apart: dict[str, Histogram] = field(default_factory=dict)
    """Dispatch lag of earlier reports, which a bundle that is refused has not told."""


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
        self._now_ns = 0

    def add(self, worker: str, report: Report, data: bytes, now_ns: int) -> None:
        """Add a report, which came as `data`. Raises `MessageError` for a malformed one, adding nothing."""
        parsed = [parse_second(packed) for packed in report.seconds]
        self._now_ns = now_ns
        gathered, newest = self._workers.get(worker) or (Gathered(), report)
        self._workers[worker] = gathered, max(newest, report, key=_number)
        if worker not in self._told:
            self._told[worker] = Told(lag_told_ns=now_ns)
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

    def take(self, run_id: str, number: int) -> Taking:
        """Everything since the last bundle, which is forgotten."""
        samples = list(self._samples.values())[self._samples_told :]
        self._samples_told = len(self._samples)
        taking = Taking(Bundle(run_id, number, [], []), self.frames)
        sums = [self._sums_of(name, *found, taking) for name, found in self._workers.items()]
        seconds = [pack_second(second) for second in self._seconds.values()]
        taking.bundle = Bundle(run_id, number, seconds, sums, self._exemplars.take(), samples)
        self.frames, self._seconds, self._workers = [], {}, {}
        return taking

    def tell_later(self, lag: Mapping[str, Histogram]) -> None:
        """Note the dispatch lag of workers that is to be told with a later bundle."""
        for name, histogram in lag.items():
            self._told[name].lag.merge(histogram)

    def tell_again(self) -> None:
        """Repeat with the next bundle what is told once: one that told it may not have come.

        Dispatch lag is not repeated: one worker's may miss some seconds then, but has none twice.
        """
        self._samples_told = 0
        for told in self._told.values():
            told.left, told.asked, told.silent = {}, [], []

    def _second(self, index: int) -> Second:
        found = self._seconds.get(index)
        if found is None:
            found = self._seconds[index] = Second(index)
        return found

    def _sums_of(self, name: str, gathered: Gathered, report: Report, taking: Taking) -> WorkerSums:
        told = self._told[name]
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
            self._lag(name, gathered.lag, taking, now=report.final),
            None if report.left == told.left else report.left,
            [] if report.asked == told.asked else report.asked,
            [] if report.silent == told.silent else report.silent,
        )
        told.left, told.asked, told.silent = report.left, report.asked, report.silent
        return sums

    def _lag(self, name: str, lag: Histogram, taking: Taking, *, now: bool) -> bytes:
        """A worker's dispatch lag, if it is time to tell it: each of them costs the master."""
        told = self._told[name]
        if not (now or self._now_ns - told.lag_told_ns >= LAG_NS):
            taking.lag_if_taken[name] = lag
            return b""
        earlier = taking.lag_if_apart[name] = told.lag
        told.lag, told.lag_told_ns = Histogram(), self._now_ns
        lag.merge(earlier)
        return codec.encode(lag) if lag.counts else b""
