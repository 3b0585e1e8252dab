"""One worker: its store, its port and its tasks, built, served, and drained without cutting a request.

Only the supervisor starts it, `python -m target_service.worker SUPERVISOR SLOT LISTENER METRICS`: a process id, the
worker's number, and the inherited descriptors of the listening socket and of the metrics' memory. The configuration
comes as one line of JSON on standard input, drills as further ones (so that no password shows in a process list). On
standard output it says `ready` once. It dies with its supervisor, whatever kills that.
"""

import asyncio
import contextlib
import ctypes
import gc
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Coroutine
from typing import Any

import msgspec
import uvloop
from aiohttp.http_parser import HttpRequestParser, HttpRequestParserPy

from target_service.api.operation import Service, Shop
from target_service.config import EXIT_FAILURE, EXIT_TEMPORARY, EXIT_USAGE, Config
from target_service.faults import Drill, Faults
from target_service.housekeeping import Housekeeper, Terms
from target_service.inventory import Catalogue
from target_service.metrics import SharedMetrics, WorkerMetrics
from target_service.orders import OrderIds
from target_service.port import Port
from target_service.routes import Api, operations
from target_service.secrets import log_masked, secrets_of
from target_service.shedding import AdaptiveLimit, Crowd
from target_service.store.base import StoreOpenError, StoreSettings, StoreUnavailableError
from target_service.store.store import Store, make_store

BEAT_S = 0.1
PROOF_S = 2.0
"""A store that made nothing durable for so long is asked to."""
FRESH_S = 1.0
"""How long one durable change of any client proves that the store takes more."""
SPARE_DESCRIPTORS = 64
SWITCH_INTERVAL_S = 0.0005
"""How long the event loop may keep the interpreter lock from the store's thread (5 ms by default: as long as
several commits)."""
GARBAGE = (50_000, 3, 1000)
"""New objects before garbage is looked for among them, and how often before it is among older ones; (700, 10, 10) by
default. Thousands of requests under way are no garbage, but fewer objects than this: a crowded worker spent a quarter
of its time looking through them with the default, a tenth with 10,000."""

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>

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
            lambda: time.monotonic() - self._metrics.proved_s.value <= FRESH_S,
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
        """Count the turns of the event loop, note how late they are, and the memory that this process takes."""
        loop = asyncio.get_running_loop()
        while True:
            self._metrics.memory_bytes.value = resident_bytes()
            due_s = loop.time() + BEAT_S
            self._metrics.beats.add()
            await asyncio.sleep(BEAT_S)
            lag_s = max(0.0, loop.time() - due_s)
            self._metrics.loop_lag.observe(lag_s)
            self._crowd.note_lag(lag_s)

    async def _prove_store(self) -> None:
        """Have the store write now and then, so that readiness notices a store that no longer can."""
        while True:
            await asyncio.sleep(PROOF_S)
            if time.monotonic() - self._metrics.proved_s.value >= PROOF_S:
                with contextlib.suppress(StoreUnavailableError):
                    await self._store.ping()


def resident_bytes() -> int:
    """Memory of this process that lies in RAM, as Linux counts it (proc_pid_statm(5))."""
    with open("/proc/self/statm", "rb", buffering=0) as statm:  # pathlib takes five times as long
        return int(statm.read().split()[1]) * resource.getpagesize()


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends; at once if that has happened already."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(EXIT_FAILURE)


def main() -> int:
    """Serve until SIGTERM; returns the exit code."""
    supervisor, slot, listener, metrics = map(int, sys.argv[1:])
    die_with_parent(supervisor)
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    return uvloop.run(_serve(slot, listener, metrics))


async def _serve(slot: int, listener: int, metrics: int) -> int:
    loop, lines = asyncio.get_running_loop(), asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    config = msgspec.json.decode(await lines.readline(), type=Config)
    formatter = log_masked(secrets_of(config.store, config.admin_token), logging.WARNING)
    block = SharedMetrics(metrics, config.workers).blocks[slot]
    server = Server(config, WorkerMetrics(block), slot)
    loop.add_signal_handler(signal.SIGTERM, server.stop)
    obeying = asyncio.create_task(_obey(server, lines))
    try:
        await server.start(socket.socket(fileno=listener))
    except StoreOpenError as error:
        sys.stderr.write(formatter.mask(f"target_service: error: argument --store: {error}\n"))
        return EXIT_USAGE
    except StoreUnavailableError as error:
        sys.stderr.write(formatter.mask(f"target_service: {error}\n"))
        return EXIT_TEMPORARY
    # What is there by now lives as long as the process: keep it out of every collection.
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await server.run()
    obeying.cancel()
    # The loop would give the signal back its default, and another one would spoil a clean end.
    loop.remove_signal_handler(signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return 0


async def _obey(server: Server, lines: asyncio.StreamReader) -> None:
    """Set the drills that come as further lines."""
    while line := await lines.readline():
        server.set_drill(msgspec.json.decode(line, type=Drill))


if __name__ == "__main__":
    sys.exit(main())
