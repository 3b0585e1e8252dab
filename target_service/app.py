"""One worker: its store, its port and its tasks, built, served, and drained without cutting a request."""

import asyncio
import contextlib
import logging
import resource
import socket
import time
from collections.abc import Coroutine
from typing import Any

from aiohttp.http_parser import HttpRequestParser, HttpRequestParserPy

from target_service.api.operation import Service, Shop
from target_service.config import Config
from target_service.faults import Drill, Faults
from target_service.housekeeping import Housekeeper, Terms
from target_service.inventory import Catalogue
from target_service.metrics import WorkerMetrics
from target_service.orders import OrderIds
from target_service.port import Port
from target_service.routes import Api, operations
from target_service.shedding import AdaptiveLimit, Crowd
from target_service.store.base import StoreSettings, StoreUnavailableError
from target_service.store.store import Store, make_store

BEAT_S = 0.1
PROOF_S = 2.0
"""A store that made nothing durable for so long is asked to."""
FRESH_S = 1.0
"""How long one durable change of any client proves that the store takes more."""
SPARE_DESCRIPTORS = 64

log = logging.getLogger("orders")


def _most_connections(wanted: int) -> int:
    """As many as wanted, or as there are descriptors for."""
    return min(wanted, max(1, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE_DESCRIPTORS))


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
        self._crowd = Crowd()
        self._limit = AdaptiveLimit(config.most_in_flight, time.monotonic_ns)
        self._store = store or make_store(
            StoreSettings(
                config.store,
                config.stock,
                config.store_wait_s,
                shared=config.workers > 1,
                stall_s=self._faults.store_stall_s,
            ),
            metrics,
            self._limit,
        )
        self._stopped = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, listener: socket.socket) -> None:
        """Open the store and begin to answer. Raises StoreOpenError, StoreUnavailableError."""
        # Before the store, which may take minutes to open: meanwhile the worker must show that it lives.
        self._keep_up(self._beat())
        ids = OrderIds(await self._store.open())
        service = Service(
            self._metrics,
            self._limit,
            self._faults,
            self._store.ping,
            lambda: time.monotonic() - self._metrics.pulse.proved_s <= FRESH_S,
            self._config.admin_token,
            crowd=self._crowd,
        )
        shop = Shop(self._store, Catalogue(self._config.skus), ids, self._metrics)
        api = Api(service, operations(shop, service), self._config.body_deadline_s)
        most = _most_connections(self._config.most_connections)
        self._port = Port(listener, api, most, self._config.idle_s)
        self._keep_up(self._prove_store())
        self._keep_up(self._port.end_unused())
        if self._slot == 0:
            terms = Terms(self._config.reservation_s, self._config.key_ttl_s)
            self._keep_up(Housekeeper(self._store, terms, self._metrics.cancelled).run())

    def set_drill(self, drill: Drill) -> None:
        """Replace the faults that requests meet."""
        self._faults.set(drill)

    def stop(self) -> None:
        """Ask `run` to drain and return; safe to call from a signal handler of the loop."""
        self._stopped.set()

    async def run(self) -> None:
        """Serve until `stop`, then drain."""
        await self._stopped.wait()
        await self._port.drain(self._config.drain_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._store.close()

    def _keep_up(self, work: Coroutine[Any, Any, None]) -> None:
        """Run this for as long as the worker serves; should it fail, the worker drains and is replaced."""
        task = asyncio.create_task(work)
        task.add_done_callback(self._end_with)
        self._tasks.append(task)

    def _end_with(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            log.error("%s has ended; the worker is replaced", task.get_coro(), exc_info=task.exception())
            self.stop()

    async def _beat(self) -> None:
        """Count the turns of the event loop, and note how late they are."""
        loop = asyncio.get_running_loop()
        while True:
            due_s = loop.time() + BEAT_S
            self._metrics.pulse.beat()
            await asyncio.sleep(BEAT_S)
            lag_s = max(0.0, loop.time() - due_s)
            self._metrics.loop_lag.observe(lag_s)
            self._crowd.note_lag(lag_s)

    async def _prove_store(self) -> None:
        """Have the store write now and then, so that readiness notices a store that no longer can."""
        while True:
            await asyncio.sleep(PROOF_S)
            if time.monotonic() - self._metrics.pulse.proved_s >= PROOF_S:
                with contextlib.suppress(StoreUnavailableError):
                    await self._store.ping()
