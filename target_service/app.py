"""One worker's HTTP server: built, served on an inherited socket, and drained without cutting a request.

Draining: the listening socket is let go, every answer from then on closes its connection, and connections
without a request are given a moment (`IDLE_LINGER_S`) for one that is on its way. Then the store commits what
is left and closes.
"""

import asyncio
import logging
import socket
from collections.abc import Sequence

from aiohttp import web
from aiohttp.http_parser import HttpRequestParser, HttpRequestParserPy

from target_service.config import Config
from target_service.inventory import Catalogue
from target_service.metrics import WorkerMetrics
from target_service.orders import OrderIds
from target_service.routes import MAX_BODY_BYTES, Service, add_routes
from target_service.store.base import Store, StoreSettings
from target_service.store.sqlite import SqliteStore

IDLE_LINGER_S = 0.5
LAG_SAMPLE_S = 0.1
BACKLOG = 4096

log = logging.getLogger("orders")


def make_store(config: Config, metrics: WorkerMetrics) -> Store:
    """The store that the configuration names."""
    settings = StoreSettings(config.store, config.stock, config.store_wait_s, shared=config.workers > 1)
    return SqliteStore(settings, metrics)


class Server:
    """The HTTP server of one worker process."""

    def __init__(self, config: Config, metrics: WorkerMetrics) -> None:
        if HttpRequestParser is HttpRequestParserPy:
            raise RuntimeError(
                "aiohttp runs without its C parser, which refuses what the Python one lets through"
            )
        self._config = config
        self._metrics = metrics
        self._store = make_store(config, metrics)
        self._stopped = asyncio.Event()

    async def start(self, listener: socket.socket) -> None:
        """Open the store and begin to answer. Raises StoreOpenError."""
        writer_id = await self._store.open()
        self._service = Service(self._store, Catalogue(self._config.skus), OrderIds(writer_id), self._metrics)
        app = web.Application(client_max_size=MAX_BODY_BYTES, logger=log)
        add_routes(app, self._service)
        self._runner = web.AppRunner(
            app, access_log=None, auto_decompress=False, shutdown_timeout=self._config.drain_s
        )
        await self._runner.setup()
        self._site = web.SockSite(self._runner, listener, backlog=BACKLOG)
        await self._site.start()
        self._lag_sampler = asyncio.create_task(self._sample_lag())

    def stop(self) -> None:
        """Ask `run` to drain and return; safe to call from a signal handler of the loop."""
        self._stopped.set()

    async def run(self) -> None:
        """Serve until `stop`, then drain."""
        await self._stopped.wait()
        self._service.draining = True
        await self._site.stop()
        await self._linger()
        await self._runner.cleanup()
        await self._store.close()
        self._lag_sampler.cancel()

    async def _linger(self) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + IDLE_LINGER_S
        while self._connections() and loop.time() < until:
            await asyncio.sleep(0.01)

    def _connections(self) -> Sequence[object]:
        server = self._runner.server
        return server.connections if server is not None else []

    async def _sample_lag(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_SAMPLE_S
            await asyncio.sleep(LAG_SAMPLE_S)
            self._metrics.loop_lag.observe(max(0.0, loop.time() - due))
