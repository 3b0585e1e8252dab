"""What becomes of a request: its operation is found, and it is refused, answered at once, or worked on in a frame.

The frame is what all operations share: run id, key, deadline, body, faults, timing, and errors as problems.
"""

import asyncio
import logging
import os
import re
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from functools import cache, partial
from time import perf_counter
from typing import Any

import msgspec
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError

from target_service import problem
from target_service.api import assistant, health, orders, parcels, products
from target_service.api.body import BodyReader, Incoming, check_type, decode
from target_service.api.operation import ApiRequest, Operation, Service, Shop
from target_service.faults import HANG_S, Fault
from target_service.openapi import document
from target_service.problem import STOPPING, ProblemError
from target_service.protocol import check_head, is_foreign, new_parser
from target_service.response import ApiResponse, json_response, problem_response
from target_service.secrets import EXPECTED_HEADER, carries_token
from target_service.shedding import TOO_MUCH, Pace
from target_service.store.base import StoreUnavailableError
from target_service.tags import (
    KEY_HEADER,
    LIVE,
    RUN_HEADER,
    TRACEPARENT,
    deadline_ns_of,
    only_value,
    parse_key,
    run_id_of,
    sampled_trace,
    traffic_of,
)

SLOW_BODY_PARTS = 20
_HEALTH_STARTS = (b"GET /healthz ", b"GET /readyz ", b"HEAD /healthz ", b"HEAD /readyz ")

Work = Callable[[], Awaitable[ApiResponse]]

log = logging.getLogger("orders")


class Frame:
    """Runs one operation for each request, with the checks and measurements that all operations share."""

    def __init__(self, service: Service, operation: Operation, bodies: BodyReader) -> None:
        self.operation = operation
        self._service = service
        self._bodies = bodies
        self._decoder = None if operation.body is None else msgspec.json.Decoder(operation.body)
        self._is_drilled = operation.route != "other"

    async def answer(self, incoming: Incoming, names: Mapping[str, str]) -> ApiResponse:
        """Answer a request, and count and time it; any error becomes a problem body."""
        started, service, headers = perf_counter(), self._service, incoming.head.headers
        service.accept_waiting()
        service.metrics.in_flight.add(1)
        run_id, response = LIVE, None
        try:
            run_id = run_id_of(only_value(headers, RUN_HEADER))
            work = self._drill if service.faults.await_requests and self._is_drilled else self._obey
            response = await work(incoming, names, run_id)
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and not service.has_given_up:
                raise
            response = self._refuse(error, traffic_of(run_id))
        finally:
            if response is None or response.parts is None:
                service.metrics.in_flight.add(-1)
        if response.parts is not None:
            return response._replace(parts=self._counted(response.parts, started, run_id, headers))
        self._count(started, run_id, headers)
        return response

    async def _counted(
        self, parts: AsyncGenerator[bytes, None], started: float, run_id: str, headers: Mapping[str, str]
    ) -> AsyncGenerator[bytes, None]:
        """The parts of an answer, which is under way until the last of them has been sent."""
        try:
            async for part in parts:
                yield part
        finally:
            self._service.metrics.in_flight.add(-1)
            self._count(started, run_id, headers)

    async def _drill(self, incoming: Incoming, names: Mapping[str, str], run_id: str) -> ApiResponse:
        """Apply a drill's fault to a request, then run the operation unless the service is overloaded by then."""
        service = self._service
        fault = service.faults.of_request(self.operation.route)
        if fault is not None:
            await _meet(fault, incoming)
        if service.is_overloaded(self.operation):
            raise ProblemError(problem.OVERLOADED, TOO_MUCH)
        response = await self._obey(incoming, names, run_id)
        if fault is None or fault.kind != "slow-body":
            return response
        if incoming.head.method == "HEAD" or response.parts is not None:
            return response  # has no body to slow down, or one with a pace of its own
        return response._replace(body=b"", parts=_slowly(response.body, fault.delay_ms / 1e3))

    async def _obey(self, incoming: Incoming, names: Mapping[str, str], run_id: str) -> ApiResponse:
        """Check token, headers and body, then run the operation."""
        operation, head = self.operation, incoming.head
        if operation.for_operators and not carries_token(head.headers, self._service.admin_token):
            raise ProblemError(problem.UNAUTHORIZED, EXPECTED_HEADER, headers={"WWW-Authenticate": "Bearer"})
        key = parse_key(only_value(head.headers, KEY_HEADER)) if operation.keyed else None
        deadline_ns = deadline_ns_of(head.headers) if operation.sheds else None
        wanted = None
        if self._decoder is not None:
            if not operation.any_type:
                check_type(head.headers)
            body = incoming.body
            if not isinstance(body, bytes):
                body = await self._bodies.read(incoming, body)
            wanted = decode(self._decoder, body)
        request = ApiRequest(run_id, names, head.query, head.headers, wanted, key, deadline_ns)
        return await (self._change(request) if operation.sheds else operation.handler(request))

    async def _change(self, request: ApiRequest) -> ApiResponse:
        """Make a change, unless the service is full or another request works under the same key."""
        service, under = self._service, (request.run_id, request.key)
        if under in service.keys:
            detail = f"a request with Idempotency-Key {request.key} is being worked on"
            raise ProblemError(problem.KEY_IN_FLIGHT, detail)
        if request.key is not None:
            service.keys.add(under)
        began_ns = None
        try:
            began_ns = service.limit.admit()
            if began_ns is None:
                raise ProblemError(problem.OVERLOADED, TOO_MUCH)
            response = await self.operation.handler(request)
        except BaseException as error:
            if began_ns is not None:
                service.limit.gave_up()
                if isinstance(error, asyncio.CancelledError) and service.has_given_up:
                    raise ProblemError(problem.FATE_UNKNOWN, STOPPING, close=True) from error
            raise
        finally:
            service.keys.discard(under)
        service.limit.done(began_ns)
        return response

    def _refuse(self, error: BaseException, traffic: str) -> ApiResponse:
        refusal = problem_of(error, self.operation)
        self._service.metrics.refused(refusal.kind, traffic)
        return problem_response(refusal)

    def _count(self, started: float, run_id: str, headers: Mapping[str, str]) -> None:
        taken_s = perf_counter() - started
        seconds = self._service.metrics.request_seconds[self.operation.route, traffic_of(run_id)]
        seconds.observe(taken_s)
        if TRACEPARENT in headers:
            trace_id = sampled_trace(headers[TRACEPARENT])
            if trace_id is not None:
                seconds.exemplify(taken_s, trace_id)


def problem_of(error: BaseException, operation: Operation) -> ProblemError:
    """The problem that this error is answered with; an unexpected error is logged and answered with 500."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, asyncio.CancelledError):
        return ProblemError(problem.UNAVAILABLE, STOPPING, close=True)
    if isinstance(error, StoreUnavailableError):
        return ProblemError(error.kind, str(error))
    log.error("%s %s failed", operation.method, operation.path, exc_info=error)
    return ProblemError(problem.INTERNAL, problem.DEFECT)


async def _meet(fault: Fault, incoming: Incoming) -> None:
    """Do to a request what the fault says, before it is answered."""
    if fault.kind == "delay":
        await asyncio.sleep(fault.delay_ms / 1e3)
    elif fault.kind == "error":
        raise ProblemError(problem.DRILL, "a drill makes this request fail")
    elif fault.kind == "hang":
        await asyncio.sleep(HANG_S)
    elif fault.kind == "reset":
        incoming.caller.abort()
        await asyncio.sleep(HANG_S)  # the end of its connection is the end of the request
    elif fault.kind == "kill-worker":
        os.kill(os.getpid(), signal.SIGKILL)


async def _slowly(body: bytes, longer_s: float) -> AsyncGenerator[bytes, None]:
    """The body in small pieces, `longer_s` in all."""
    size = len(body) // SLOW_BODY_PARTS + 1
    for at in range(0, SLOW_BODY_PARTS * size, size):
        await asyncio.sleep(longer_s / SLOW_BODY_PARTS)
        yield body[at : at + size]


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
        self._overload = ProblemError(problem.OVERLOADED, TOO_MUCH)
        self.pace = Pace(service.crowd)
        self.refusal = problem_response(self._overload)
        """The answer under overload; always this very object."""
        self.farewell = problem_response(ProblemError(problem.UNAVAILABLE, STOPPING, close=True))
        """The answer to requests that are still arriving when the time to stop is over."""

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
        traffic = "shadow" if RUN_HEADER in incoming.head.headers else "live"
        response = self.refuse(error, traffic)
        self.service.metrics.request_seconds[route, traffic].observe(perf_counter() - started)
        return response

    def refuse(self, error: ProblemError, traffic: str = "live") -> ApiResponse:
        """Count a refusal, and make its answer."""
        self.service.metrics.refused(error.kind, traffic)
        return self.refusal if error is self._overload else problem_response(error)

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
        return None if answer is None else answer.to_bytes("close", to=messages[0][0].method)

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
            allowed = {"Allow": ", ".join([*frames, *(["HEAD"] if "GET" in frames else [])])}
            raise ProblemError(
                problem.METHOD_NOT_ALLOWED, f"{method} is not allowed on {path}", headers=allowed
            )
        return frame, names


def _pattern_of(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path))


def _description(table: list[Operation]) -> Operation:
    described = cache(lambda: json_response(document(table)))

    async def get_openapi(_request: ApiRequest) -> ApiResponse:
        """This description."""
        return described()

    return Operation("GET", "/openapi.json", get_openapi, dict[str, Any])
