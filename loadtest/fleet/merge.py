"""The master's totals: each worker's numbered reports, folded exactly once.

Reports add up, so their order does not matter and only their numbers do. A number seen before is acknowledged
again and ignored; a number that never came by the time the worker's final report did is a gap, and a run with
a gap is INVALID, because nobody can say what was in it.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from loadtest.fleet.bundle import Bundle, WorkerSums, check_sums
from loadtest.fleet.messages import (
    MessageError,
    PackedSecond,
    ParsedSecond,
    Report,
    add_parsed,
    pack_second,
    parse_second,
    unpack_second,
)
from loadtest.fleet.timeline import PackedTimeline, Timeline
from loadtest.fleet.worker_totals import PackedWorker, WorkerTotals
from loadtest.measure import codec
from loadtest.measure.evidence import FailureLog, PackedEvidence
from loadtest.measure.exemplar import Exemplars
from loadtest.measure.run_result import whole_seconds
from loadtest.measure.second import COUNTERS, Second

_TRANSACTIONS_OK = COUNTERS.index("transactions_ok")


class PackedTotals(msgspec.Struct, frozen=True):
    """A `Merge` as a checkpoint keeps it: all of it, but for reports that are still on their way."""

    workers: list[PackedWorker]
    total: PackedSecond
    periods: list[PackedSecond] = msgspec.field(name="stretches")
    timeline: PackedTimeline
    best_second: tuple[int, int]
    transactions: dict[int, int]
    """Transactions of the last seconds, of which the best may still become better."""
    failures: PackedEvidence


class Merge:
    """The sums of all reports of all workers, for one run.

    `periods` are the (from_s, to_s) whose sums are wanted too, to whole seconds: `period_totals` has them in
    the same order.

    A thousand workers send forty thousand histograms a second, so each is added to one place only: what has come
    of its second since somebody last looked. Looking spreads those few sums over totals, periods and timeline.
    """

    def __init__(self, periods: Sequence[tuple[float, float]] = ()) -> None:
        self.workers: dict[str, WorkerTotals] = {}
        self.best_second: tuple[int, int] = (0, 0)
        self.exemplars = Exemplars()
        """Traced requests that stand for the slow ones."""
        self._failures = FailureLog()
        self._total = Second(0)
        self._periods = [whole_seconds(from_s, to_s) for from_s, to_s in periods]
        self._period_totals = [Second(0) for _ in periods]
        self._period_versions = [0] * len(periods)
        self._packed_periods: list[tuple[int, PackedSecond]] = [(0, pack_second(Second(0)))] * len(periods)
        self._timeline = Timeline()
        self._fresh: dict[int, Second] = {}
        self._transactions: dict[int, int] = {}
        self._in_flight = self._backlog = 0

    @property
    def total(self) -> Second:
        """Everything."""
        self._spread()
        return self._total

    @property
    def failures(self) -> FailureLog:
        """What is known of each class of failure."""
        self._spread()
        return self._failures

    @property
    def period_totals(self) -> list[Second]:
        """What was intended in each period."""
        self._spread()
        return self._period_totals

    @property
    def period_versions(self) -> list[int]:
        """A number for each of `period_totals` that grows when something is added: most periods are over."""
        self._spread()
        return self._period_versions

    @property
    def timeline(self) -> Timeline:
        """Everything second by second."""
        self._spread()
        return self._timeline

    @property
    def gaps(self) -> int:
        """Reports missing, over all workers."""
        return sum(totals.gaps for totals in self.workers.values())

    @property
    def peak_tps(self) -> float:
        """Transactions that succeeded in the best whole second."""
        return float(self.best_second[1])

    def scenarios_without_requests(self) -> list[str]:
        """Scenarios that had arrivals and made no request in any of them, at any worker."""
        asked = {name for totals in self.workers.values() for name in totals.asked}
        return sorted({name for totals in self.workers.values() for name in totals.silent} - asked)

    def fold(self, worker: str, report: Report) -> bool:
        """Add a report to the totals; False if it was there already. Raises `MessageError`, adding nothing."""
        seconds = [parse_second(packed) for packed in report.seconds]
        totals = self.workers.setdefault(worker, WorkerTotals(worker))
        if not totals.first_sight(report.number):
            return False
        for second in seconds:
            self._add(totals, second)
        self._note_state(totals, report, [(report.cpu, report.cpu_wait)])
        self._note_gauges(seconds)
        self.exemplars.offer_all(report.exemplars)
        for sample in report.samples:
            self._failures.offer(sample)
        return True

    def fold_bundle(self, bundle: Bundle) -> bool:
        """Add what a relay has summed up; True if all of it is in the totals, now or before.

        False, and nothing is counted, if a part of it has come by another way: sums cannot be taken apart. What a
        relay tells once is noted in any case. Raises `MessageError`, adding nothing.
        """
        seconds = [parse_second(packed) for packed in bundle.seconds]
        lags = [_parsed_lag(sums) for sums in bundle.workers]
        check_sums(bundle)
        seen = [self._has(sums.worker, number) for sums in bundle.workers for number in sums.numbers]
        if any(seen):
            for sums in bundle.workers:
                if (totals := self.workers.get(sums.worker)) is not None:
                    totals.note_scenarios(sums)
        else:
            for second in seconds:
                self._add_second(second)
            for sums, lag in zip(bundle.workers, lags, strict=True):
                self._add_sums(sums, lag)
            self._note_gauges(seconds)
            self.exemplars.offer_all(bundle.exemplars)
        for sample in bundle.samples:
            self._failures.offer(sample)
        return all(seen) or not any(seen)

    def write_off(self) -> None:
        """Settle the arrivals of workers that never sent a final report, or of which a report is missing.

        To be called at the end. What such a worker had in flight is cancelled, what waited there is dropped; an
        arrival whose beginning was in a missing report, and its end was not, did begin.
        """
        self._settle(waiting_is_lost=False)

    def break_off(self) -> None:
        """Settle the arrivals of a part of a run that was interrupted: nobody serves what it had under way.

        Those in flight are cancelled, those that waited for a user count as never scheduled, which makes them lost
        (`snapshot.broken_off` says the same of a run that may still go on).
        """
        self._settle(waiting_is_lost=True)

    def pack(self) -> PackedTotals:
        """Everything in the totals; it shares the timeline's bins (see `Timeline.pack`)."""
        return PackedTotals(
            [
                PackedWorker(
                    totals.name,
                    totals.gaps,
                    totals.cpu_max,
                    totals.cpu_wait_max,
                    codec.encode(totals.dispatch_lag),
                    totals.counted,
                    sorted(totals.asked),
                    sorted(totals.silent),
                    totals.reports,
                    sorted(totals.seen),
                    totals.newest,
                )
                for totals in self.workers.values()
            ],
            pack_second(self.total),
            self._pack_periods(),
            self.timeline.pack(),
            self.best_second,
            self._transactions,
            self.failures.pack(),
        )

    def take_up(self, packed: PackedTotals, names: Mapping[str, str]) -> None:
        """Begin these empty totals with those of an interrupted part of the same run, its workers renamed.

        Raises `ValueError` when this cannot have been packed from totals with the same periods.
        """
        self._unpack(packed, names)
        self.break_off()

    def load(self, packed: PackedTotals) -> None:
        """Begin these empty totals with those of a checkpoint, whose workers' later reports may still be added.

        Raises `ValueError` as `take_up` does.
        """
        self._unpack(packed, {worker.name: worker.name for worker in packed.workers})
        for worker in packed.workers:
            self.workers[worker.name].recall(worker)

    def _unpack(self, packed: PackedTotals, names: Mapping[str, str]) -> None:
        if len(packed.periods) != len(self._periods):
            raise ValueError(f"expected {len(self._periods)} periods, got {len(packed.periods)}")
        self._total = unpack_second(packed.total)
        self._period_totals = [unpack_second(period) for period in packed.periods]
        self._period_versions = [version + 1 for version in self._period_versions]
        self._timeline = Timeline.unpack(packed.timeline)
        self._failures = FailureLog(packed.failures)
        self.best_second, self._transactions = packed.best_second, dict(packed.transactions)
        for worker in packed.workers:
            if len(worker.counted) != len(COUNTERS):
                raise ValueError(f"a worker has {len(COUNTERS)} counters, not {len(worker.counted)}")
            name = names[worker.name]
            self.workers[name] = WorkerTotals(
                name,
                cpu_highest=(worker.cpu_max, worker.cpu_wait_max),
                dispatch_lag=codec.decode(worker.dispatch_lag),
                counted=list(worker.counted),
                asked=set(worker.asked),
                silent=set(worker.silent),
                given_up=worker.gaps,
                newest=worker.newest,
            )

    def _pack_periods(self) -> list[PackedSecond]:
        """Those that changed since the last time, packed anew; the others as they were."""
        for number, version in enumerate(self.period_versions):
            if self._packed_periods[number][0] != version:
                self._packed_periods[number] = (version, pack_second(self._period_totals[number]))
        return [packed for _, packed in self._packed_periods]

    def _settle(self, *, waiting_is_lost: bool) -> None:
        """Settle what workers left open, in the newest second of each: which of its seconds it was is not known."""
        waiting = 0
        for totals in self.workers.values():
            seen = dict(zip(COUNTERS, totals.counted, strict=True))
            settled = seen | _settled(seen, waiting_is_lost=waiting_is_lost)
            totals.counted = list(settled.values())
            waiting += max(0, seen["scheduled"] - settled["scheduled"])
            if settled == seen:
                continue
            index = max(totals.newest, 0)
            second = self._fresh.setdefault(index, Second(index))
            for name, count in settled.items():
                setattr(second, name, getattr(second, name) + max(0, count - seen[name]))
        if waiting:
            self._take_back(waiting)

    def _take_back(self, waiting: int) -> None:
        """Take so many arrivals out of the newest seconds that have some waiting: one alone may have fewer."""
        for index, most in self.timeline.waiting():
            taken = min(waiting, most)
            self._fresh.setdefault(index, Second(index)).scheduled -= taken
            waiting -= taken
            if waiting == 0:
                return

    def _has(self, worker: str, number: int) -> bool:
        totals = self.workers.get(worker)
        return totals is not None and totals.has(number)

    def _add(self, totals: WorkerTotals, parsed: ParsedSecond) -> None:
        self._add_second(parsed)
        codec.add(totals.dispatch_lag, parsed.dispatch_lag)
        totals.count(parsed.packed.counters, parsed.packed.index)

    def _add_second(self, parsed: ParsedSecond) -> None:
        index = parsed.packed.index
        fresh = self._fresh.get(index)
        if fresh is None:
            fresh = self._fresh[index] = Second(index)
        add_parsed(fresh, parsed)
        self._note_transactions(index, parsed.packed.counters[_TRANSACTIONS_OK])

    def _add_sums(self, sums: WorkerSums, lag: codec.Parsed | None) -> None:
        totals = self.workers.get(sums.worker)
        if totals is None:
            totals = self.workers[sums.worker] = WorkerTotals(sums.worker)
        for number in sums.numbers:
            totals.first_sight(number)
        if lag is not None:
            codec.add(totals.dispatch_lag, lag)
        totals.count(sums.counted, sums.newest)
        self._note_state(totals, sums, sums.cpu)

    def _note_transactions(self, index: int, transactions: int) -> None:
        count = self._transactions.get(index, 0) + transactions
        self._transactions[index] = count
        if count > self.best_second[1]:
            self.best_second = (index, count)
        if len(self._transactions) > 120:  # two minutes: later than that no report is on its way
            self._transactions.pop(min(self._transactions))

    def _note_state(
        self, totals: WorkerTotals, said: Report | WorkerSums, cpu: Iterable[tuple[float, float]]
    ) -> None:
        self._in_flight += said.in_flight - totals.in_flight
        self._backlog += said.backlog - totals.backlog
        for used, waited in cpu:
            totals.sample_cpu(used, waited)
        totals.note(said)

    def _note_gauges(self, seconds: Sequence[ParsedSecond]) -> None:
        if seconds:
            newest = max(second.packed.index for second in seconds)
            self._timeline.note_gauges(newest, self._in_flight, self._backlog)

    def _spread(self) -> None:
        """Add what has come since the last look to everything that is looked at."""
        while self._fresh:
            index, second = self._fresh.popitem()
            self._total.add(second)
            for number, (from_s, to_s) in enumerate(self._periods):
                if from_s <= index < to_s:
                    self._period_totals[number].add(second)
                    self._period_versions[number] += 1
            self._failures.note(second)
            self._timeline.add(second)


def _parsed_lag(sums: WorkerSums) -> codec.Parsed | None:
    try:
        return codec.parse(sums.dispatch_lag) if sums.dispatch_lag else None
    except ValueError as error:
        raise MessageError(f"the dispatch lag of {sums.worker}: {error}") from error


def _settled(seen: Mapping[str, int], *, waiting_is_lost: bool) -> dict[str, int]:
    """The counters that change when nobody is left to finish what a worker had begun."""
    ended = seen["ok"] + seen["failed"] + seen["empty"]
    started = max(seen["started"], ended + seen["cancelled"])
    scheduled = max(seen["scheduled"], started + seen["dropped"])
    if waiting_is_lost:
        scheduled = started + seen["dropped"]
    return {
        "scheduled": scheduled,
        "started": started,
        "dropped": scheduled - started,
        "cancelled": started - ended,
    }
