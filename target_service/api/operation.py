"""What an operation of the API is: where it answers, how, and what goes in and out of it.

The same records route requests and write the OpenAPI document, so neither can name what the other lacks.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aiohttp import web

from target_service.faults import Faults
from target_service.idempotency import KeysInFlight
from target_service.inventory import Catalogue
from target_service.metrics import WorkerMetrics
from target_service.orders import OrderIds
from target_service.problem import Kind
from target_service.shedding import AdaptiveLimit, Crowd
from target_service.store.base import Store

Handler = Callable[[web.Request, str], Awaitable[web.StreamResponse]]
"""Answers a request of a run (the empty run id is live traffic)."""


@dataclass(slots=True)
class Service:
    """What the handlers share within one worker."""

    store: Store
    catalogue: Catalogue
    ids: OrderIds
    metrics: WorkerMetrics
    limit: AdaptiveLimit
    faults: Faults
    admin_token: str = ""
    keys: KeysInFlight = field(default_factory=KeysInFlight)
    crowd: Crowd = field(default_factory=Crowd)
    look: Callable[[], None] = lambda: None
    """Called by each request on its way, so that new connections are seen in the midst of a long turn of the loop."""
    draining: bool = False
    """Set when the process is about to stop: each connection is closed after its next answer."""
    has_given_up: bool = False
    """Set when it can wait no longer: who is cancelled from then on is told so."""


class Operation(NamedTuple):
    """One operation of the API."""

    method: str
    path: str
    name: str
    """Its `operationId` in OpenAPI."""
    route: str
    """Its label in metrics and drills, one of `metrics.ROUTES`; rarer operations share one."""
    summary: str
    handler: Handler
    answer: Any
    """The type of a success's body."""
    status: int = 200
    """The status of a success."""
    body: Any = None
    """The type of the request's body, or None if it has none."""
    problems: tuple[Kind, ...] = ()
    """What it may refuse with, besides what every operation may."""
    keyed: bool = False
    """Whether it takes an `Idempotency-Key`."""
    sheds: bool = False
    """Whether it is refused under overload."""
    media_type: str = "application/json"
