"""One worker's HTTP server: built, served on an inherited socket, and drained without cutting a request.

Draining: connections that wait are accepted, the listening socket is closed, every answer from then on closes its
connection, and connections without a request are given a moment (`IDLE_LINGER_S`) for one that is on its way. What
has begun is finished, or told 503 shortly before `drain_s` is over. Then the store commits what is left and closes.
"""

import asyncio
import contextlib
import logging
import resource
import socket
import time
from collections.abc import Coroutine
from typing import Any

from aiohttp.http_parser import HttpRequestParser, HttpRequestParserPy

from target_service.acceptor import Acceptor
from target_service.api.body import BodyReader
from target_service.api.operation import Service
from target_service.config import Config
from target_service.connection import Connection
from target_service.cut_offs import CutOffs
from target_service.faults import Drill, Faults
from target_service.housekeeping import Housekeeper, Terms
from target_service.inventory import Catalogue
from target_service.metrics import WorkerMetrics
from target_service.orders import OrderIds
from target_service.routes import Api
from target_service.shedding import AdaptiveLimit, Crowd
from target_service.store.base import StoreSettings, StoreUnavailableError
from target_service.store.store import Store, make_store

IDLE_LINGER_S = 0.5
BEAT_S = 0.1
PROOF_S = 2.0
"""A store that made nothing durable for so long is asked to."""
SWEEP_S = 1.0
DRAIN_LOOK_S = 0.02
ANSWER_S = 0.5
"""The part of a drain that is kept for refusing what is left, and for the store's last commit."""
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
        catalogue, token = Catalogue(self._config.skus), self._config.admin_token
        self._service = Service(
            self._store, catalogue, ids, self._metrics, self._limit, self._faults, token, crowd=self._crowd
        )
        cut_offs = CutOffs(asyncio.get_running_loop().time)
        api = Api(self._service, BodyReader(self._config.body_deadline_s, cut_offs))
        most = _most_connections(self._config.most_connections)
        self._acceptor = Acceptor(listener, lambda: Connection(api, self._acceptor.let_go), api, most)
        api.accept_waiting = self._service.accept_waiting = self._acceptor.accept_waiting
        self._keep_up(self._prove_store())
        self._keep_up(self._end_unused())
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
        loop = asyncio.get_running_loop()
        end_s = loop.time() + self._config.drain_s - min(ANSWER_S, self._config.drain_s / 2)
        self._service.draining = True
        self._acceptor.close()
        await self._finish(loop.time() + IDLE_LINGER_S, end_s)
        await self._give_up()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._store.close()

    async def _finish(self, idle_until_s: float, end_s: float) -> None:
        """Wait for every request that has begun; connections without one are closed from `idle_until_s` on."""
        loop = asyncio.get_running_loop()
        while self._acceptor.connections and loop.time() < end_s:
            if loop.time() >= idle_until_s:
                for connection in list(self._acceptor.connections):
                    connection.end_if_idle()
            await asyncio.sleep(DRAIN_LOOK_S)

    async def _give_up(self) -> None:
        """Answer clients that are left that the service stops, and cut off those that do not read."""
        self._service.has_given_up = True
        for connection in list(self._acceptor.connections):
            connection.give_up()
        loop = asyncio.get_running_loop()
        until_s = loop.time() + ANSWER_S / 2
        while self._acceptor.connections and loop.time() < until_s:
            await asyncio.sleep(DRAIN_LOOK_S)
        for connection in list(self._acceptor.connections):
            connection.abort()

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

    async def _end_unused(self) -> None:
        """End, now and then, the connections whose clients say nothing, or do not read."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(SWEEP_S, self._config.idle_s / 2))
            for connection in list(self._acceptor.connections):
                connection.look(loop.time(), self._config.idle_s)

    async def _prove_store(self) -> None:
        """Have the store write now and then, so that readiness notices a store that no longer can."""
        while True:
            await asyncio.sleep(PROOF_S)
            if time.monotonic() - self._metrics.pulse.proved_s >= PROOF_S:
                with contextlib.suppress(StoreUnavailableError):
                    await self._store.ping()
