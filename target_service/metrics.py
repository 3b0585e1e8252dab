"""Metrics in shared memory: workers count, the supervisor adds up, and neither waits for the other.

Every series is known beforehand, so each has a fixed place in a block of doubles, one block a worker, in one
anonymous file the supervisor creates and the workers inherit. Counting is an addition in memory (about 0.1 us
where prometheus-client takes about 1 us); a scrape reads all the blocks without a word to any worker; and a
worker that crashes leaves its counts behind for its successor to go on from, so that counters never step
back. Neither a worker nor the start of one waits for prometheus-client, which only `metrics_page` knows.

The newest request of each bucket of durations whose trace can be looked up stands for the bucket, as its exemplar;
its record lies beside the counts. A worker may be killed, or read, in the middle of writing one, so each carries its
checksum, and what does not add up is left out: that needs no lock and no word between the processes.
"""

import mmap
import os
import struct
import time
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, product
from typing import NamedTuple, get_args
from zlib import crc32

from target_service.faults import FaultKind, Route
from target_service.problem import KINDS, OVERLOADED, Kind

TRAFFIC = ("live", "shadow")
ROUTES = (*get_args(Route), "other")
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


_TIMES = struct.Struct("<dd")
"""Seconds, and seconds since 1970, which follow the 16 bytes of the trace id."""
_CHECKED = struct.Struct(f"<{16 + _TIMES.size}sII")
"""Such a record, its CRC-32, and 1 where there is one."""
RECORD_SLOTS = _CHECKED.size // 8
"""Doubles that one record takes."""


class Family(NamedTuple):
    """A metric: its name, its labels, and every combination of label values it can have."""

    name: str
    help: str
    kind: str
    """`counter`, `gauge` or `histogram`."""
    labels: tuple[str, ...] = ()
    values: tuple[tuple[str, ...], ...] = ((),)
    bounds: tuple[float, ...] = ()
    """A histogram's upper bucket bounds, without +Inf."""
    is_traced: bool = False
    """Whether a histogram's buckets have exemplars."""

    @property
    def counts(self) -> int:
        """Doubles that count in one series: a histogram has a bucket more than bounds, and the sum."""
        return len(self.bounds) + 2 if self.kind == "histogram" else 1

    @property
    def slots(self) -> int:
        """Doubles that one series takes: its counts, then an exemplar a bucket if it is traced."""
        return self.counts + (len(self.bounds) + 1) * RECORD_SLOTS * self.is_traced


FAMILIES: list[Family] = []


def _family(
    kind: str, name: str, what: str, bounds: tuple[float, ...] = (), /, **labels: Sequence[str]
) -> Family:
    """A family with every combination of its labels' values, which joins the others."""
    family = Family(
        name, what, kind, tuple(labels), tuple(product(*labels.values())), bounds, "route" in labels
    )
    FAMILIES.append(family)
    return family


CREATED = _family("counter", "orders_created_total", "Orders made durable.", traffic=TRAFFIC)
REPLAYED = _family(
    "counter", "orders_replayed_total", "Repeated requests given their first answer.", traffic=TRAFFIC
)
_REASONS = [kind.slug for kind in KINDS]
REJECTED = _family(
    "counter", "orders_rejected_total", "Requests answered with an error.", reason=_REASONS, traffic=TRAFFIC
)
_INSIDE = "Time from a request's head to its response, inside the service."
REQUEST_SECONDS = _family(
    "histogram", "orders_request_seconds", _INSIDE, SECONDS, route=ROUTES, traffic=TRAFFIC
)
COMMIT_SECONDS = _family("histogram", "orders_commit_seconds", "Time to make one batch durable.", SECONDS)
COMMIT_BATCH_SIZE = _family(
    "histogram", "orders_commit_batch_size", "Changes made durable together.", BATCH_SIZES
)
IN_FLIGHT = _family("gauge", "orders_in_flight", "Requests being worked on.")
SHED = _family("counter", "orders_shed_total", "Requests refused because too much was under way.")
FAULTS = _family("counter", "orders_faults_total", "Faults met in drills.", kind=get_args(FaultKind))
CANCELLED = _family(
    "counter", "orders_cancelled_total", "Orders cancelled because they were not paid in time."
)
STORE_ERRORS = _family("counter", "orders_store_errors_total", "Times the store failed or did not answer.")
RESTARTS = _family("counter", "orders_worker_restarts_total", "Workers started again after a crash.")
MEMORY = _family("gauge", "orders_memory_bytes", "Resident memory of all workers.")
LOOP_LAG = _family(
    "histogram", "orders_event_loop_lag_seconds", "How late a timer of the event loop is.", SECONDS
)

_SIZES = [family.slots * len(family.values) for family in FAMILIES]
_OFFSETS = dict(zip((family.name for family in FAMILIES), accumulate(_SIZES, initial=0), strict=False))
"""Where each family begins: they lie one after another."""
BLOCK_SLOTS = sum(_SIZES) + 2
"""Doubles of one worker: all series, then what shows that it lives."""


class Counter:
    """A number that grows (or, as a gauge, moves); one writer, which others may read."""

    __slots__ = ("_slots",)

    def __init__(self, slots: "memoryview[float]") -> None:
        self._slots = slots

    def add(self, amount: float = 1) -> None:
        """Add to it."""
        self._slots[0] += amount

    @property
    def value(self) -> float:
        """What it is now."""
        return self._slots[0]

    @value.setter
    def value(self, value: float) -> None:
        self._slots[0] = value


class Exemplar(NamedTuple):
    """The request that stands for a bucket."""

    trace_id: str
    seconds: float
    at_s: float
    """When it ended, in seconds since 1970."""


class Records:
    """One worker's exemplars, by number; one writer."""

    def __init__(self, memory: "memoryview[float]") -> None:
        """In the doubles of `memory`, `RECORD_SLOTS` each."""
        self._memory = memory.cast("B")

    def put(self, number: int, trace_id: str, seconds: float) -> None:
        """Make a request that ends now the exemplar of a bucket. `trace_id` has 32 hexadecimal digits."""
        record = bytes.fromhex(trace_id) + _TIMES.pack(seconds, round(time.time(), 3))
        _CHECKED.pack_into(self._memory, number * _CHECKED.size, record, crc32(record), 1)

    def present(self) -> dict[int, Exemplar]:
        """The exemplars by their number, without one that is being written."""
        memory = bytes(self._memory)
        if memory == bytes(len(memory)):  # no request is traced: spare the scrape the rest
            return {}
        return {
            number: Exemplar(record[:16].hex(), *_TIMES.unpack(record[16:]))
            for number, (record, checksum, is_there) in enumerate(_CHECKED.iter_unpack(memory))
            if is_there == 1 and crc32(record) == checksum
        }


def newest(workers: Iterable[Mapping[int, Exemplar]]) -> dict[int, Exemplar]:
    """The newest exemplar of all workers under each number."""
    kept: dict[int, Exemplar] = {}
    for exemplars in workers:
        for number, exemplar in exemplars.items():
            kept[number] = max(exemplar, kept.get(number, exemplar), key=lambda one: one.at_s)
    return kept


class Histogram:
    """Counts by size, of which a traced request may stand for its bucket; one writer."""

    __slots__ = ("_bounds", "_records", "_slots", "_sum_at")

    def __init__(self, slots: "memoryview[float]", family: Family) -> None:
        self._slots = slots
        self._bounds = family.bounds
        self._sum_at = family.counts - 1
        self._records = Records(slots[family.counts :])

    def observe(self, value: float) -> None:
        """Count one value."""
        self._slots[bisect_left(self._bounds, value)] += 1
        self._slots[self._sum_at] += value

    def exemplify(self, value: float, trace_id: str) -> None:
        """Make the request that was just counted the exemplar of its bucket, in a traced family."""
        self._records.put(bisect_left(self._bounds, value), trace_id, value)


class Block:
    """One worker's numbers."""

    def __init__(self, memory: "memoryview[float]") -> None:
        self._memory = memory
        self.beats, self.proved_s = Counter(memory[-2:-1]), Counter(memory[-1:])
        """What shows that a worker lives: how often its event loop has turned, and when its store last made something
        durable, on the monotonic clock; 0 if it failed since."""

    def slots(self, family: Family, *values: str) -> "memoryview[float]":
        """The place in memory of the series with these label values."""
        at = _OFFSETS[family.name] + family.values.index(values) * family.slots
        return self._memory[at : at + family.slots]

    def counter(self, family: Family, *values: str) -> Counter:
        """The counter or gauge with these label values."""
        return Counter(self.slots(family, *values))

    def histogram(self, family: Family, *values: str) -> Histogram:
        """The histogram with these label values."""
        return Histogram(self.slots(family, *values), family)

    def series(self, family: Family, *values: str) -> list[float]:
        """The counts of one series."""
        return list(self.slots(family, *values)[: family.counts])

    def exemplars(self, family: Family, *values: str) -> dict[int, Exemplar]:
        """The exemplars of one series by the number of their bucket."""
        return Records(self.slots(family, *values)[family.counts :]).present()

    def clear_gauges(self) -> None:
        """Forget what was true of a worker that is gone."""
        self.proved_s.value = 0.0
        for family in FAMILIES:
            if family.kind == "gauge":
                for values in family.values:
                    self.counter(family, *values).value = 0.0


class SharedMetrics:
    """The memory that all workers' blocks lie in."""

    def __init__(self, descriptor: int, workers: int) -> None:
        self.descriptor = descriptor
        self._map = mmap.mmap(descriptor, workers * BLOCK_SLOTS * 8)
        doubles = memoryview(self._map).cast("d")
        self.blocks = [Block(doubles[n * BLOCK_SLOTS : (n + 1) * BLOCK_SLOTS]) for n in range(workers)]

    @classmethod
    def create(cls, workers: int) -> "SharedMetrics":
        """New memory, all zero; its descriptor may be passed on to workers."""
        descriptor = os.memfd_create("orders-metrics")
        os.ftruncate(descriptor, workers * BLOCK_SLOTS * 8)
        return cls(descriptor, workers)


class WorkerMetrics:
    """The series one worker counts in, found once."""

    def __init__(self, block: Block) -> None:
        self.created = {traffic: block.counter(CREATED, traffic) for traffic in TRAFFIC}
        self.replayed = {traffic: block.counter(REPLAYED, traffic) for traffic in TRAFFIC}
        self.rejected = {values: block.counter(REJECTED, *values) for values in REJECTED.values}
        self.request_seconds = {
            values: block.histogram(REQUEST_SECONDS, *values) for values in REQUEST_SECONDS.values
        }
        self.in_flight = block.counter(IN_FLIGHT)
        self.shed = block.counter(SHED)
        self.cancelled = block.counter(CANCELLED)
        self._faults = {kind: block.counter(FAULTS, kind) for (kind,) in FAULTS.values}
        self.memory_bytes = block.counter(MEMORY)
        self.loop_lag = block.histogram(LOOP_LAG)
        self._commit_seconds = block.histogram(COMMIT_SECONDS)
        self._commit_batch_size = block.histogram(COMMIT_BATCH_SIZE)
        self._store_errors = block.counter(STORE_ERRORS)
        self.beats, self.proved_s = block.beats, block.proved_s

    def refused(self, kind: Kind, traffic: str) -> None:
        """Count a request that is answered with an error."""
        self.rejected[kind.slug, traffic].add()
        if kind is OVERLOADED:
            self.shed.add()

    def fault_met(self, kind: str) -> None:
        """Count a fault."""
        self._faults[kind].add()

    def committed(self, changes: int, seconds: float, proves: bool = True) -> None:
        """Count a batch (the store's observer); `proves`: it shows that orders can be written."""
        self._commit_seconds.observe(seconds)
        self._commit_batch_size.observe(changes)
        if proves:
            self.proved_s.value = time.monotonic()

    def failed(self) -> None:
        """Count a failure of the store (the store's observer)."""
        self._store_errors.add()
        self.proved_s.value = 0.0
