"""What one worker saw, second by second, in deltas that can be sent, resent and added up.

A worker never keeps totals. It fills `Second`s, the master adds them up, and addition does not care about
order or grouping, so a report that is late, resent after a reconnect or merged on the way changes nothing.

A second is chosen by the instant of the event itself (an arrival's start for `started`, its end for `ok`),
never by when a timer happened to look. Latencies belong to the second their request was *intended* in: during
a stall nothing completes, and a picture by completion would show a hole where its worst second was. An event
that belongs to a second already taken opens that second again; the next report carries the remainder.

The number of distinct endpoints and error classes is bounded: a script that puts ids into names must not be
able to exhaust the memory of a 24-hour run. What exceeds the bound is counted under `OVERFLOW`, which says so.
What an objective's pattern covers is therefore counted once more under the pattern itself, whole: there the
bound leaves nothing out.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from loadtest.measure.histogram import Histogram
from loadtest.measure.printable import printable
from loadtest.records import TIMED_BESIDES, UNANSWERED, Exchange, Outcome

SECOND_NS = 1_000_000_000
MAX_ENDPOINTS = 500
"""Distinct endpoints a worker keeps apart; Prometheus and people both give up well before this."""
MAX_ERRORS = 50
"""Distinct error classes an endpoint keeps apart in one second."""
MAX_NAME = 500
"""Characters of a method, a name or an error class that are kept."""
OVERFLOW = "(too many to list)"

MAX_SCRIPT_ERRORS = 50
"""Distinct ways in which a script raises that are kept apart."""
MAX_PATTERNS = 50
"""Patterns of objectives that are counted by themselves."""

EndpointKey = tuple[str, str]
"""(method, name)."""
OVERFLOW_ENDPOINT: EndpointKey = ("*", OVERFLOW)
ScriptErrorKey = tuple[str, str, str]
"""(scenario, class and text, where): see `run_result.ScriptError`."""
OVERFLOW_SCRIPT_ERROR: ScriptErrorKey = ("", OVERFLOW, "")


def shown(name: str) -> str:
    """A method, a name or an error class as it is counted: printable, and no longer than `MAX_NAME`."""
    return printable(name)[:MAX_NAME]


Matches = Callable[[str, str], bool]
"""(pattern, `METHOD name`) -> whether the pattern covers the endpoint."""


@dataclass(slots=True)
class EndpointSecond:
    """One endpoint in one second."""

    requests: int = 0
    failures: int = 0
    response_bytes: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    response: Histogram = field(default_factory=Histogram)
    service: Histogram = field(default_factory=Histogram)
    failed: Histogram | None = None
    """Of the values in `response`, those of failures and of arrivals that were given up; None: there are none."""
    sent_bytes: int = 0
    received_bytes: int = 0
    """Heads and bodies, as in `records.Exchange`."""
    first_byte: Histogram | None = None
    """From the first byte sent to the first received; None: as `service`, since every response came whole."""
    connect: Histogram | None = None
    """How long connecting took, of requests that opened a connection; None: none did."""
    tls: Histogram | None = None
    """How long their TLS handshakes took."""

    def add(self, outcome: Outcome) -> None:
        """Count one request."""
        self.requests += 1
        self.response_bytes += outcome.response_bytes
        if outcome.exchange is not None:
            self.sent_bytes += outcome.exchange.sent_bytes
            self.received_bytes += outcome.exchange.received_bytes
            self.add_steps(outcome.exchange, outcome.sent_ns, outcome.done_ns)
        self.response.record_ns(outcome.response_ns)
        self.service.record_ns(outcome.service_ns)
        if outcome.error is not None:
            self.add_error(outcome.error)
            self.failures_only().record_ns(outcome.response_ns)

    def add_steps(self, exchange: Exchange, sent_ns: int, done_ns: int) -> None:
        """Count the steps of a service time: connecting, TLS, the first byte; before the service time is."""
        first_ns = exchange.first_ns or done_ns
        if self.first_byte is not None or first_ns != done_ns:
            self.first_bytes().record_ns(first_ns - sent_ns)
        if exchange.connect_ns:
            self.connect = self.connect or Histogram()
            self.connect.record_ns(exchange.connect_ns)
        if exchange.tls_ns:
            self.tls = self.tls or Histogram()
            self.tls.record_ns(exchange.tls_ns)

    def add_error(self, error: str, count: int = 1) -> None:
        """Count a failure under its class, or under `OVERFLOW` once there are `MAX_ERRORS` classes."""
        self.failures += count
        label = shown(error)
        if (
            label not in self.errors
            and len(self.errors) - (OVERFLOW in self.errors) >= MAX_ERRORS
            and label != UNANSWERED
        ):
            label = OVERFLOW
        self.errors[label] = self.errors.get(label, 0) + count

    def merge(self, other: "EndpointSecond") -> None:
        """Add another worker's, or another second's, counts to these."""
        self.requests += other.requests
        self.response_bytes += other.response_bytes
        self.sent_bytes += other.sent_bytes
        self.received_bytes += other.received_bytes
        for error, count in other.errors.items():
            self.add_error(error, count)
        if self.first_byte is not None or other.first_byte is not None:
            self.first_bytes().merge(other.until_first_byte)
        self.connect, self.tls = _merged(self.connect, other.connect), _merged(self.tls, other.tls)
        self.response.merge(other.response)
        self.service.merge(other.service)
        if other.failed is not None:
            self.failures_only().merge(other.failed)

    def failures_only(self) -> Histogram:
        """`failed`, made on first use."""
        if self.failed is None:
            self.failed = Histogram()
        return self.failed

    @property
    def until_first_byte(self) -> Histogram:
        """From sending to the first byte of the answer: the service times, while answers came whole."""
        return self.service if self.first_byte is None else self.first_byte

    def first_bytes(self) -> Histogram:
        """`first_byte`, made of `service` on first use."""
        if self.first_byte is None:
            self.first_byte = Histogram()
            self.first_byte.merge(self.service)
        return self.first_byte

    def give_up(self, waited_ns: int) -> None:
        """Count an arrival that was given up before its request to this endpoint, with the time it had waited."""
        self.response.record_ns(waited_ns)
        self.failures_only().record_ns(waited_ns)


def _merged(one: Histogram | None, other: Histogram | None) -> Histogram | None:
    if other is None:
        return one
    merged = Histogram() if one is None else one
    merged.merge(other)
    return merged


@dataclass(slots=True)
class Second:
    """Everything that happened in one second of run time; counters only, so two of them can be added."""

    index: int
    """Whole seconds since the plan's time zero; negative before it."""
    scheduled: int = 0
    started: int = 0
    dropped: int = 0
    ok: int = 0
    failed: int = 0
    failed_in_script: int = 0
    empty: int = 0
    busy_us: int = 0
    """For how long users were busy with the arrivals that ended in it, in microseconds, summed up."""
    cancelled: int = 0
    transactions_started: int = 0
    transactions_ok: int = 0
    transactions_failed: int = 0
    endpoints: dict[EndpointKey, EndpointSecond] = field(default_factory=dict)
    patterns: dict[str, EndpointSecond] = field(default_factory=dict)
    """Everything that each pattern named in an objective covers."""
    script_errors: dict[ScriptErrorKey, int] = field(default_factory=dict)
    dispatch_lag: Histogram = field(default_factory=Histogram)
    queueing: Histogram = field(default_factory=Histogram)

    def add(self, other: "Second") -> None:
        """Add what happened in another worker's same second, or in any other second, to this one."""
        for name in COUNTERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for key, endpoint in other.endpoints.items():
            self.endpoint(key).merge(endpoint)
        for pattern, endpoint in other.patterns.items():
            self.pattern(pattern).merge(endpoint)
        for error, count in other.script_errors.items():
            self.add_script_error(error, count)
        self.dispatch_lag.merge(other.dispatch_lag)
        self.queueing.merge(other.queueing)

    @property
    def requested(self) -> list[EndpointSecond]:
        """The endpoints that count requests: what is timed besides would count some of them twice."""
        return [entry for (method, _), entry in self.endpoints.items() if method not in TIMED_BESIDES]

    def endpoint(self, key: EndpointKey) -> EndpointSecond:
        """The entry of an endpoint, made on first use; that of `OVERFLOW_ENDPOINT` once there are too many.

        The bound holds here as well as in a worker, since many workers may each have met different endpoints.
        """
        found = self.endpoints.get(key)
        if found is None:
            if len(self.endpoints) - (OVERFLOW_ENDPOINT in self.endpoints) >= MAX_ENDPOINTS:
                key = OVERFLOW_ENDPOINT
            found = self.endpoints.setdefault(key, EndpointSecond())
        return found

    def pattern(self, pattern: str) -> EndpointSecond:
        """The entry of a pattern, made on first use."""
        found = self.patterns.get(pattern)
        if found is None:
            known = pattern if len(self.patterns) < MAX_PATTERNS else OVERFLOW
            found = self.patterns.setdefault(known, EndpointSecond())
        return found

    def add_script_error(self, error: ScriptErrorKey, count: int = 1) -> None:
        """Count a way in which the script raised, or one of `OVERFLOW` once there are `MAX_SCRIPT_ERRORS`."""
        if error not in self.script_errors and len(self.script_errors) >= MAX_SCRIPT_ERRORS:
            error = OVERFLOW_SCRIPT_ERROR
        self.script_errors[error] = self.script_errors.get(error, 0) + count


COUNTERS = (
    "scheduled",
    "started",
    "dropped",
    "ok",
    "failed",
    "failed_in_script",
    "empty",
    "busy_us",
    "cancelled",
    "transactions_started",
    "transactions_ok",
    "transactions_failed",
)
"""The plain counters of a `Second`, in the order they travel."""


def sum_of(seconds: Iterable[Second]) -> Second:
    """Everything that happened in some seconds."""
    total = Second(0)
    for second in seconds:
        total.add(second)
    return total


def response_of(seconds: Iterable[Second]) -> Histogram:
    """Response times of all requests of some seconds."""
    response = Histogram()
    for second in seconds:
        for entry in second.requested:
            response.merge(entry.response)
    return response


class OpenSeconds:
    """The seconds that one worker still counts outcomes and arrivals in, until the next report takes them.

    `zero_ns` is the plan's time zero on the run clock of this process. `patterns` are those that objectives
    name: what each covers, by `matches`, is counted under it too.
    """

    def __init__(
        self,
        zero_ns: int,
        patterns: Sequence[str] = (),
        matches: Matches = lambda pattern, name: pattern == name,
    ) -> None:
        self.zero_ns = zero_ns
        self._patterns = patterns[:MAX_PATTERNS]
        self._matches = matches
        self._covering: dict[EndpointKey, list[str]] = {}
        self.sources: list[Callable[[], None]] = []
        """Called before seconds are taken: who counts in bulk puts in what it has."""
        self._open: dict[int, Second] = {}
        self._known: set[EndpointKey] = set()
        self._current = Second(0)
        self._from_ns = self._to_ns = zero_ns  # empty, so that the first event opens its second

    def second(self, instant_ns: int) -> Second:
        """The second that an instant of the run clock belongs to."""
        if self._from_ns <= instant_ns < self._to_ns:
            return self._current
        index = (instant_ns - self.zero_ns) // SECOND_NS
        found = self._open.get(index)
        if found is None:
            found = self._open[index] = Second(index)
        if instant_ns >= self._to_ns:
            self._current = found
            self._from_ns = self.zero_ns + index * SECOND_NS
            self._to_ns = self._from_ns + SECOND_NS
        return found

    def record(self, outcome: Outcome) -> None:
        """Count one request in the second it was intended."""
        method, name, intended_ns, sent_ns, done_ns, response_bytes, error, exchange = outcome
        second = (  # `second`, without the call
            self._current if self._from_ns <= intended_ns < self._to_ns else self.second(intended_ns)
        )
        endpoint = second.endpoints.get((method, name))
        if endpoint is None:
            endpoint = second.endpoint(self._bounded((method, name), second, outcome))
        endpoint.requests += 1  # `EndpointSecond.add`, without the call
        endpoint.response_bytes += response_bytes
        if exchange is not None:
            first_ns, sent_bytes, received_bytes, connect_ns, tls_ns = exchange
            endpoint.sent_bytes += sent_bytes
            endpoint.received_bytes += received_bytes
            if first_ns or connect_ns or tls_ns or endpoint.first_byte is not None:
                endpoint.add_steps(exchange, sent_ns, done_ns)
        endpoint.response.record_ns(done_ns - intended_ns)
        endpoint.service.record_ns(done_ns - sent_ns)
        if error is not None:
            endpoint.add_error(error)
            endpoint.failures_only().record_ns(done_ns - intended_ns)

    def add(self, index: int, key: EndpointKey, noted: EndpointSecond) -> None:
        """Count what was noted of an endpoint in the second of this index."""
        second = self.second(self.zero_ns + index * SECOND_NS)
        key = (shown(key[0]), shown(key[1]))
        if key not in self._known and len(self._known) >= MAX_ENDPOINTS:
            for pattern in self._patterns_of(key):
                second.pattern(pattern).merge(noted)
            key = OVERFLOW_ENDPOINT
        else:
            self._known.add(key)
        second.endpoint(key).merge(noted)

    def give_up(self, key: EndpointKey, intended_ns: int, at_ns: int) -> None:
        """Count an arrival that was given up before its request to an endpoint, with the time it had waited."""
        second, waited_ns = self.second(intended_ns), at_ns - intended_ns
        key = (shown(key[0]), shown(key[1]))
        if key not in self._known:
            for pattern in self._patterns_of(key):
                second.pattern(pattern).give_up(waited_ns)
            key = OVERFLOW_ENDPOINT
        second.endpoint(key).give_up(waited_ns)

    def take(self, before_ns: int | None = None) -> list[Second]:
        """Hand over, oldest first, every second that ended by `before_ns` (None: all), and forget them."""
        for source in self.sources:
            source()
        indexes = sorted(self._open) if before_ns is None else self._closed(before_ns)
        taken = [self._open.pop(index) for index in indexes]
        if self._current.index in indexes:
            self._from_ns = self._to_ns  # what still comes for it must open it again
        if self._patterns:
            for second in taken:
                self._add_patterns(second)
        return taken

    def _add_patterns(self, second: Second) -> None:
        """Count under each pattern what it covers; what is beyond the bound was counted there when it came."""
        for key, endpoint in second.endpoints.items():
            if key != OVERFLOW_ENDPOINT:
                if key not in self._covering:
                    self._covering[key] = self._patterns_of(key)
                for pattern in self._covering[key]:
                    second.pattern(pattern).merge(endpoint)

    def _patterns_of(self, key: EndpointKey) -> list[str]:
        name = f"{key[0]} {key[1]}"
        return [pattern for pattern in self._patterns if self._matches(pattern, name)]

    def _closed(self, before_ns: int) -> list[int]:
        end = (before_ns - self.zero_ns) // SECOND_NS
        return sorted(index for index in self._open if index < end)

    def _bounded(self, key: EndpointKey, second: Second, outcome: Outcome) -> EndpointKey:
        """The key under which an outcome is counted; beyond the bound also counts it under its patterns, here."""
        key = (shown(key[0]), shown(key[1]))
        if key not in self._known and len(self._known) >= MAX_ENDPOINTS:
            for pattern in self._patterns_of(key):
                second.pattern(pattern).add(outcome)
            return OVERFLOW_ENDPOINT
        self._known.add(key)
        return key
