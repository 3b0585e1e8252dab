"""What the master and its workers say to each other, as typed records and as bytes.

Everything crosses the wire as MessagePack checked against these types, so a malformed or foreign frame is an
error here and changes nothing further in. Plan offsets (`…_ns`) count from the plan's time zero. What says `wall` is
an instant of the master's wall clock: time zero, the one thing that two machines must agree on, and what a worker
learns from how far its own clock is off. `sent_ns` is an instant of its sender's run clock.
"""

from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from loadtest.measure import codec
from loadtest.measure.evidence import MOST_REPORTED as MOST_SAMPLES
from loadtest.measure.evidence import Sample
from loadtest.measure.exemplar import MOST_REPORTED, Exemplar
from loadtest.measure.histogram import Histogram
from loadtest.measure.second import COUNTERS, MAX_PATTERNS, MAX_SCRIPT_ERRORS, EndpointSecond, Second

MAX_MESSAGE_BYTES = 16 << 20
MAX_SCENARIOS = 100
Count = Annotated[int, Meta(ge=0, lt=1 << 62)]
Text = Annotated[str, Meta(max_length=501)]


class MessageError(ValueError):
    """A frame that is not one of ours: malformed, too large, or of an unknown kind."""


class UserCount(msgspec.Struct, frozen=True, array_like=True):
    """How the users of one scenario at one worker are coming."""

    scenario: Text
    wanted: Count
    ready: Count
    """Waiting for an arrival."""
    failed: Count = 0
    """Ended by their `on_start`."""
    why: Text = ""
    """What ended the first of those."""


class Hello(msgspec.Struct, frozen=True, tag=True):
    """Worker to master, until it is assigned and whenever its lease has run out: I am here.

    It is `ready` once every user waits for an arrival.

    The master answers each with a `Clock`, from which the worker learns how far its clock is off.
    """

    run_id: str
    users: int
    ready: bool
    counts: Annotated[list[UserCount], Meta(max_length=MAX_SCENARIOS)] = []
    sent_ns: int = 0
    """The worker's own run clock, which comes back in the `Clock`."""
    clock_offset_ns: int | None = None
    """How far its wall clock is ahead of the master's, once it knows."""
    clock_error_ns: Count = 0
    """By how much that may be wrong: half of the round trip."""
    build: Annotated[dict[Text, Text], Meta(max_length=MAX_SCENARIOS + 10)] = {}
    """What the worker is made of: see `fleet.build`."""
    zero_wall_ns: int = 0
    """As in the `Assign` that it serves by; 0 before it has one."""


class Clock(msgspec.Struct, frozen=True, tag=True):
    """Master to worker, at once after a `Hello`: what my wall clock says."""

    run_id: str
    sent_ns: int
    """As in the `Hello`."""
    wall_ns: int


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
    """Master to worker: report `number` is in the totals; forget it."""

    run_id: str
    number: int
    saved: int = 0
    """Reports with lower numbers than that are on the master's disk, in a checkpoint or in the result."""


class Refuse(msgspec.Struct, frozen=True, tag=True):
    """Master to worker: you get nothing to do, and why."""

    run_id: str
    reason: str
    anew: bool = False
    """Whether a new process in its place may come."""


SERVED_ANOTHER = "it serves this run for a master that is gone"
"""Why a resumed run takes none of the workers that outlived its master: they count time from another instant."""


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
    failed: bytes = b""
    """Empty where there is none, as the others."""
    sent_bytes: int = 0
    received_bytes: int = 0
    first_byte: bytes = b""
    connect: bytes = b""
    tls: bytes = b""


class PackedSecond(msgspec.Struct, frozen=True, array_like=True):
    """`Second` as it travels: its counters in the order of `second.COUNTERS`."""

    index: int
    counters: list[int]
    endpoints: list[PackedEndpoint]
    dispatch_lag: bytes
    queueing: bytes
    patterns: Annotated[list[PackedEndpoint], Meta(max_length=MAX_PATTERNS + 1)] = []
    """Their `name` is the pattern, their `method` is empty."""
    script_errors: Annotated[
        list[tuple[Text, Text, Text, Count]], Meta(max_length=2 * MAX_SCRIPT_ERRORS)
    ] = []
    """(scenario, error, where, count)."""


class Report(msgspec.Struct, frozen=True, tag=True):
    """Worker to master, twice a second, numbered from 0 without a gap and resent until acknowledged."""

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
    """In the final report: the plan offset up to which its slots were scheduled."""
    exemplars: Annotated[list[Exemplar], Meta(max_length=MOST_REPORTED)] = []
    samples: Annotated[list[Sample], Meta(max_length=MOST_SAMPLES)] = []
    """Failures that stand for their class; each once."""
    left: Annotated[dict[Text, Count], Meta(max_length=MAX_SCENARIOS)] = {}
    """How many users of a scenario have left for good, so far."""
    asked: Annotated[list[Text], Meta(max_length=MAX_SCENARIOS)] = []
    """Scenarios that have made a request, so far."""
    silent: Annotated[list[Text], Meta(max_length=MAX_SCENARIOS)] = []
    """Scenarios of which an arrival ended without a request that it needed, so far."""
    missed: Count = 0
    """Arrivals that were dropped because the worker stood still when they were due, so far."""


Message = Hello | Clock | Assign | Lease | Halt | Ack | Refuse | Trouble | Report
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)
_encoder = msgspec.msgpack.Encoder()


def encode(message: Message) -> bytes:
    """A message as bytes."""
    return _encoder.encode(message)


def bounded(frame: object) -> bytes:
    """The frame, if it is one of a size that we send. Raises `MessageError`."""
    if not isinstance(frame, bytes):
        raise MessageError(f"a frame is bytes, not {type(frame).__name__}")
    if len(frame) > MAX_MESSAGE_BYTES:
        raise MessageError(f"a frame of {len(frame)} bytes exceeds {MAX_MESSAGE_BYTES}")
    return frame


def decode(frame: object) -> Message:
    """The message in `frame`. Raises `MessageError` for anything that is not one."""
    try:
        return _decoder.decode(bounded(frame))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"not a message of the harness: {error}") from error


def pack_second(second: Second) -> PackedSecond:
    """A `Second`, its histograms turned to bytes."""
    return PackedSecond(
        second.index,
        [getattr(second, name) for name in COUNTERS],
        [_pack_endpoint(method, name, entry) for (method, name), entry in second.endpoints.items()],
        codec.encode(second.dispatch_lag),
        codec.encode(second.queueing),
        [_pack_endpoint("", pattern, entry) for pattern, entry in second.patterns.items()],
        [(*error, count) for error, count in second.script_errors.items()],
    )


def _pack_endpoint(method: str, name: str, entry: EndpointSecond) -> PackedEndpoint:
    return PackedEndpoint(
        method,
        name,
        entry.requests,
        entry.response_bytes,
        entry.errors,
        codec.encode(entry.response),
        codec.encode(entry.service),
        _encoded(entry.failed),
        entry.sent_bytes,
        entry.received_bytes,
        _encoded(entry.first_byte),
        _encoded(entry.connect),
        _encoded(entry.tls),
    )


def _encoded(histogram: Histogram | None) -> bytes:
    return b"" if histogram is None else codec.encode(histogram)


class ParsedEndpoint(NamedTuple):
    """A `PackedEndpoint` whose histograms were found to be some."""

    packed: PackedEndpoint
    response: codec.Parsed
    service: codec.Parsed
    failed: codec.Parsed | None
    first_byte: codec.Parsed | None
    connect: codec.Parsed | None
    tls: codec.Parsed | None

    def add_to(self, endpoint: EndpointSecond) -> None:
        """Add what was packed to an endpoint's entry."""
        packed = self.packed
        endpoint.requests += packed.requests
        endpoint.response_bytes += packed.response_bytes
        endpoint.sent_bytes += packed.sent_bytes
        endpoint.received_bytes += packed.received_bytes
        for error, count in packed.errors.items():
            endpoint.add_error(error, count)
        if self.first_byte is not None or endpoint.first_byte is not None:
            codec.add(endpoint.first_bytes(), self.first_byte or self.service)
        if self.connect is not None:
            endpoint.connect = endpoint.connect or Histogram()
            codec.add(endpoint.connect, self.connect)
        if self.tls is not None:
            endpoint.tls = endpoint.tls or Histogram()
            codec.add(endpoint.tls, self.tls)
        codec.add(endpoint.response, self.response)
        codec.add(endpoint.service, self.service)
        if self.failed is not None:
            codec.add(endpoint.failures_only(), self.failed)


class ParsedSecond(NamedTuple):
    """A `PackedSecond` that was found to be one, histograms included: adding it to another cannot fail."""

    packed: PackedSecond
    dispatch_lag: codec.Parsed
    queueing: codec.Parsed
    endpoints: list[ParsedEndpoint]
    patterns: list[ParsedEndpoint]


def parse_second(packed: PackedSecond) -> ParsedSecond:
    """Check a second completely. Raises `MessageError` when it cannot have been made by `pack_second`."""
    _check_counts(packed)
    parse = codec.parse
    try:
        return ParsedSecond(
            packed,
            parse(packed.dispatch_lag),
            parse(packed.queueing),
            [_parse_endpoint(entry) for entry in packed.endpoints],
            [_parse_endpoint(entry) for entry in packed.patterns],
        )
    except ValueError as error:
        raise MessageError(f"a histogram in second {packed.index}: {error}") from error


def _parse_endpoint(entry: PackedEndpoint) -> ParsedEndpoint:
    parse = codec.parse
    rarer = (entry.failed, entry.first_byte, entry.connect, entry.tls)
    return ParsedEndpoint(
        entry, parse(entry.response), parse(entry.service), *(parse(data) if data else None for data in rarer)
    )


def add_parsed(second: Second, parsed: ParsedSecond) -> None:
    """Add what a worker packed to `second`, without building a `Second` of it."""
    for name, count in zip(COUNTERS, parsed.packed.counters, strict=True):
        setattr(second, name, getattr(second, name) + count)
    codec.add(second.dispatch_lag, parsed.dispatch_lag)
    codec.add(second.queueing, parsed.queueing)
    for entry in parsed.endpoints:
        entry.add_to(second.endpoint((entry.packed.method, entry.packed.name)))
    for entry in parsed.patterns:
        entry.add_to(second.pattern(entry.packed.name))
    for scenario, error, where, times in parsed.packed.script_errors:
        second.add_script_error((scenario, error, where), times)


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
    for entry in (*packed.endpoints, *packed.patterns):
        failures = sum(entry.errors.values())
        counts = (entry.requests, entry.response_bytes, entry.sent_bytes, entry.received_bytes)
        if min(entry.errors.values(), default=0) < 0 or min(counts) < 0:
            raise MessageError(f"a count of {entry.method} {entry.name} is negative")
        if failures > entry.requests:
            raise MessageError(
                f"{entry.method} {entry.name} cannot have {failures} failures in {entry.requests} requests"
            )
