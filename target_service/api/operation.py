"""What an operation of the API is: where it answers, how, and what goes in and out of it.

The same records route requests and write the OpenAPI document, so neither can name what the other lacks.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from multidict import MultiMapping

from target_service.faults import Faults
from target_service.inventory import Catalogue
from target_service.metrics import WorkerMetrics
from target_service.orders import OrderIds, order_number
from target_service.problem import NOT_FOUND, Kind, ProblemError
from target_service.response import JSON, ApiResponse
from target_service.shedding import AdaptiveLimit, Crowd
from target_service.store.store import Store


class ApiRequest(NamedTuple):
    """A request as its handler gets it: checked and decoded.

    `run_id` is empty for live traffic, `names` are the variable parts of the path, `wanted` is the decoded body,
    `key` the idempotency key. `deadline_ns` is the instant after which the caller no longer waits (monotonic clock).
    """

    run_id: str
    names: Mapping[str, str]
    query: MultiMapping[str]
    headers: Mapping[str, str]
    wanted: Any
    key: str | None
    deadline_ns: int | None

    def number_of(self, what: str) -> int:
        """The number of the order or parcel that the path names. Raises ProblemError."""
        number = order_number(self.names[f"{what}_id"])
        if number is None:
            raise self.unknown(what)
        return number

    def unknown(self, what: str) -> ProblemError:
        """The answer if there is none of that number."""
        return ProblemError(NOT_FOUND, f"there is no {what} {self.names[f'{what}_id']}")


Handler = Callable[[ApiRequest], Awaitable[ApiResponse]]


class Shop(NamedTuple):
    """What the handlers of one worker share."""

    store: Store
    catalogue: Catalogue
    ids: OrderIds
    metrics: WorkerMetrics


@dataclass(slots=True)
class Service:
    """What the requests of one port share, whatever they ask for."""

    metrics: WorkerMetrics
    limit: AdaptiveLimit
    faults: Faults
    prove: Callable[[], Awaitable[None]]
    """Find out whether the store takes changes. Raises ProblemError, StoreUnavailableError."""
    is_proved: Callable[[], bool]
    """Whether it has shown that so lately that it need not be asked."""
    admin_token: str = ""
    keys: set[tuple[str, str | None]] = field(default_factory=set)
    """What is being worked on: run ids and keys."""
    crowd: Crowd = field(default_factory=Crowd)
    accept_waiting: Callable[[], None] = lambda: None
    """Called by each request, so that new connections are accepted also during a long turn of the loop."""
    draining: bool = False
    """Set when the process is about to stop: each connection is closed after its next answer."""
    has_given_up: bool = False
    """Set when the time to stop is over: a request that is cancelled from then on is answered with that."""

    def is_overloaded(self, operation: "Operation") -> bool:
        """Whether a request for this operation must be refused now."""
        return self.crowd.is_full() or (operation.sheds and self.limit.is_full())


class Operation(NamedTuple):
    """One operation of the API. Its handler's name and docstring are its name and summary in OpenAPI."""

    method: str
    path: str
    handler: Handler
    answer: Any
    """The type of a success's body."""
    body: Any = None
    """The type of the request's body, or None if it has none."""
    route: str = "other"
    """Its label in metrics and drills, one of `metrics.ROUTES`; what no drill meets is `other`."""
    status: int = 200
    """The status of a success."""
    problems: tuple[Kind, ...] = ()
    """The kinds of error it may answer with, besides those of every operation."""
    keyed: bool = False
    """Whether it takes an `Idempotency-Key`."""
    sheds: bool = False
    """Whether it changes something. Such a request is refused under overload, counts among those that are worked on
    at a time, and may have a deadline."""
    for_operators: bool = False
    """Whether it needs the operator's token."""
    media_type: str = JSON
    any_type: bool = False
    """Whether a body is read as JSON whatever its type says."""
