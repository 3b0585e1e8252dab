"""The frame every operation runs in: run id, key, deadline, body, faults, timing, and errors as problems.

The same for a request that aiohttp has parsed and for one that came by the fast path (`api.fast_path`).
"""

import asyncio
import logging
import os
import signal
from collections.abc import Mapping
from time import monotonic_ns, perf_counter
from typing import NamedTuple

import msgspec
from aiohttp import web
from multidict import istr

from target_service import problem
from target_service.api.body import decode, read_json
from target_service.api.operation import ApiRequest, Operation, Service
from target_service.bearer import carries_token
from target_service.exemplars import TRACEPARENT, sampled_trace
from target_service.faults import HANG_S, Fault
from target_service.idempotency import HEADER as KEY_HEADER
from target_service.idempotency import BadKeyError, KeyInFlightError, KeyReusedError, parse_key
from target_service.inventory import SoldOutError
from target_service.metrics import TRAFFIC
from target_service.parcels import (
    OutOfOrderError,
    ParcelExistsError,
    TooManyEventsError,
    UnknownParcelError,
)
from target_service.payments import PaymentRefusedError, UnknownOrderError, WrongAmountError
from target_service.problem import ProblemError
from target_service.protocol import check_head
from target_service.response import JSON, ApiResponse
from target_service.shadow import LIVE, BadRunIdError, run_id_of, traffic_of
from target_service.shedding import TOO_MUCH, OverloadedError
from target_service.store.base import DeadlineError, StoreFullError, StoreUnavailableError

DEADLINE_HEADER = istr("X-Request-Deadline-Ms")
LONGEST_DEADLINE_MS = 3_600_000
SLOW_BODY_PARTS = 20
STOPPING = "the service is stopping"

log = logging.getLogger("orders")

_KINDS: tuple[tuple[type[Exception], problem.Kind], ...] = (
    (SoldOutError, problem.SOLD_OUT),
    (KeyReusedError, problem.KEY_REUSED),
    (KeyInFlightError, problem.KEY_IN_FLIGHT),
    (OverloadedError, problem.OVERLOADED),
    (StoreFullError, problem.STORE_FULL),
    (StoreUnavailableError, problem.UNAVAILABLE),
    (DeadlineError, problem.DEADLINE),
    (BadKeyError, problem.BAD_REQUEST),
    (BadRunIdError, problem.BAD_REQUEST),
    (UnknownOrderError, problem.NOT_FOUND),
    (UnknownParcelError, problem.NOT_FOUND),
    (PaymentRefusedError, problem.CONFLICT),
    (OutOfOrderError, problem.CONFLICT),
    (ParcelExistsError, problem.CONFLICT),
    (TooManyEventsError, problem.CONFLICT),
    (WrongAmountError, problem.BAD_FIELD),
)


class Incoming(NamedTuple):
    """A request before it is checked: as aiohttp parsed it, or plain and with its whole body."""

    headers: Mapping[str, str]
    names: Mapping[str, str]
    """The variable parts of its path."""
    parsed: web.Request | None = None
    body: bytes = b""
    closes: bool = False
    """Whether it asks for the connection to end with its answer."""


class Frame:
    """One operation in its frame."""

    def __init__(self, service: Service, operation: Operation) -> None:
        self.operation = operation
        self._service = service
        self._decoder = None if operation.body is None else msgspec.json.Decoder(operation.body)
        self._is_drilled = operation.route != "other"
        self.seconds = {
            traffic: service.metrics.request_seconds[operation.route, traffic] for traffic in TRAFFIC
        }

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer a request that aiohttp has parsed."""
        response = await self.answer(Incoming(request.headers, request.match_info, request))
        sent = response.to_aiohttp()
        if self._service.draining:
            sent.force_close()
        return sent

    async def answer(self, incoming: Incoming) -> ApiResponse:
        """The response to a request, which is counted and timed; whatever goes wrong is told as a problem."""
        started, service = perf_counter(), self._service
        service.accept_waiting()
        service.metrics.in_flight.add(1)
        run_id = LIVE
        try:
            run_id = run_id_of(incoming.headers)
            response = await self._respond(incoming, run_id)
        except (Exception, asyncio.CancelledError) as error:
            is_whole = self.operation.media_type == JSON
            if isinstance(error, asyncio.CancelledError) and not (service.has_given_up and is_whole):
                raise
            response = self._refuse(error, traffic_of(run_id))
        finally:
            service.metrics.in_flight.add(-1)
        self._count(perf_counter() - started, traffic_of(run_id), incoming.headers)
        return response

    async def _respond(self, incoming: Incoming, run_id: str) -> ApiResponse:
        parsed = incoming.parsed
        if parsed is None:
            return await self._obey(incoming, run_id)
        check_head(parsed)
        met = await self._admit(parsed)
        if met is not None and met.kind == "reset":
            return ApiResponse(200, b"")  # to nobody
        response = await self._obey(incoming, run_id)
        if met is not None and met.kind == "slow-body" and response.sent is None:
            return await _send_slowly(parsed, response, met.delay_ms / 1e3)
        return response

    async def _obey(self, incoming: Incoming, run_id: str) -> ApiResponse:
        """Do what is asked for."""
        operation, headers, parsed = self.operation, incoming.headers, incoming.parsed
        if operation.for_operators and not carries_token(headers, self._service.admin_token):
            raise ProblemError(problem.UNAUTHORIZED, "expected the operator's bearer token")
        key = parse_key(headers.get(KEY_HEADER)) if operation.keyed else None
        deadline_ns = deadline_ns_of(headers) if operation.sheds else None
        wanted = None
        if self._decoder is not None:
            wanted = decode(self._decoder, incoming.body if parsed is None else await read_json(parsed))
        request = ApiRequest(run_id, incoming.names, wanted, key, deadline_ns, parsed)
        return await (self._change(request) if operation.sheds else operation.handler(request))

    async def _change(self, request: ApiRequest) -> ApiResponse:
        """Make a change, if there is a place for one more and no other request works under its key."""
        service = self._service
        service.keys.hold(request.run_id, request.key)
        began_ns = None
        try:
            began_ns = service.limit.admit()
            if began_ns is None:
                raise OverloadedError(TOO_MUCH)
            response = await self.operation.handler(request)
        except BaseException:
            if began_ns is not None:
                service.limit.gave_up()
            raise
        finally:
            service.keys.let_go(request.run_id, request.key)
        service.limit.done(began_ns)
        return response

    async def _admit(self, request: web.Request) -> Fault | None:
        """Let the request meet a drill's fault, and refuse it under overload. The fault that it met, if any."""
        if not self._is_drilled:
            return None
        service = self._service
        fault = service.faults.of_request(self.operation.route)
        if fault is not None:
            await _meet(fault, request)
        if service.is_overloaded(self.operation):
            # Before the body is read: aiohttp reads on, for a moment, and closes if it does not come.
            raise OverloadedError(TOO_MUCH)
        return fault

    def _refuse(self, error: BaseException, traffic: str) -> ApiResponse:
        refusal = problem_of(error, self.operation)
        self._service.metrics.rejected[refusal.kind.slug, traffic].add()
        if refusal.kind is problem.OVERLOADED:
            self._service.metrics.shed.add()
        return refusal.response()

    def _count(self, taken_s: float, traffic: str, headers: Mapping[str, str]) -> None:
        seconds = self.seconds[traffic]
        seconds.observe(taken_s)
        if TRACEPARENT in headers:
            trace_id = sampled_trace(headers[TRACEPARENT])
            if trace_id is not None:
                seconds.exemplify(taken_s, trace_id)


def deadline_ns_of(headers: Mapping[str, str]) -> int | None:
    """The instant after which the caller no longer waits, on the monotonic clock. Raises ProblemError."""
    text = headers.get(DEADLINE_HEADER)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 0 < int(text) <= LONGEST_DEADLINE_MS):
        raise ProblemError(
            problem.BAD_REQUEST, f"{DEADLINE_HEADER}: expected 1 to {LONGEST_DEADLINE_MS}, got {text[:20]!r}"
        )
    return monotonic_ns() + int(text) * 1_000_000


def problem_of(error: BaseException, operation: Operation) -> ProblemError:
    """The problem that tells the caller of this error; an unexpected error is logged and told as 500."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, asyncio.CancelledError):
        return ProblemError(problem.UNAVAILABLE, STOPPING, close=True)
    for raised, kind in _KINDS:
        if isinstance(error, raised):
            return ProblemError(kind, str(error))
    log.error("%s %s failed", operation.method, operation.path, exc_info=error)
    return ProblemError(problem.INTERNAL, problem.DEFECT)


async def _meet(fault: Fault, request: web.Request) -> None:
    """Let a request meet what a fault does before it is answered."""
    if fault.kind == "delay":
        await asyncio.sleep(fault.delay_ms / 1e3)
    elif fault.kind == "error":
        raise ProblemError(problem.DRILL, "a drill makes this request fail")
    elif fault.kind == "hang":
        await asyncio.sleep(HANG_S)
    elif fault.kind == "reset" and request.transport is not None:
        request.transport.abort()
    elif fault.kind == "kill-worker":
        os.kill(os.getpid(), signal.SIGKILL)


async def _send_slowly(request: web.Request, answer: ApiResponse, longer_s: float) -> ApiResponse:
    """Send an answer whose body comes bit by bit."""
    headers = {
        "Content-Type": answer.media_type,
        **answer.headers,
        "Content-Length": str(len(answer.body)),
    }
    response = web.StreamResponse(status=answer.status, headers=headers)
    await response.prepare(request)
    size = len(answer.body) // SLOW_BODY_PARTS + 1
    for at in range(0, SLOW_BODY_PARTS * size, size):
        await asyncio.sleep(longer_s / SLOW_BODY_PARTS)
        if part := answer.body[at : at + size]:
            await response.write(part)
    return answer._replace(sent=response)
