"""Every operation of the API in one table, and what becomes of a request: answered at once, or worked on."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from time import perf_counter
from typing import Any

import msgspec
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError

from target_service import problem
from target_service.api import assistant, health, orders, parcels, products
from target_service.api.body import BodyReader, Incoming
from target_service.api.frame import Frame
from target_service.api.operation import ApiRequest, Operation, Service, Shop
from target_service.openapi import document
from target_service.problem import STOPPING, ProblemError
from target_service.protocol import check_head, is_foreign, new_parser
from target_service.response import ApiResponse
from target_service.shadow import HEADER
from target_service.shedding import REFUSALS_PER_S, TOO_MUCH, Turns

_HEALTH_STARTS = (b"GET /healthz ", b"GET /readyz ")

Work = Callable[[], Awaitable[ApiResponse]]


def operations(shop: Shop, service: Service) -> list[Operation]:
    """The public port's, the description of which is one of them."""
    table = [
        *orders.operations(shop),
        *products.operations(shop),
        *parcels.operations(shop),
        *assistant.operations(),
        *health.operations(service),
    ]
    return [*table, _description(table)]


class Api:
    """Finds the operation of each request and refuses under overload; one for all connections of a port."""

    def __init__(self, service: Service, table: Iterable[Operation], body_deadline_s: float) -> None:
        self.service = service
        self._fixed: dict[str, dict[str, Frame]] = {}
        self._varied: dict[re.Pattern[str], dict[str, Frame]] = {}
        bodies = BodyReader(body_deadline_s)
        for each in table:
            frame = Frame(service, each, bodies)
            if "{" in each.path:
                self._varied.setdefault(_pattern_of(each.path), {})[each.method] = frame
            else:
                self._fixed.setdefault(each.path, {})[each.method] = frame
        self._seconds = service.metrics.request_seconds
        self._overload = ProblemError(problem.OVERLOADED, TOO_MUCH)
        self._refusals = Turns(REFUSALS_PER_S)
        self.refusal = self._overload.response()
        """The answer under overload; always this very object."""
        self.farewell = ProblemError(problem.UNAVAILABLE, STOPPING, close=True).response()
        """The answer to requests that are still arriving when the time to stop is over."""

    def refusal_waits_s(self) -> float:
        """How long the next refusal must wait to be told."""
        return self._refusals.take() if self.service.crowd.is_late() else 0.0

    def take(self, incoming: Incoming) -> ApiResponse | Work:
        """The answer, if it needs no work; else the work that makes it. A refusal costs a fraction of an order."""
        started = perf_counter()
        head = incoming.head
        try:
            check_head(head.headers, head.version)
            frame, names = self._find(head.method, head.path)
        except ProblemError as error:
            return self._refuse(error, "other", incoming, started)
        service, operation = self.service, frame.operation
        if operation.route == "other":
            return self._health(operation.path) or partial(frame.answer, incoming, names)
        if service.is_overloaded(operation) and not service.faults.await_requests:
            return self._refuse(self._overload, operation.route, incoming, started)
        return partial(frame.answer, incoming, names)

    def _refuse(self, error: ProblemError, route: str, incoming: Incoming, started: float) -> ApiResponse:
        traffic = "shadow" if HEADER in incoming.head.headers else "live"
        response = self.refuse(error, traffic)
        self._seconds[route, traffic].observe(perf_counter() - started)
        return response

    def refuse(self, error: ProblemError, traffic: str = "live") -> ApiResponse:
        """Count a refusal, and make its answer."""
        self.service.metrics.refused(error.kind, traffic)
        return self.refusal if error is self._overload else error.response()

    def answer_to_first(self, data: bytes) -> bytes | None:
        """The whole answer to a health check that came with its connection, which is closed; None if it is none."""
        if not data.startswith(_HEALTH_STARTS) or is_foreign(data):
            return None
        try:
            messages, _, _ = new_parser(BaseProtocol(asyncio.get_running_loop())).feed_data(data)
            if len(messages) != 1 or not messages[0][1].is_eof():
                return None
            check_head(messages[0][0].headers, messages[0][0].version)
        except (HttpProcessingError, ProblemError):
            return None
        answer = self._health(messages[0][0].path)
        return None if answer is None else answer.to_bytes("close")

    def one_too_many(self) -> bytes:
        """The answer to a connection beyond `--most-connections`."""
        return self.refuse(self._overload).to_bytes("close")

    def _health(self, path: str) -> ApiResponse | None:
        """Readiness only if that is proved already: else the store is asked, which takes its time."""
        if path == "/readyz":
            return health.READY if self.service.is_proved() and not self.service.draining else None
        return health.ALIVE if path == "/healthz" else None

    def _find(self, method: str, path: str) -> tuple[Frame, Mapping[str, str]]:
        """The operation, and the variable parts of its path. Raises ProblemError."""
        frames, names = self._fixed.get(path), {}
        if frames is None:
            for pattern, some in self._varied.items():
                if found := pattern.fullmatch(path):
                    frames, names = some, found.groupdict()
                    break
            else:
                raise ProblemError(problem.NOT_FOUND, f"there is no {path}")
        frame = frames.get("GET" if method == "HEAD" else method)
        if frame is None:
            allowed = {"Allow": ", ".join(frames)}
            raise ProblemError(
                problem.METHOD_NOT_ALLOWED, f"{method} is not allowed on {path}", headers=allowed
            )
        return frame, names


def _pattern_of(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path))


def _description(table: list[Operation]) -> Operation:
    described = ApiResponse(200, msgspec.json.encode(document(table)))

    async def get_openapi(_request: ApiRequest) -> ApiResponse:
        """This description."""
        return described

    return Operation("GET", "/openapi.json", get_openapi, dict[str, Any])
