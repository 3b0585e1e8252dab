"""The two records that travel through the harness: an arrival to serve, and the outcome of one request.

Both are created once per request on the hot path, so they are plain named tuples: immutable, compared by
value and cheaper to build than any dataclass. Instants are integers of nanoseconds on the *run clock*, the
process's monotonic clock (see `loadtest.clock`); no wall-clock time is ever subtracted.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

RECORD_TPS = 583_000
"""S: orders a second at the peak of Singles' Day, 26 s after midnight, 2020. docs/traffic.md, source 29."""

ARRIVAL = "arrival"
"""The method of the entry that a journey of several requests has as a whole."""
FIRST_EVENT, NEXT_EVENT = "first event", "next event"
"""The methods of what is timed within a stream: until its first event, and from one event to the next."""
FIGURE = "figure"
"""The method of a script's own figure, whose name is the event's type and name: `figure BASKET items`."""
FIRST_TOKEN, NEXT_TOKEN = "first token", "next token"
"""The same of the tokens of an answer: the time to its first token, and the time per token after it."""
TIMED_BESIDES = frozenset([ARRIVAL, FIRST_EVENT, NEXT_EVENT, FIRST_TOKEN, NEXT_TOKEN, FIGURE])
"""What is timed like a request and is none itself: sums over requests leave it out, or would count twice."""
_BESIDES = tuple(f"{method} " for method in TIMED_BESIDES)

UNANSWERED = "unanswered"
"""The class of error of a request that was in flight when the drain ended."""


def is_request(endpoint: str) -> bool:
    """Whether an endpoint, keyed `METHOD name`, counts requests."""
    return not endpoint.startswith(_BESIDES)


REGION_MARK = " @ "
"""Between an endpoint's name and the region its request belongs to: `/orders @ frankfurt`."""


def in_region(name: str, region: str) -> str:
    """The name of a request that belongs to a region; regions are few, each has statistics of its own."""
    return f"{name}{REGION_MARK}{region}"


def endpoint_and_region(name: str) -> tuple[str, str | None]:
    """An endpoint's name without its region, and the region; None where it has none."""
    endpoint, mark, region = name.rpartition(REGION_MARK)
    return (endpoint, region) if mark else (name, None)


ORDER_ENDPOINT = "POST /orders"
CHECKOUT_ENDPOINT = "POST /checkouts"
PARCEL_ENDPOINT = "POST /parcels"
TRANSACTION = "transaction"
"""What one is called where a script's service is not ours."""


def transaction_noun(endpoints: Iterable[str]) -> str:
    """What one transaction of a run is called: order, checkout or parcel where it asked for one, else transaction.

    `endpoints` are those it has asked so far, each `METHOD name`.
    """
    asked = {endpoint_and_region(name)[0] for name in endpoints}
    if ORDER_ENDPOINT in asked:
        return "order"
    if CHECKOUT_ENDPOINT in asked:
        return "checkout"
    return "parcel" if PARCEL_ENDPOINT in asked else TRANSACTION


OK = "ok"
FAILED = "failed"
SCRIPT_FAILED = "failed in the script"
EMPTY = "empty"
NOTHING_TO_DO = "nothing to do"
"""How an arrival that was served has ended; docs/arrivals.md says when which. The last counts as ok."""


class Arrival(NamedTuple):
    """One intended start of a scenario, as the schedule planned it."""

    intended_ns: int
    """The instant it was meant to start, on this process's run clock. Lateness never changes it."""
    scenario: int
    """Index of the scenario in the plan's list."""


class Exchange(NamedTuple):
    """What crossed the network for one request, and when."""

    first_ns: int
    """When the first byte of the response was read. 0 if the response was read whole, so that this is `done_ns`; also
    if there was none."""
    sent_bytes: int
    """Of the request, head and body, before encryption."""
    received_bytes: int
    """Of the response, head and body, as sent: before a content coding was undone, after decryption."""
    connect_ns: int = 0
    """How long connecting took, where the request opened a connection; names were resolved before. 0: it did not."""
    tls_ns: int = 0
    """How long the TLS handshake took, which followed."""


NO_EXCHANGE = Exchange(0, 0, 0)


class Outcome(NamedTuple):
    """What became of one request."""

    method: str
    name: str
    """The endpoint's name: the path, or what the script passed as `name=`."""
    intended_ns: int
    """When the request was meant to start; response time is `done_ns - intended_ns`."""
    sent_ns: int
    """When its first byte was written; service time is `done_ns - sent_ns`. `intended_ns` if nothing was sent."""
    done_ns: int
    """When its last byte was read, or it was given up."""
    response_bytes: int
    error: str | None
    """None for a success, else a class of error such as `refused`, `timeout-read`, `status-503`: few and bounded."""
    exchange: Exchange | None = None
    """None where another client than ours made the request, or it is none."""

    @property
    def response_ns(self) -> int:
        """Time from intent to the last byte, in nanoseconds: what a customer waited."""
        return self.done_ns - self.intended_ns

    @property
    def service_ns(self) -> int:
        """Time from the first byte written to the last byte read, in nanoseconds: what the server took."""
        return self.done_ns - self.sent_ns


# On the hot path: tuple.__new__ takes half the time of the classes' own __new__, which is Python.
new_outcome: Callable[[tuple[Any, ...]], Outcome] = partial(tuple.__new__, Outcome)
new_exchange: Callable[[tuple[Any, ...]], Exchange] = partial(tuple.__new__, Exchange)
