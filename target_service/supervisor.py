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
from collections.abc import Iterable

import msgspec

from target_service.config import EXIT_FAILURE, EXIT_TEMPORARY, Config
from target_service.faults import Drill, read_drill
from target_service.metrics import RESTARTS, SharedMetrics
from target_service.sockets import bind, bind_shared, url_of

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
KILLED_WITHIN_S = 5.0
"""A worker that the kernel has not ended by then waits for it, as on a dead disk (state D); nobody waits with it."""
ADMIN_WITHIN_S = 2.0
"""How long the admin port's modules wait for the workers: they take a worker's start again of a core."""

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

log = logging.getLogger("orders.supervisor")


def backoff_s(crashes: int) -> float:
    """The pause before starting a worker again after so many crashes in a row, in seconds."""
    return 0.0 if crashes <= 1 else min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (crashes - 2))


def _expect_many_signals() -> None:
    """Have Python print nothing where more signals come than it can note: those that it has noted say enough."""
    masked = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # none may come while nobody notes it
    signal.set_wakeup_fd(signal.set_wakeup_fd(-1), warn_on_full_buffer=False)
    signal.pthread_sigmask(signal.SIG_SETMASK, masked)


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

    def __init__(self, number: int, listener: socket.socket, config: Config, metrics: SharedMetrics) -> None:
        self.ready = asyncio.Event()
        self._number = number
        self._listener = listener
        self._config = config
        self._metrics = metrics
        self._process: Process | None = None
        self._stopping = asyncio.Event()
        self._replacing = False
        self._was_ready = False
        self._drill: Drill | None = None

    @property
    def _running(self) -> Process | None:
        return None if self._process is None or self._process.returncode is not None else self._process

    async def run(self) -> None:
        """Keep a worker in this slot until `stop`. Raises RefusedError if the first one cannot start."""
        crashes = 0
        clock = asyncio.get_running_loop().time
        while not self._stopping.is_set():
            started = clock()
            code = await self._run_once()
            self._metrics.blocks[self._number].clear_gauges()
            if code > 0 and code != EXIT_TEMPORARY and not (self._was_ready or self._stopping.is_set()):
                raise RefusedError(code)
            if self._replacing:
                self._replacing = False
            elif not self._stopping.is_set():
                crashes = 1 if clock() - started > HEALTHY_AFTER_S else crashes + 1
                await self._pause_after_crash(crashes, code)

    async def _pause_after_crash(self, crashes: int, code: int) -> None:
        self._metrics.blocks[self._number].counter(RESTARTS).add()
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
        beats, clock = self._metrics.blocks[self._number].beats, asyncio.get_running_loop().time
        watch = Watch(beats.value, clock())
        while not watch.is_hung(beats.value, clock()):
            await asyncio.sleep(LOOK_EVERY_S)
        log.error("worker %d hangs: its event loop stands still; it is killed", self._number)
        process.kill()

    async def _spawn(self) -> Process:
        descriptors = (self._listener.fileno(), self._metrics.descriptor)
        numbers = map(str, (os.getpid(), self._number, *descriptors))
        command = [sys.executable, "-m", "target_service.worker", *numbers]
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
        if self._running is not None and self._running.stdin is not None:
            self._running.stdin.write(msgspec.json.encode(drill) + b"\n")

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
        if self._running is not None:
            self._running.send_signal(number)


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


class Supervisor:
    """All slots, and the admin port."""

    def __init__(self, config: Config) -> None:
        """Bind the ports. Raises AddressInUseError."""
        self._config = config
        self._listeners = bind_shared(config.host, config.port, config.workers, BACKLOG)
        self._admin_socket = bind(config.admin_host, config.admin_port, backlog=ADMIN_BACKLOG)
        self._metrics = SharedMetrics.create(config.workers)
        self._slots = [
            Slot(number, listener, config, self._metrics) for number, listener in enumerate(self._listeners)
        ]
        self._stopping = asyncio.Event()
        self._settled = asyncio.Event()
        """Set when all workers answer, or are no longer to."""
        self._hangup = asyncio.Event()
        if config.drill:
            self._set_drill(read_drill(config.drill))

    async def run(self) -> int:
        """Run the service until it is told to stop; returns the exit code."""
        loop, code = asyncio.get_running_loop(), 0
        for number, obey in zip(SIGNALS, (self._stop, self._stop, self._hangup.set), strict=True):
            loop.add_signal_handler(number, obey)
        _expect_many_signals()
        try:
            async with asyncio.TaskGroup() as group:
                code = await self._serve(group)
        except* RefusedError as refusals:
            code = next(error.code for error in refusals.exceptions if isinstance(error, RefusedError))
        finally:
            self._kill_all()
            for number in SIGNALS:
                # No further one must spoil a clean end: the loop would give each back its default when it closes.
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_IGN)
        return code

    async def _serve(self, group: asyncio.TaskGroup) -> int:
        running = [group.create_task(slot.run()) for slot in self._slots]
        starting = group.create_task(self._start_and_replace())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._settled.wait(), ADMIN_WITHIN_S)
        from target_service.admin import MOST_CONNECTIONS, admin_api  # noqa: PLC0415
        from target_service.port import Port  # noqa: PLC0415

        api = admin_api(self._config, self._metrics, self._set_drill)
        admin = Port(self._admin_socket, api, MOST_CONNECTIONS, self._config.idle_s)
        tidying = group.create_task(admin.end_unused())
        await self._stopping.wait()
        api.service.draining = True
        starting.cancel()
        code = await self._wait_for_the_end(running)
        tidying.cancel()
        admin.cut()
        return code

    async def _wait_for_the_end(self, running: Iterable[asyncio.Task[None]]) -> int:
        """Wait for workers that were told to stop, and no longer than they may take; returns the exit code."""
        longest_s = self._config.drain_s + KILL_AFTER_S
        _, late = await asyncio.wait(running, timeout=longest_s)
        if not late:
            return 0
        log.error("%d workers did not end within %g s and were killed", len(late), longest_s)
        self._kill_all()
        _, immortal = await asyncio.wait(late, timeout=KILLED_WITHIN_S)
        if immortal:
            log.error(
                "%d workers cannot be killed before the kernel answers them; left behind", len(immortal)
            )
            for each in immortal:
                each.cancel()
        return EXIT_FAILURE

    def _set_drill(self, drill: Drill) -> None:
        for slot in self._slots:
            slot.set_drill(drill)

    def _stop(self) -> None:
        """Have all workers drain, to whom no connection comes any more."""
        for listener in self._listeners:
            listener.close()
        for slot in self._slots:
            slot.stop()
        self._stopping.set()
        self._settled.set()

    def _kill_all(self) -> None:
        for slot in self._slots:
            slot.kill()

    async def _start_and_replace(self) -> None:
        """Say when all workers answer; then replace them one after another whenever it is asked for."""
        for slot in self._slots:
            await slot.ready.wait()
        _say(f"admin {url_of(self._config.admin_host, self._admin_socket)}")
        _say(f"ready {url_of(self._config.host, self._listeners[0])}")
        self._settled.set()
        while True:
            self._hangup.clear()
            await self._hangup.wait()
            for slot in self._slots:
                await slot.replace()


def _say(line: str) -> None:
    with contextlib.suppress(BrokenPipeError):  # whoever started it may not listen any more
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
