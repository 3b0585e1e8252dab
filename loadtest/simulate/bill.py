"""The machines that a rate needs, computed from measured figures only.

Each line says from which measurements it follows and how; none was measured at the size that it is for, so all of
them are projected. The measurements are in `inputs.json` beside this file, each with the command that repeats it and
the lowest and highest value seen; `python -m benchmarks.bill` measures all of them anew and writes that file.
"""

from collections.abc import Iterator, Sequence
from importlib.resources import files
from math import ceil
from typing import NamedTuple

import msgspec

from loadtest.records import RECORD_TPS

BUSY = 0.7
"""Share of a core that is planned with: an open loop beyond it queues, and machines pause."""
PORTS = 28_000
"""Connections from one address to one address and port: Linux's `ip_local_port_range` by default, 32768 to 60999."""
SPARE_FILES = 64
"""What a process has open besides its connections."""
DECADES_TPS = tuple(RECORD_TPS * 10.0**n / 1_000 for n in range(5))


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """A figure, the lowest and highest seen, and how it was found."""

    value: float
    low: float
    high: float
    unit: str
    command: str
    when: str


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a bill is worked out from."""

    machine: str
    requests_per_order: Measured
    request_us: Measured
    """CPU of the generator for an arrival with one request."""
    generator_mb: Measured
    """Memory of a generator process."""
    master_cores_per_1000: Measured
    order_us: Measured
    """CPU of the order service for a durable order, with nothing besides."""
    worker_tps: Measured
    """Durable orders a second of one worker process."""
    service_mb: Measured
    orders_per_commit: Measured
    order_bytes: Measured
    """On the wire, both ways together."""
    order_packets: Measured
    stored_bytes: Measured
    """In the database, for an order."""
    answer_ms: Measured
    """Median response time at half of what a worker does."""


class Line(NamedTuple):
    """One line of a bill: an estimate, and what it is with the lowest and highest of its measurements."""

    part: str
    what: str
    low: float
    value: float
    high: float
    unit: str
    how: str


def shipped_inputs() -> Inputs:
    """The measurements that come with the package."""
    return read_inputs(files("loadtest.simulate").joinpath("inputs.json").read_bytes())


def read_inputs(data: bytes) -> Inputs:
    """Measurements as `benchmarks.bill` wrote them. Raises `msgspec.MsgspecError`."""
    return msgspec.json.decode(data, type=Inputs)


def bill(tps: float, inputs: Inputs) -> list[Line]:
    """The lines of the bill for `tps` orders a second."""
    return [*_generator(tps, inputs), *_network(tps, inputs), *_service(tps, inputs)]


def _generator(tps: float, inputs: Inputs) -> Iterator[Line]:
    part = "generator"
    requests = [tps * each for each in _of(inputs.requests_per_order)]
    yield _line(part, "requests", requests, "/s", "orders x requests an order")
    cores = [rate * us / 1e6 / BUSY for rate, us in zip(requests, _of(inputs.request_us), strict=True)]
    yield _line(part, "cores", cores, "", f"requests x CPU a request, at {BUSY:.0%} of a core")
    workers = [ceil(each) for each in cores]
    yield _line(part, "processes", workers, "", "one a core")
    memory = [count * mb / 1024 for count, mb in zip(workers, _of(inputs.generator_mb), strict=True)]
    yield _line(part, "memory", memory, "GiB", "processes x memory of one")
    open_now = [rate * ms / 1000 for rate, ms in zip(requests, _of(inputs.answer_ms), strict=True)]
    yield _line(part, "connections", open_now, "", "requests x response time (Little's law)")
    stalled = [ceil(rate / PORTS) for rate in requests]
    yield _line(
        part,
        "addresses for a second's stall",
        stalled,
        "",
        f"a second's requests / {PORTS:,} ports of an address",
    )
    each = [ceil(rate / count) + SPARE_FILES for rate, count in zip(requests, workers, strict=True)]
    yield _line(part, "open files a process", each, "", "a connection for each request of a second's stall")
    master = [
        count / 1000 * cost for count, cost in zip(workers, _of(inputs.master_cores_per_1000), strict=True)
    ]
    yield _line(part, "master's cores", master, "", "processes x what reporting costs it")


def _network(tps: float, inputs: Inputs) -> Iterator[Line]:
    bits = [tps * each * 8 / 1e9 for each in _of(inputs.order_bytes)]
    yield _line("network", "traffic", bits, "Gbit/s", "orders x bytes an order, both ways, headers included")
    packets = [tps * each for each in _of(inputs.order_packets)]
    yield _line("network", "packets", packets, "/s", "orders x packets an order")


def _service(tps: float, inputs: Inputs) -> Iterator[Line]:
    part = "service"
    cores = [tps * us / 1e6 / BUSY for us in _of(inputs.order_us)]
    yield _line(part, "cores", cores, "", f"orders x CPU an order, at {BUSY:.0%}; if work added up perfectly")
    workers = [ceil(tps / (each * BUSY)) for each in _of(inputs.worker_tps)]
    yield _line(part, "worker processes", workers, "", f"orders / what one does, at {BUSY:.0%}")
    memory = [count * inputs.service_mb.value / 1024 for count in workers]
    yield _line(part, "memory", memory, "GiB", "processes x memory of one")
    commits = [tps / each for each in _of(inputs.orders_per_commit)]
    yield _line(part, "commits", commits, "/s", "orders / orders a commit")
    stored = [tps * each / 1e6 for each in _of(inputs.stored_bytes)]
    yield _line(part, "written", stored, "MB/s", "orders x bytes that one makes the store write")


def _line(part: str, what: str, values: Sequence[float], unit: str, how: str) -> Line:
    """A line with the results of the lowest, the middle and the highest measurement, sorted."""
    low, value, high = sorted(values)
    return Line(part, what, low, value, high, unit, how)


def _of(measured: Measured) -> Sequence[float]:
    return measured.low, measured.value, measured.high


def figure(value: float) -> str:
    """A figure with two or three digits that count."""
    if value >= 100:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"


def rows(tps: float, inputs: Inputs) -> list[tuple[str, str, str, str, str]]:
    """(part, what, estimate, interval, how) of each line, in words."""
    return [
        (
            line.part,
            line.what,
            f"{figure(line.value)} {line.unit}".strip(),
            f"{figure(line.low)} to {figure(line.high)}",
            line.how,
        )
        for line in bill(tps, inputs)
    ]
