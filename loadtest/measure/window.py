"""What one worker saw, second by second, in deltas that can be sent, resent and added up.

A worker never keeps totals. It fills `Second`s, the master adds them up, and addition does not care about
order or grouping, so a report that is late, resent after a reconnect or merged on the way changes nothing.

A second is chosen by the instant of the event itself (an arrival's start for `started`, its end for `ok`),
never by when a timer happened to look. Latencies belong to the second their request was *intended* in: during
a stall nothing completes, and a picture by completion would show a hole where its worst second was. An event
that belongs to a second already taken opens that second again; the next report carries the remainder.

The number of distinct endpoints and error classes is bounded: a script that puts ids into names must not be
able to exhaust the memory of a 24-hour run. What exceeds the bound is counted under `OVERFLOW`, which says so.
"""

from dataclasses import dataclass, field

from loadtest.measure.histogram import Histogram
from loadtest.records import Outcome

SECOND_NS = 1_000_000_000
MAX_ENDPOINTS = 500
"""Distinct endpoints a worker keeps apart; Prometheus and people both give up well before this."""
MAX_ERRORS = 50
"""Distinct error classes an endpoint keeps apart in one second."""
MAX_NAME = 500
"""Characters of a method, a name or an error class that are kept."""
OVERFLOW = "(too many to list)"

EndpointKey = tuple[str, str]
"""(method, name)."""
OVERFLOW_ENDPOINT: EndpointKey = ("*", OVERFLOW)


@dataclass(slots=True)
class EndpointSecond:
    """One endpoint in one second."""

    requests: int = 0
    failures: int = 0
    response_bytes: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    response: Histogram = field(default_factory=Histogram)
    service: Histogram = field(default_factory=Histogram)

    def add_error(self, error: str, count: int = 1) -> None:
        """Count a failure under its class, or under `OVERFLOW` once there are `MAX_ERRORS` classes."""
        self.failures += count
        label = error[:MAX_NAME]
        if label not in self.errors and len(self.errors) - (OVERFLOW in self.errors) >= MAX_ERRORS:
            label = OVERFLOW
        self.errors[label] = self.errors.get(label, 0) + count

    def merge(self, other: "EndpointSecond") -> None:
        """Add another worker's, or another second's, counts to these."""
        self.requests += other.requests
        self.response_bytes += other.response_bytes
        for error, count in other.errors.items():
            self.add_error(error, count)
        self.response.merge(other.response)
        self.service.merge(other.service)


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
    cancelled: int = 0
    transactions_started: int = 0
    transactions_ok: int = 0
    transactions_failed: int = 0
    endpoints: dict[EndpointKey, EndpointSecond] = field(default_factory=dict)
    dispatch_lag: Histogram = field(default_factory=Histogram)
    queueing: Histogram = field(default_factory=Histogram)

    def add(self, other: "Second") -> None:
        """Add what happened in another worker's same second, or in any other second, to this one."""
        for name in COUNTERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for key, endpoint in other.endpoints.items():
            self.endpoint(key).merge(endpoint)
        self.dispatch_lag.merge(other.dispatch_lag)
        self.queueing.merge(other.queueing)

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


COUNTERS = (
    "scheduled",
    "started",
    "dropped",
    "ok",
    "failed",
    "cancelled",
    "transactions_started",
    "transactions_ok",
    "transactions_failed",
)
"""The plain counters of a `Second`, in the order they travel."""


class Window:
    """Collects outcomes and arrivals of one worker until the next report takes them.

    `zero_ns` is the plan's time zero on the run clock of this process.
    """

    def __init__(self, zero_ns: int) -> None:
        self.zero_ns = zero_ns
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
        method, name, intended_ns, sent_ns, done_ns, response_bytes, error = outcome
        second = self.second(intended_ns)
        endpoint = second.endpoints.get((method, name))
        if endpoint is None:
            endpoint = second.endpoint(self._bounded((method, name)))
        endpoint.requests += 1
        endpoint.response_bytes += response_bytes
        endpoint.response.record_ns(done_ns - intended_ns)
        endpoint.service.record_ns(done_ns - sent_ns)
        if error is not None:
            endpoint.add_error(error)

    def take(self, before_ns: int | None = None) -> list[Second]:
        """Hand over, oldest first, every second that ended by `before_ns` (None: all), and forget them."""
        indexes = sorted(self._open) if before_ns is None else self._closed(before_ns)
        taken = [self._open.pop(index) for index in indexes]
        if self._current.index in indexes:
            self._from_ns = self._to_ns  # what still comes for it must open it again
        return taken

    def _closed(self, before_ns: int) -> list[int]:
        end = (before_ns - self.zero_ns) // SECOND_NS
        return sorted(index for index in self._open if index < end)

    def _bounded(self, key: EndpointKey) -> EndpointKey:
        key = (key[0][:MAX_NAME], key[1][:MAX_NAME])
        if key not in self._known and len(self._known) >= MAX_ENDPOINTS:
            return OVERFLOW_ENDPOINT
        self._known.add(key)
        return key
