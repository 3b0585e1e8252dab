"""One worker's HTTP server: built, served on an inherited socket, and drained without cutting a request.

Draining: the listening socket is let go, every answer from then on closes its connection, and connections
without a request are given a moment (`IDLE_LINGER_S`) for one that is on its way. Then the store commits what
is left and closes.
"""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Sequence
from typing import cast

from aiohttp import web
from aiohttp.http_parser import HttpRequestParser, HttpRequestParserPy

from target_service.api.body import BODY_DEADLINE_S, CUT_OFFS, MAX_BODY_BYTES
from target_service.api.door import Door
from target_service.api.operation import Service
from target_service.config import Config
from target_service.cut_offs import CutOffs
from target_service.doorkeeper import Doorkeeper
from target_service.faults import Drill, Faults
from target_service.housekeeping import Housekeeper, Terms
from target_service.inventory import Catalogue
from target_service.metrics import WorkerMetrics
from target_service.orders import OrderIds
from target_service.routes import add_routes, operations
from target_service.shedding import AdaptiveLimit
from target_service.store.base import ObserverPair, Store, StoreSettings, StoreUnavailableError
from target_service.store.open import make_store

IDLE_LINGER_S = 0.5
UNREAD_BODY_LINGER_S = 1.0
"""How long the rest of a refused body is read, so that the refusal is not lost to a reset."""
LAG_SAMPLE_S = 0.1
PROOF_S = 2.0
"""A store that made nothing durable for so long is asked to."""
BACKLOG = 4096

log = logging.getLogger("orders")
protocol_log = logging.getLogger("orders.protocol")
# A stranger's malformed request is answered with 400; a traceback of the parser for each would only fill the
# disk.
protocol_log.setLevel(logging.CRITICAL)


class Server:
    """The HTTP server of one worker process."""

    def __init__(self, config: Config, metrics: WorkerMetrics, slot: int, store: Store | None = None) -> None:
        if HttpRequestParser is HttpRequestParserPy:
            raise RuntimeError(
                "aiohttp runs without its C parser, which refuses what the Python one lets through"
            )
        self._config = config
        self._metrics = metrics
        self._slot = slot
        self._faults = Faults(slot, time.monotonic_ns, metrics.fault_met)
        self._limit = AdaptiveLimit(config.most_in_flight, time.monotonic_ns)
        self._store = store or make_store(
            StoreSettings(
                config.store,
                config.stock,
                config.store_wait_s,
                shared=config.workers > 1,
                stock_buckets=config.stock_buckets,
                stall_s=self._faults.store_stall_s,
            ),
            ObserverPair(metrics, self._limit),
        )
        self._stopped = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, listener: socket.socket) -> None:
        """Open the store and begin to answer. Raises StoreOpenError, StoreUnavailableError."""
        self._tasks.append(asyncio.create_task(self._sample_lag()))
        self._service = self._make_service(writer_id=await self._store.open())
        app = web.Application(client_max_size=MAX_BODY_BYTES, logger=log)
        app[BODY_DEADLINE_S] = self._config.body_deadline_s
        app[CUT_OFFS] = CutOffs(asyncio.get_running_loop().time)
        add_routes(app, self._service)
        self._door = Door(self._service, operations(self._service))
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=self._config.drain_s)
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(self._connection, sock=listener, backlog=BACKLOG)
        self._start_tasks()

    def set_drill(self, drill: Drill) -> None:
        """Replace the faults that requests meet."""
        self._faults.set(drill)

    def stop(self) -> None:
        """Ask `run` to drain and return; safe to call from a signal handler of the loop."""
        self._stopped.set()

    async def run(self) -> None:
        """Serve until `stop`, then drain."""
        await self._stopped.wait()
        self._service.draining = True
        self._listening.close()
        await self._linger()
        await self._runner.cleanup()
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._store.close()

    def _connection(self) -> Doorkeeper:
        """The protocol of a connection that has just come."""
        return Doorkeeper(
            cast("web.Server", self._runner.server),  # there is one from `setup` on
            lambda kind: self._metrics.rejected[kind.slug, "live"].add(),
            self._door,
            access_log=None,
            logger=protocol_log,
            auto_decompress=False,
            keepalive_timeout=self._config.idle_s,
            lingering_time=UNREAD_BODY_LINGER_S,
        )

    def _make_service(self, writer_id: int) -> Service:
        config = self._config
        return Service(
            self._store,
            Catalogue(config.skus),
            OrderIds(writer_id),
            self._metrics,
            self._limit,
            self._faults,
            config.admin_token,
        )

    def _start_tasks(self) -> None:
        self._tasks.append(asyncio.create_task(self._prove_store()))
        if self._slot == 0:
            terms = Terms(self._config.reservation_s, self._config.key_ttl_s)
            housekeeper = Housekeeper(self._store, terms, self._metrics.cancelled)
            self._tasks.append(asyncio.create_task(housekeeper.run()))

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
            self._metrics.pulse.beat()

    async def _prove_store(self) -> None:
        """Have the store write now and then, so that its silence means something."""
        while True:
            await asyncio.sleep(PROOF_S)
            if time.monotonic() - self._metrics.pulse.proved_s >= PROOF_S:
                with contextlib.suppress(StoreUnavailableError):
                    await self._store.ping()
