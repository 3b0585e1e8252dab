"""The frame every operation runs in: run id, deadline, faults, timing, and errors as problems.

It is put around the handlers when the routes are added rather than as a middleware, which would cost every
request another layer of calls.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from time import monotonic_ns, perf_counter

from aiohttp import web
from multidict import istr

from target_service import problem
from target_service.api.operation import Operation, Service
from target_service.exemplars import TRACEPARENT, sampled_trace
from target_service.faults import HANG_S, Fault
from target_service.idempotency import BadKeyError, KeyInFlightError, KeyReusedError
from target_service.inventory import SoldOutError
from target_service.parcels import (
    OutOfOrderError,
    ParcelExistsError,
    TooManyEventsError,
    UnknownParcelError,
)
from target_service.payments import PaymentRefusedError, UnknownOrderError, WrongAmountError
from target_service.problem import ProblemError
from target_service.protocol import check_head
from target_service.shadow import HEADER, LIVE, BadRunIdError, run_id_of, traffic_of
from target_service.shedding import TOO_MUCH, OverloadedError
from target_service.store.base import DeadlineError, StoreFullError, StoreUnavailableError

DEADLINE_HEADER = istr("X-Request-Deadline-Ms")
LONGEST_DEADLINE_MS = 3_600_000
SLOW_BODY_BYTES = 100
STOPPING = "the service is stopping"

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


def framed(service: Service, operation: Operation) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The operation's handler in its frame, as aiohttp wants it."""
    metrics = service.metrics
    route = operation.route
    seconds = {traffic: metrics.request_seconds[route, traffic] for traffic in ("live", "shadow")}
    handle = operation.handler
    is_drilled = route != "other"
    limit = service.limit if operation.sheds else None
    crowd = service.crowd
    is_whole = operation.media_type == "application/json"

    async def answer(request: web.Request) -> web.StreamResponse:
        started = perf_counter()
        service.look()
        metrics.in_flight.add(1)
        run_id = LIVE
        try:
            check_head(request)
            if HEADER in request.headers:
                run_id = run_id_of(request.headers)
            fault = service.faults.of_request(route) if is_drilled else None
            spoilt = None if fault is None else await _suffer(fault, request)
            if is_drilled and (crowd.is_full() or (limit is not None and limit.is_full())):
                # Before the body is read: aiohttp reads on, for a moment, and closes if it does not come.
                raise OverloadedError(TOO_MUCH)
            response = spoilt or await handle(request, run_id)
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and not (service.has_given_up and is_whole):
                raise
            refusal = problem_of(error, request)
            metrics.rejected[refusal.kind.slug, traffic_of(run_id)].add()
            if refusal.kind is problem.OVERLOADED:
                metrics.shed.add()
            response = refusal.response()
        finally:
            metrics.in_flight.add(-1)
        taken_s, counted = perf_counter() - started, seconds[traffic_of(run_id)]
        counted.observe(taken_s)
        if TRACEPARENT in request.headers:
            trace_id = sampled_trace(request.headers[TRACEPARENT])
            if trace_id is not None:
                counted.exemplify(taken_s, trace_id)
        if service.draining:
            response.force_close()
        return response

    return answer


def deadline_ns_of(request: web.Request) -> int | None:
    """The instant after which the caller no longer waits, on the monotonic clock. Raises ProblemError."""
    text = request.headers.get(DEADLINE_HEADER)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 0 < int(text) <= LONGEST_DEADLINE_MS):
        raise ProblemError(
            problem.BAD_REQUEST, f"{DEADLINE_HEADER}: expected 1 to {LONGEST_DEADLINE_MS}, got {text[:20]!r}"
        )
    return monotonic_ns() + int(text) * 1_000_000


def problem_of(error: BaseException, request: web.Request) -> ProblemError:
    """The problem that tells the caller of this error; what nobody expected is logged and told as 500."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, asyncio.CancelledError):
        return ProblemError(problem.UNAVAILABLE, STOPPING, close=True)
    for raised, kind in _KINDS:
        if isinstance(error, raised):
            return ProblemError(kind, str(error))
    request.app.logger.error("%s %s failed", request.method, request.path, exc_info=error)
    return ProblemError(problem.INTERNAL, problem.DEFECT)


async def _suffer(fault: Fault, request: web.Request) -> web.StreamResponse | None:
    """Do to a request what a drill wants done; the spoilt response, or None if the request goes on."""
    if fault.kind == "delay":
        await asyncio.sleep(fault.delay_ms / 1e3)
    elif fault.kind == "error":
        raise ProblemError(problem.DRILL, "a drill wanted this request to fail")
    elif fault.kind == "hang":
        await asyncio.sleep(HANG_S)
    elif fault.kind == "reset" and request.transport is not None:
        request.transport.abort()
        return web.Response()
    elif fault.kind == "slow-body":
        return await _dribble(request, fault.delay_ms / 1e3)
    elif fault.kind == "kill-worker":
        os.kill(os.getpid(), signal.SIGKILL)
    return None


async def _dribble(request: web.Request, pause_s: float) -> web.StreamResponse:
    """Answer with a body that comes byte by byte."""
    response = web.StreamResponse(status=200, headers={"Content-Length": str(SLOW_BODY_BYTES)})
    await response.prepare(request)
    for _ in range(SLOW_BODY_BYTES):
        await response.write(b" ")
        await asyncio.sleep(pause_s)
    return response
