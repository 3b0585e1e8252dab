"""What the master and its workers say to each other, as typed records and as bytes.

Everything crosses the wire as MessagePack checked against these types, so a malformed or foreign frame is an
error here and changes nothing further in. Plan offsets (`…_ns` unless they say `wall`) count from the plan's
time zero; only `Assign.zero_wall_ns` is a wall-clock instant, because it is the one thing that two machines
must agree on.
"""

from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from loadtest.measure import codec
from loadtest.measure.exemplar import MOST_REPORTED, Exemplar
from loadtest.measure.window import COUNTERS, Second

MAX_MESSAGE_BYTES = 16 << 20


class MessageError(ValueError):
    """A frame that is not one of ours: malformed, too large, or of an unknown kind."""


class Hello(msgspec.Struct, frozen=True, tag=True):
    """Worker to master, until it is assigned: I am here; `ready` once every user waits for an arrival."""

    run_id: str
    users: int
    ready: bool


class Assign(msgspec.Struct, frozen=True, tag=True):
    """Master to worker: from `from_ns` on, slot `slot` of `slots` is yours; what you held ended at `before_ns`."""

    run_id: str
    slot: int
    slots: int
    from_ns: int
    before_ns: int
    zero_wall_ns: int


class Lease(msgspec.Struct, frozen=True, tag=True):
    """Master to worker: you may serve arrivals intended before `until_ns`. No lease, no load."""

    run_id: str
    until_ns: int


class Halt(msgspec.Struct, frozen=True, tag=True):
    """Master to worker: the schedule ends at `at_ns`; finish what is in flight within `drain_s`, then report."""

    run_id: str
    at_ns: int
    drain_s: float


class Ack(msgspec.Struct, frozen=True, tag=True):
    """Master to worker: report `number` is in the books; forget it."""

    run_id: str
    number: int


class Trouble(msgspec.Struct, frozen=True, tag=True):
    """Worker to master, until the run is halted: I cannot go on, and why."""

    run_id: str
    reason: str


class PackedEndpoint(msgspec.Struct, frozen=True, array_like=True):
    """`EndpointSecond` as it travels."""

    method: str
    name: str
    requests: int
    response_bytes: int
    errors: dict[str, int]
    response: bytes
    service: bytes


class PackedSecond(msgspec.Struct, frozen=True, array_like=True):
    """`Second` as it travels: its counters in the order of `window.COUNTERS`."""

    index: int
    counters: list[int]
    endpoints: list[PackedEndpoint]
    dispatch_lag: bytes
    queueing: bytes


class Report(msgspec.Struct, frozen=True, tag=True):
    """Worker to master, once a second, numbered from 0 without a gap and resent until acknowledged."""

    run_id: str
    number: int
    seconds: list[PackedSecond]
    in_flight: int
    backlog: int
    cpu: float
    """Share of one core this worker's process used since the last report."""
    cpu_wait: float
    """Share of the time it was ready to run and did not get a core."""
    final: bool = False
    ended_ns: int = 0
    """In the final report: the plan offset up to which its slices were scheduled."""
    exemplars: Annotated[list[Exemplar], Meta(max_length=MOST_REPORTED)] = []


Message = Hello | Assign | Lease | Halt | Ack | Trouble | Report
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)
_encoder = msgspec.msgpack.Encoder()


def encode(message: Message) -> bytes:
    """A message as bytes."""
    return _encoder.encode(message)


def decode(frame: object) -> Message:
    """The message in `frame`. Raises `MessageError` for anything that is not one."""
    if not isinstance(frame, bytes):
        raise MessageError(f"a frame is bytes, not {type(frame).__name__}")
    if len(frame) > MAX_MESSAGE_BYTES:
        raise MessageError(f"a frame of {len(frame)} bytes exceeds {MAX_MESSAGE_BYTES}")
    try:
        return _decoder.decode(frame)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"not a message of the harness: {error}") from error


def pack_second(second: Second) -> PackedSecond:
    """A `Second`, its histograms turned to bytes."""
    return PackedSecond(
        second.index,
        [getattr(second, name) for name in COUNTERS],
        [
            PackedEndpoint(
                method,
                name,
                e.requests,
                e.response_bytes,
                e.errors,
                codec.encode(e.response),
                codec.encode(e.service),
            )
            for (method, name), e in second.endpoints.items()
        ],
        codec.encode(second.dispatch_lag),
        codec.encode(second.queueing),
    )


class ParsedSecond(NamedTuple):
    """A `PackedSecond` that was found to be one, histograms included: adding it to another cannot fail."""

    packed: PackedSecond
    dispatch_lag: codec.Parsed
    queueing: codec.Parsed
    latencies: list[tuple[codec.Parsed, codec.Parsed]]
    """(response, service) of each endpoint."""


def parse_second(packed: PackedSecond) -> ParsedSecond:
    """Check a second completely. Raises `MessageError` when it cannot have been made by `pack_second`."""
    _check_counts(packed)
    parse = codec.parse
    try:
        latencies = [(parse(entry.response), parse(entry.service)) for entry in packed.endpoints]
        return ParsedSecond(packed, parse(packed.dispatch_lag), parse(packed.queueing), latencies)
    except ValueError as error:
        raise MessageError(f"a histogram in second {packed.index}: {error}") from error


def add_parsed(second: Second, parsed: ParsedSecond) -> None:
    """Add what a worker packed to `second`, without building a `Second` of it."""
    for name, count in zip(COUNTERS, parsed.packed.counters, strict=True):
        setattr(second, name, getattr(second, name) + count)
    codec.add(second.dispatch_lag, parsed.dispatch_lag)
    codec.add(second.queueing, parsed.queueing)
    for entry, (response, service) in zip(parsed.packed.endpoints, parsed.latencies, strict=True):
        endpoint = second.endpoint((entry.method, entry.name))
        endpoint.requests += entry.requests
        endpoint.response_bytes += entry.response_bytes
        for error, count in entry.errors.items():
            endpoint.add_error(error, count)
        codec.add(endpoint.response, response)
        codec.add(endpoint.service, service)


def unpack_second(packed: PackedSecond) -> Second:
    """The `Second` that was packed. Raises `MessageError` when it cannot have been made by `pack_second`."""
    second = Second(packed.index)
    add_parsed(second, parse_second(packed))
    return second


def _check_counts(packed: PackedSecond) -> None:
    """Refuse what would make sums wrong without being noticed: numbers that no count can have."""
    if len(packed.counters) != len(COUNTERS):
        raise MessageError(f"a second has {len(COUNTERS)} counters, not {len(packed.counters)}")
    if min(packed.counters) < 0:
        raise MessageError(f"a counter of second {packed.index} is negative")
    for entry in packed.endpoints:
        failures = sum(entry.errors.values())
        if min(entry.errors.values(), default=0) < 0 or min(entry.requests, entry.response_bytes) < 0:
            raise MessageError(f"a count of {entry.method} {entry.name} is negative")
        if failures > entry.requests:
            raise MessageError(
                f"{entry.method} {entry.name} cannot have {failures} failures in {entry.requests} requests"
            )
