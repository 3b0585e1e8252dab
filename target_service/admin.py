"""The admin port, served by the supervisor alone: `/metrics`, and `/admin/*` behind a token.

Nothing here asks a worker anything, so no scrape ever waits for one or stalls one.
"""

import socket
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from target_service.bearer import carries_token
from target_service.config import Config, is_loopback
from target_service.faults import Drill
from target_service.metrics import SharedMetrics, Supervision, registry_of
from target_service.metrics_page import MetricsPage, metrics_handler

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def start_admin(
    bound: socket.socket,
    config: Config,
    metrics: SharedMetrics,
    supervision: Supervision,
    set_drill: Callable[[Drill], None],
) -> web.AppRunner:
    """Serve the admin port on a bound socket; the caller cleans the runner up."""
    registry = registry_of(metrics.blocks, supervision)
    scrape = metrics_handler(MetricsPage(metrics.blocks, supervision), registry)
    app = web.Application()
    app.router.add_get("/metrics", scrape if is_loopback(config.admin_host) else behind_token(config, scrape))
    app.router.add_get("/admin/config", behind_token(config, _configuration(config)))
    app.router.add_put("/admin/faults", behind_token(config, _faults(config, set_drill)))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.SockSite(runner, bound).start()
    return runner


def behind_token(config: Config, handler: Handler) -> Handler:
    """Let through only requests that carry the token; without a configured token, none."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        if not carries_token(request.headers, config.admin_token):
            raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Bearer"})
        return await handler(request)

    return guarded


def _configuration(config: Config) -> Handler:
    async def show(_request: web.Request) -> web.StreamResponse:
        return web.json_response(config.without_secrets())

    return show


def _faults(config: Config, set_drill: Callable[[Drill], None]) -> Handler:
    async def set_faults(request: web.Request) -> web.StreamResponse:
        if not config.enable_faults:
            raise web.HTTPForbidden(text="faults are off: start the service with --enable-faults\n")
        try:
            drill = msgspec.json.decode(await request.read(), type=Drill)
        except msgspec.DecodeError as error:
            raise web.HTTPUnprocessableEntity(text=f"{error}\n") from None
        set_drill(drill)
        return web.Response(body=msgspec.json.encode(drill), content_type="application/json")

    return set_faults
