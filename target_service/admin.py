"""The admin port, served by the supervisor alone: `/metrics`, health, and `/admin/*` behind a token.

Nothing here asks a worker anything, so no scrape and no probe ever waits for one or stalls one: however busy they
are, an orchestrator hears how they fare. Their pulse in the shared memory says that their store takes changes.
"""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from target_service import problem
from target_service.bearer import carries_token
from target_service.config import Config, is_loopback
from target_service.faults import Drill
from target_service.metrics import SharedMetrics, Supervision, registry_of
from target_service.metrics_page import metrics_handler
from target_service.problem import ProblemError, shortened
from target_service.protocol import (
    LONGEST_LINE,
    ProblemProtocol,
    aiohttp_response,
    check_head,
    protocol_log,
    reason_of,
)

_KEPT = ("WWW-Authenticate", "Allow")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PROVED_WITHIN_S = 6.0
"""Workers whose store is idle have it make something durable every two seconds (`app.PROOF_S`)."""


async def start_admin(
    bound: socket.socket,
    config: Config,
    metrics: SharedMetrics,
    supervision: Supervision,
    set_drill: Callable[[Drill], None],
) -> web.AppRunner:
    """Serve the admin port on a bound socket; the caller cleans the runner up."""
    scrape = metrics_handler(registry_of(metrics.blocks, supervision))
    app = web.Application(middlewares=[well_formed])
    app.router.add_get("/metrics", scrape if is_loopback(config.admin_host) else behind_token(config, scrape))
    app.router.add_get("/healthz", _alive)
    app.router.add_get("/readyz", _ready(metrics, supervision))
    app.router.add_get("/admin/config", behind_token(config, _configuration(config)))
    app.router.add_put("/admin/faults", behind_token(config, _faults(config, set_drill)))
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    server = runner.server
    assert server is not None  # noqa: S101 - there is one from `setup` on
    loop = asyncio.get_running_loop()
    settings: dict[str, Any] = {
        "access_log": None,
        "logger": protocol_log,
        "keepalive_timeout": config.idle_s,
        "max_line_size": LONGEST_LINE,
    }
    await loop.create_server(lambda: ProblemProtocol(server, loop=loop, **settings), sock=bound)
    return runner


def behind_token(config: Config, handler: Handler) -> Handler:
    """Let through only requests that carry the token; without a configured token, none."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        if not carries_token(request.headers, config.admin_token):
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Bearer"})
        return await handler(request)

    return guarded


async def _alive(_request: web.Request) -> web.StreamResponse:
    """The supervisor lives, which replaces each worker that does not."""
    return web.json_response({"status": "alive"})


def _ready(metrics: SharedMetrics, supervision: Supervision) -> Handler:
    async def ready(_request: web.Request) -> web.StreamResponse:
        """A worker's store made something durable lately, and the service is not stopping."""
        newest_s = max(block.pulse.proved_s for block in metrics.blocks)
        if supervision.is_stopping or time.monotonic() - newest_s > PROVED_WITHIN_S:
            why = "the service is stopping" if supervision.is_stopping else "no worker's store takes changes"
            raise ProblemError(problem.UNAVAILABLE, why)
        return web.json_response({"status": "ready"})

    return ready


@web.middleware
async def well_formed(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse heads whose meaning is in doubt, and tell every error as a problem."""
    try:
        check_head(request.headers, request.version)
        return await handler(request)
    except ProblemError as error:
        return aiohttp_response(error)
    except web.HTTPException as error:
        kind = next(kind for kind in problem.KINDS if kind.status == error.status)
        response = aiohttp_response(ProblemError(kind, reason_of(error.text or ""), close=True))
        response.headers.update({name: error.headers[name] for name in _KEPT if name in error.headers})
        return response


def _configuration(config: Config) -> Handler:
    async def show(_request: web.Request) -> web.StreamResponse:
        return web.json_response(config.without_secrets())

    return show


def _faults(config: Config, set_drill: Callable[[Drill], None]) -> Handler:
    async def set_faults(request: web.Request) -> web.StreamResponse:
        if not config.enable_faults:
            raise web.HTTPForbidden(text="faults are off: start the service with --enable-faults\n")
        try:
            async with asyncio.timeout(config.body_deadline_s):
                body = await request.read()
            drill = msgspec.json.decode(body, type=Drill)
        except TimeoutError:
            raise web.HTTPRequestTimeout from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise web.HTTPUnprocessableEntity(text=f"{shortened(str(error))}\n") from None
        set_drill(drill)
        return web.Response(body=msgspec.json.encode(drill), content_type="application/json")

    return set_faults
