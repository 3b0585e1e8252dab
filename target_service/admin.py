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
from target_service.bearer import EXPECTED_HEADER, carries_token
from target_service.config import Config, is_loopback
from target_service.faults import Drill
from target_service.metrics import SharedMetrics, Supervision, registry_of
from target_service.metrics_page import MetricsPage
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
    pages = _Admin(config, metrics, supervision, set_drill)
    scrape = MetricsPage(registry_of(metrics.blocks, supervision)).serve
    app = web.Application(middlewares=[well_formed])
    app.router.add_get("/metrics", scrape if is_loopback(config.admin_host) else pages.behind_token(scrape))
    app.router.add_get("/healthz", pages.alive)
    app.router.add_get("/readyz", pages.ready)
    app.router.add_get("/admin/config", pages.behind_token(pages.configuration))
    app.router.add_put("/admin/faults", pages.behind_token(pages.set_faults))
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    server, loop = runner.server, asyncio.get_running_loop()
    assert server is not None  # noqa: S101 - there is one from `setup` on
    settings: dict[str, Any] = {
        "access_log": None,
        "logger": protocol_log,
        "keepalive_timeout": config.idle_s,
        "max_line_size": LONGEST_LINE,
    }
    await loop.create_server(lambda: ProblemProtocol(server, loop=loop, **settings), sock=bound)
    return runner


class _Admin:
    """Answers what is asked of the admin port."""

    def __init__(
        self,
        config: Config,
        metrics: SharedMetrics,
        supervision: Supervision,
        set_drill: Callable[[Drill], None],
    ) -> None:
        self._config = config
        self._metrics = metrics
        self._supervision = supervision
        self._set_drill = set_drill

    def behind_token(self, handler: Handler) -> Handler:
        """Let through only requests that carry the token; without a configured token, none."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            if not carries_token(request.headers, self._config.admin_token):
                raise web.HTTPUnauthorized(text=EXPECTED_HEADER, headers={"WWW-Authenticate": "Bearer"})
            return await handler(request)

        return guarded

    async def alive(self, _request: web.Request) -> web.StreamResponse:
        """The supervisor lives, which replaces each worker that does not."""
        return web.json_response({"status": "alive"})

    async def ready(self, _request: web.Request) -> web.StreamResponse:
        """A worker's store made something durable lately, and the service is not stopping."""
        if self._supervision.is_stopping:
            raise ProblemError(problem.UNAVAILABLE, "the service is stopping")
        newest_s = max(block.pulse.proved_s for block in self._metrics.blocks)
        if time.monotonic() - newest_s > PROVED_WITHIN_S:
            raise ProblemError(
                problem.UNAVAILABLE, f"no worker has written to the store in the last {PROVED_WITHIN_S:g} s"
            )
        return web.json_response({"status": "ready"})

    async def configuration(self, _request: web.Request) -> web.StreamResponse:
        """The settings, without secrets."""
        return web.json_response(self._config.without_secrets())

    async def set_faults(self, request: web.Request) -> web.StreamResponse:
        """Replace the drill."""
        if not self._config.enable_faults:
            raise web.HTTPForbidden(text="faults are off: start the service with --enable-faults\n")
        try:
            async with asyncio.timeout(self._config.body_deadline_s):
                drill = msgspec.json.decode(await request.read(), type=Drill)
        except TimeoutError:
            raise web.HTTPRequestTimeout from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise web.HTTPUnprocessableEntity(text=f"{shortened(str(error))}\n") from None
        self._set_drill(drill)
        return web.Response(body=msgspec.json.encode(drill), content_type="application/json")


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
