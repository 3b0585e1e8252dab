"""The supervisor: binds the ports, keeps N workers running, and alone serves the admin port.

It never touches an order. A worker that ends unasked is started again, at once the first time and then with a
growing pause (`backoff_s`) until it has lived for a while. SIGTERM and SIGINT pass on as SIGTERM; the
supervisor ends when the last worker has drained. SIGHUP replaces the workers one after another without losing
a connection.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import msgspec

from target_service.config import Config
from target_service.faults import Drill, read_drill
from target_service.metrics import SharedMetrics, Supervision
from target_service.sockets import bind, bind_shared, url_of

if TYPE_CHECKING:
    from aiohttp import web

BACKLOG = 4096
ADMIN_BACKLOG = 128
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 10.0
HEALTHY_AFTER_S = 10.0
"""A worker that lived this long is forgiven its earlier crashes."""
LOOK_EVERY_S = 0.5
HUNG_AFTER_S = 10.0
"""A worker whose event loop stands still for so long answers no request: it is killed, and another takes its
place."""
STARTED_WITHIN_S = 120.0
"""How long it may take to the first turn of its event loop: Python's imports may take long on a busy machine."""
KILL_AFTER_S = 3.0
"""How long after its drain should have ended a worker is killed."""

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
EXIT_FAILURE = 1
EXIT_TEMPORARY = 75
"""EX_TEMPFAIL of sysexits.h: a worker's way to say that waiting may help."""
EXIT_USAGE = 2

log = logging.getLogger("orders.supervisor")


def backoff_s(crashes: int) -> float:
    """The pause before starting a worker again after so many crashes in a row, in seconds."""
    return 0.0 if crashes <= 1 else min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (crashes - 2))


class RefusedError(Exception):
    """A first worker could not start, and another would fare no better; it has said why."""

    def __init__(self, code: int) -> None:
        super().__init__(f"a worker could not start: exit code {code}")
        self.code = code


class Watch:
    """Tells a worker that hangs from one that is busy, or that starts on a busy machine."""

    def __init__(self, beats: float, now_s: float) -> None:
        """From its start on; `beats` is its pulse then."""
        self._beats = beats
        self._longest_s = STARTED_WITHIN_S
        self._silent_since_s = self._looked_s = now_s

    def is_hung(self, beats: float, now_s: float) -> bool:
        """Whether it has shown no sign of life for too long; asked every `LOOK_EVERY_S`."""
        # Where this process stood still itself, as in a paused container, so did the worker.
        was_away = now_s - self._looked_s > 2 * LOOK_EVERY_S
        self._looked_s = now_s
        if beats != self._beats:
            self._beats, self._longest_s, self._silent_since_s = beats, HUNG_AFTER_S, now_s
        elif was_away:
            self._silent_since_s = now_s
        return now_s - self._silent_since_s > self._longest_s


class Slot:
    """One worker's place: its socket and its block of metrics outlive the processes that fill it."""

    def __init__(
        self,
        number: int,
        listener: socket.socket,
        config: Config,
        metrics: SharedMetrics,
        supervision: Supervision,
    ) -> None:
        self.ready = asyncio.Event()
        self._number = number
        self._listener = listener
        self._config = config
        self._metrics = metrics
        self._supervision = supervision
        self._process: Process | None = None
        self._stopping = asyncio.Event()
        self._replacing = False
        self._was_ready = False
        self._drill: Drill | None = None

    @property
    def pid(self) -> int | None:
        """The worker's process id; None while no process runs."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process else None

    async def run(self) -> None:
        """Keep a worker in this slot until `stop`. Raises RefusedError if the first one cannot start."""
        crashes = 0
        clock = asyncio.get_running_loop().time
        while not self._stopping.is_set():
            started = clock()
            code = await self._run_once()
            self._metrics.blocks[self._number].clear_gauges()
            if code > 0 and code != EXIT_TEMPORARY and not self._was_ready:
                raise RefusedError(code)
            if self._replacing:
                self._replacing = False
            elif not self._stopping.is_set():
                crashes = 1 if clock() - started > HEALTHY_AFTER_S else crashes + 1
                await self._pause_after_crash(crashes, code)

    async def _pause_after_crash(self, crashes: int, code: int) -> None:
        self._supervision.restarts += 1
        log.error("worker %d ended with %s; starting it again", self._number, _ending(code))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), backoff_s(crashes))

    async def _run_once(self) -> int:
        try:
            process = await self._spawn()
        except OSError as error:
            log.error("worker %d cannot be started: %s", self._number, error)
            return EXIT_FAILURE
        self._process = process
        if self._stopping.is_set():
            process.terminate()
        assert process.stdout is not None  # noqa: S101 - asked for as a pipe
        watch = asyncio.create_task(self._kill_when_it_hangs(process))
        try:
            if await process.stdout.readline() == b"ready\n":
                self._was_ready = True
                self.ready.set()
            return await process.wait()
        finally:
            watch.cancel()

    async def _kill_when_it_hangs(self, process: Process) -> None:
        """Kill a worker whose event loop stands still, until cancelled."""
        pulse, clock = self._metrics.blocks[self._number].pulse, asyncio.get_running_loop().time
        watch = Watch(pulse.beats, clock())
        while not watch.is_hung(pulse.beats, clock()):
            await asyncio.sleep(LOOK_EVERY_S)
        log.error("worker %d hangs: its event loop stands still; it is killed", self._number)
        process.kill()

    async def _spawn(self) -> Process:
        descriptors = (self._listener.fileno(), self._metrics.descriptor)
        command = [sys.executable, "-m", "target_service.worker", "--parent", str(os.getpid())]
        command += ["--slot", str(self._number), "--listen-fd", str(descriptors[0])]
        command += ["--metrics-fd", str(descriptors[1])]
        # A process group of its own: Ctrl-C in a terminal must reach the supervisor only.
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, pass_fds=descriptors, process_group=0
        )
        assert process.stdin is not None  # noqa: S101 - asked for as a pipe
        process.stdin.write(msgspec.json.encode(self._config) + b"\n")
        if self._drill is not None:
            process.stdin.write(msgspec.json.encode(self._drill) + b"\n")
        return process

    def set_drill(self, drill: Drill) -> None:
        """Have the worker, and those after it, meet these faults."""
        self._drill = drill
        process = self._process
        if process is not None and process.stdin is not None and process.returncode is None:
            process.stdin.write(msgspec.json.encode(drill) + b"\n")

    def stop(self) -> None:
        """Have the worker drain and end; no other takes its place."""
        self._stopping.set()
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the worker at once; no other takes its place."""
        self._stopping.set()
        self._signal(signal.SIGKILL)

    async def replace(self) -> None:
        """Have the worker drain and put a new one in its place; returns when that is ready."""
        self.ready.clear()
        self._replacing = True
        self._signal(signal.SIGTERM)
        await self.ready.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


async def supervise(config: Config) -> int:
    """Run the service until it is told to stop; returns the exit code. Raises AddressInUseError."""
    listeners = bind_shared(config.host, config.port, config.workers, BACKLOG)
    admin_socket = bind(config.admin_host, config.admin_port, backlog=ADMIN_BACKLOG)
    supervision = Supervision(lambda: [slot.pid for slot in slots if slot.pid])
    metrics = SharedMetrics.create(config.workers)
    slots = [Slot(n, listener, config, metrics, supervision) for n, listener in enumerate(listeners)]

    def set_drill(drill: Drill) -> None:
        for slot in slots:
            slot.set_drill(drill)

    if config.drill:
        set_drill(read_drill(config.drill))
    stop, hangup = _on_signals()
    running = [asyncio.create_task(slot.run()) for slot in slots]
    replacing: asyncio.Task[None] | None = None
    admin: web.AppRunner | None = None
    try:
        # Imported while the workers start: it takes as long as they do.
        from target_service.admin import start_admin  # noqa: PLC0415

        admin = await start_admin(admin_socket, config, metrics, supervision, set_drill)
        await _until(_all_ready(slots), running, stop)
        if not stop.is_set():
            _say(f"admin {url_of(config.admin_host, admin_socket)}")
            _say(f"ready {url_of(config.host, listeners[0])}")
            replacing = asyncio.create_task(_replace_all(slots, hangup))
            await _until(stop.wait(), running, stop)
        supervision.is_stopping = True
        for listener in listeners:
            listener.close()
        return await _drain(slots, running, config.drain_s)
    except RefusedError as refusal:
        return refusal.code
    finally:
        for slot in slots:
            slot.kill()
        if replacing is not None:
            replacing.cancel()
        if admin is not None:
            await admin.cleanup()
        _ignore_signals()


def _on_signals() -> tuple[asyncio.Event, asyncio.Event]:
    """What SIGTERM and SIGINT set, and what SIGHUP sets."""
    stop, hangup = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number, event in zip(SIGNALS, (stop, stop, hangup), strict=True):
        loop.add_signal_handler(number, event.set)
    return stop, hangup


def _ignore_signals() -> None:
    """Let no further signal spoil a clean end: the loop would give each back its default when it closes."""
    for number in SIGNALS:
        asyncio.get_running_loop().remove_signal_handler(number)
        signal.signal(number, signal.SIG_IGN)


async def _replace_all(slots: list[Slot], hangup: asyncio.Event) -> None:
    """Replace the workers one after another whenever it is asked for."""
    while True:
        hangup.clear()
        await hangup.wait()
        for slot in slots:
            await slot.replace()


async def _until(
    event: Coroutine[Any, Any, object], running: list[asyncio.Task[None]], stop: asyncio.Event
) -> None:
    """Wait until something is so, or the service is told to stop; raises what a slot failed with."""
    waited = {asyncio.create_task(event), asyncio.create_task(stop.wait())}
    try:
        await asyncio.wait({*waited, *running}, return_when=asyncio.FIRST_COMPLETED)
        for slot in running:
            if slot.done():
                slot.result()
    finally:
        for task in waited:
            task.cancel()


async def _all_ready(slots: list[Slot]) -> None:
    for slot in slots:
        await slot.ready.wait()


async def _drain(slots: list[Slot], running: list[asyncio.Task[None]], drain_s: float) -> int:
    for slot in slots:
        slot.stop()
    _, late = await asyncio.wait(running, timeout=drain_s + KILL_AFTER_S)
    if late:
        log.error("%d workers did not end within %g s and were killed", len(late), drain_s + KILL_AFTER_S)
    return 1 if late else 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
