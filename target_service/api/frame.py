"""The frame every operation runs in: run id, key, deadline, body, faults, timing, and errors as problems."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncGenerator, Mapping
from time import monotonic_ns, perf_counter

import msgspec
from multidict import istr

from target_service import problem
from target_service.api.body import BodyReader, Incoming, check_type, decode
from target_service.api.operation import ApiRequest, Operation, Service
from target_service.exemplars import TRACEPARENT, sampled_trace
from target_service.faults import HANG_S, Fault
from target_service.idempotency import HEADER as KEY_HEADER
from target_service.idempotency import parse_key
from target_service.metrics import TRAFFIC
from target_service.problem import STOPPING, ProblemError
from target_service.response import ApiResponse
from target_service.secrets import EXPECTED_HEADER, carries_token
from target_service.shadow import LIVE, run_id_of, traffic_of
from target_service.shedding import TOO_MUCH
from target_service.store.base import StoreUnavailableError

DEADLINE_HEADER = istr("X-Request-Deadline-Ms")
LONGEST_DEADLINE_MS = 3_600_000
SLOW_BODY_PARTS = 20

log = logging.getLogger("orders")


class Frame:
    """Runs one operation for each request, with the checks and measurements that all operations share."""

    def __init__(self, service: Service, operation: Operation, bodies: BodyReader) -> None:
        self.operation = operation
        self._service = service
        self._bodies = bodies
        self._decoder = None if operation.body is None else msgspec.json.Decoder(operation.body)
        self._is_drilled = operation.route != "other"
        self.seconds = {
            traffic: service.metrics.request_seconds[operation.route, traffic] for traffic in TRAFFIC
        }

    async def answer(self, incoming: Incoming, names: Mapping[str, str]) -> ApiResponse:
        """Answer a request, and count and time it; any error becomes a problem body."""
        started, service, headers = perf_counter(), self._service, incoming.head.headers
        service.accept_waiting()
        service.metrics.in_flight.add(1)
        run_id, response = LIVE, None
        try:
            run_id = run_id_of(headers)
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
        if fault is not None and fault.kind == "slow-body" and response.parts is None:
            parts = _slowly(response.body, fault.delay_ms / 1e3)
            return response._replace(body=b"", parts=parts)
        return response

    async def _obey(self, incoming: Incoming, names: Mapping[str, str], run_id: str) -> ApiResponse:
        """Check token, headers and body, then run the operation."""
        operation, head = self.operation, incoming.head
        if operation.for_operators and not carries_token(head.headers, self._service.admin_token):
            raise ProblemError(problem.UNAUTHORIZED, EXPECTED_HEADER, headers={"WWW-Authenticate": "Bearer"})
        key = parse_key(head.headers.get(KEY_HEADER)) if operation.keyed else None
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
        service = self._service
        service.keys.hold(request.run_id, request.key)
        began_ns = None
        try:
            began_ns = service.limit.admit()
            if began_ns is None:
                raise ProblemError(problem.OVERLOADED, TOO_MUCH)
            response = await self.operation.handler(request)
        except BaseException:
            if began_ns is not None:
                service.limit.gave_up()
            raise
        finally:
            service.keys.let_go(request.run_id, request.key)
        service.limit.done(began_ns)
        return response

    def _refuse(self, error: BaseException, traffic: str) -> ApiResponse:
        refusal = problem_of(error, self.operation)
        self._service.metrics.refused(refusal.kind, traffic)
        return refusal.response()

    def _count(self, started: float, run_id: str, headers: Mapping[str, str]) -> None:
        taken_s = perf_counter() - started
        seconds = self.seconds[traffic_of(run_id)]
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
