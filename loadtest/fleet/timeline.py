"""The run second by second, in bounded memory however long it lasts.

Recent seconds are kept whole, because reports of several workers, some of them late, still add to them. Older
ones are reduced to counters and one packed histogram. When there are more bins than `MAX_BINS`, neighbours are
added together and bins become twice as long: 24 hours end as bins of 32 s, a minute keeps every second.
"""

from collections.abc import Callable, Iterator
from copy import copy

import msgspec

from loadtest.fleet.endpoint_timeline import EndpointTimeline, PackedEndpoints
from loadtest.fleet.messages import PackedSecond, pack_second, unpack_second
from loadtest.measure import codec
from loadtest.measure.histogram import Histogram
from loadtest.measure.run_result import EndpointOverTime, TimelinePoint
from loadtest.measure.second import EndpointKey, Second, response_of

MAX_BINS = 3_600
WHOLE_SECONDS = 15
"""Seconds kept whole: what is shown live, and longer than reports are late. What comes later still is added to
its bin, which costs more."""

PlannedTransactions = Callable[[float, float], float]
"""How many transactions the plan intends between two offsets, in seconds."""


_EMPTY = codec.encode(Histogram())


_SUMMED = (
    "scheduled",
    "started",
    "dropped",
    "requests",
    "failures",
    "transactions_started",
    "transactions_ok",
    "transactions_failed",
    "failed",
)
_HIGHEST = ("in_flight", "backlog", "lag_p99_us")


class Bin(msgspec.Struct, array_like=True):
    """Some neighbouring seconds, reduced: all that is kept of what is long over."""

    scheduled: int = 0
    started: int = 0
    dropped: int = 0
    requests: int = 0
    failures: int = 0
    transactions_started: int = 0
    transactions_ok: int = 0
    transactions_failed: int = 0
    in_flight: int = 0
    backlog: int = 0
    lag_p99_us: float = 0.0
    response: bytes = _EMPTY
    failed: int = 0
    """Arrivals of every scenario that failed or made no request. Checkpoints know fields by place: add at the end."""
    failed_response: bytes = _EMPTY
    """Of `response`, what failed."""

    def add(self, other: "Bin") -> None:
        for name in _SUMMED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in _HIGHEST:
            setattr(self, name, max(getattr(self, name), getattr(other, name)))
        self.response = codec.encode(_merged(self.response, other.response))
        if other.failed_response != _EMPTY:
            self.failed_response = codec.encode(_merged(self.failed_response, other.failed_response))


class PackedTimeline(msgspec.Struct, frozen=True):
    """A timeline as a checkpoint keeps it."""

    bin_s: int
    bins: dict[int, Bin]
    whole: list[PackedSecond]
    gauges: dict[int, tuple[int, int]]
    endpoints: PackedEndpoints = PackedEndpoints()


class Timeline:
    """Bins of equal length, filled from seconds in any order."""

    def __init__(self) -> None:
        self.bin_s = 1
        self._bins: dict[int, Bin] = {}
        self._whole: dict[int, Second] = {}
        self._gauges: dict[int, tuple[int, int]] = {}
        self._endpoints = EndpointTimeline()
        self._drawn: dict[int, TimelinePoint] = {}
        """Points of whole seconds that have not changed since they were made."""

    def pack(self) -> PackedTimeline:
        """Everything; it shares the bins, so whoever wants them to stay as they are encodes it at once."""
        whole = [pack_second(second) for second in self._whole.values()]
        return PackedTimeline(self.bin_s, self._bins, whole, self._gauges, self._endpoints.pack())

    @classmethod
    def unpack(cls, packed: PackedTimeline) -> "Timeline":
        """The timeline that was packed. Raises `ValueError` when it cannot have been one."""
        timeline = cls()
        if packed.bin_s < 1:
            raise ValueError(f"a bin of a timeline cannot be {packed.bin_s} s long")
        for bin_ in packed.bins.values():
            codec.parse(bin_.response)
            codec.parse(bin_.failed_response)
        timeline.bin_s, timeline._bins = packed.bin_s, dict(packed.bins)
        timeline._whole = {second.index: unpack_second(second) for second in packed.whole}
        timeline._gauges = dict(packed.gauges)
        timeline._endpoints = EndpointTimeline(packed.endpoints)
        return timeline

    def add(self, second: Second) -> None:
        """Add one worker's second."""
        whole = self._whole.get(second.index)
        if whole is None:
            whole = self._whole[second.index] = Second(second.index)
        whole.add(second)
        self._drawn.pop(second.index, None)
        newest = max(self._whole)
        for index in [i for i in self._whole if i <= newest - WHOLE_SECONDS]:
            self._settle(index, self._whole.pop(index))

    def note_gauges(self, index: int, in_flight: int, backlog: int) -> None:
        """Note how much the fleet had in flight and waiting in second `index`; the highest stays."""
        known = self._gauges.get(index, (0, 0))
        self._gauges[index] = (max(known[0], in_flight), max(known[1], backlog))
        self._drawn.pop(index, None)

    def endpoint(self, key: EndpointKey) -> EndpointOverTime | None:
        """One endpoint over the run so far; None where there is nothing of it."""
        return self._endpoints.over_time(key, list(self._whole.values()))

    def waiting(self) -> Iterator[tuple[int, int]]:
        """(second, by how many more arrivals were scheduled in it than began or were dropped), newest first.

        Those of a bin are at its first second. Where arrivals began late there are more than wait now.
        """
        for index in sorted(self._whole, reverse=True):
            yield index, _waiting(self._whole[index])
        for number in sorted(self._bins, reverse=True):
            yield number * self.bin_s, _waiting(self._bins[number])

    def recent(self, seconds: int) -> list[Second]:
        """The newest `seconds` seconds that are still whole, oldest first."""
        return [self._whole[index] for index in sorted(self._whole)[-seconds:]]

    def recent_points(self, seconds: int, planned: PlannedTransactions) -> Iterator[TimelinePoint]:
        """`recent` as points of one second each, oldest first."""
        for second in self.recent(seconds):
            point = self._drawn.get(second.index)
            if point is None:
                bin_ = _reduced(second, *self._gauges.get(second.index, (0, 0)))
                point = self._drawn[second.index] = _point(second.index, 1, bin_, planned)
            yield point

    def points(self, planned: PlannedTransactions) -> Iterator[TimelinePoint]:
        """The whole run, oldest first; `t_s` is where a bin begins."""
        merged = {index: copy(bin_) for index, bin_ in self._bins.items()}
        for index, second in self._whole.items():
            self._put(merged, index, second)
        bin_s = self.bin_s  # whoever takes the points may let the run go on meanwhile
        for number in sorted(merged):
            yield _point(number * bin_s, bin_s, merged[number], planned)

    def points_between(self, from_s: int, to_s: int, planned: PlannedTransactions) -> Iterator[TimelinePoint]:
        """Seconds [from_s, to_s) one by one, as far as they are still whole, also those in which nothing happened."""
        for index in range(max(from_s, to_s - WHOLE_SECONDS), to_s):
            second = self._whole.get(index, Second(index))
            yield _point(index, 1, _reduced(second, *self._gauges.get(index, (0, 0))), planned)

    def _settle(self, index: int, second: Second) -> None:
        self._put(self._bins, index, second)
        self._endpoints.add(second)
        self._gauges.pop(index, None)
        self._drawn.pop(index, None)
        if len(self._bins) > MAX_BINS:
            self._halve()

    def _put(self, bins: dict[int, Bin], index: int, second: Second) -> None:
        bin_ = _reduced(second, *self._gauges.get(index, (0, 0)))
        number = index // self.bin_s
        if number in bins:
            bins[number].add(bin_)
        else:
            bins[number] = bin_

    def _halve(self) -> None:
        self.bin_s *= 2
        halved: dict[int, Bin] = {}
        for number, bin_ in self._bins.items():
            if number // 2 in halved:
                halved[number // 2].add(bin_)
            else:
                halved[number // 2] = bin_
        self._bins = halved


def _point(from_s: int, length_s: int, bin_: Bin, planned: PlannedTransactions) -> TimelinePoint:
    response = codec.decode(bin_.response)
    failed = codec.decode(bin_.failed_response)
    ok = response.without(failed) if failed.counts else response
    return TimelinePoint(
        t_s=from_s,
        planned_tps=planned(from_s, from_s + length_s) / length_s,
        started_tps=bin_.transactions_started / length_s,
        completed_tps=bin_.transactions_ok / length_s,
        failed_tps=bin_.transactions_failed / length_s,
        failed_per_s=bin_.failed / length_s,
        scheduled=bin_.scheduled,
        started=bin_.started,
        dropped=bin_.dropped,
        requests=bin_.requests,
        failures=bin_.failures,
        in_flight=bin_.in_flight,
        backlog=bin_.backlog,
        response_ms=response.quantiles(),
        ok_p50_ms=_ms(ok, 0.5),
        ok_p99_ms=_ms(ok, 0.99),
        failed_p50_ms=_ms(failed, 0.5),
        failed_p99_ms=_ms(failed, 0.99),
        dispatch_lag_p99_ms=bin_.lag_p99_us / 1000,
        heat=response.heat(),
    )


def _ms(times: Histogram, quantile: float) -> float | None:
    return times.quantile(quantile) / 1000 if times.counts else None


def _reduced(second: Second, in_flight: int, backlog: int) -> Bin:
    failed, endpoints = Histogram(), second.requested
    for endpoint in endpoints:
        if endpoint.failed is not None:
            failed.merge(endpoint.failed)
    return Bin(
        scheduled=second.scheduled,
        started=second.started,
        dropped=second.dropped,
        requests=sum(endpoint.requests for endpoint in endpoints),
        failures=sum(endpoint.failures for endpoint in endpoints),
        transactions_started=second.transactions_started,
        transactions_ok=second.transactions_ok,
        transactions_failed=second.transactions_failed,
        in_flight=in_flight,
        backlog=backlog,
        lag_p99_us=second.dispatch_lag.quantile(0.99),
        response=codec.encode(response_of([second])),
        failed=second.failed + second.empty,
        failed_response=codec.encode(failed) if failed.counts else _EMPTY,
    )


def _waiting(of: Second | Bin) -> int:
    return max(0, of.scheduled - of.started - of.dropped)


def _merged(one: bytes, other: bytes) -> Histogram:
    total = codec.decode(one)
    codec.merge_into(total, other)
    return total
