"""Faults of the order service's processes: killed, stopped for a while, or told to end and begun anew.

Only the supervisor that the run started, and its children, are ever sent a signal. A process is known by its number
and the instant of its creation, so that no other that was given the number since is taken for it.

A worker that ends is replaced by its supervisor. A supervisor has nobody who does that (a killed one takes its
workers along: the kernel ends them with it), so it is started again here after `for`, by its own command line and
environment and on the same ports, as a service manager would.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
from functools import partial
from threading import Timer
from urllib.parse import urlsplit

import psutil

from loadtest.faults.maker import FaultError, Maker
from loadtest.faults.messages import ServiceProcess, Token
from loadtest.faults.service_faults import ServiceFaults
from loadtest.parent import die_with_parent
from loadtest.plan.fault import Fault

WORKER = "target_service.worker"
GONE_WITHIN_S = 15.0
READY_WITHIN_S = 30.0
"""A supervisor that is not ready by then is ended: the fault has failed."""
_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP, "restart": signal.SIGTERM}
_DONE = {"kill": "killed", "stop": "stopped", "restart": "told to end"}


class RunningService:
    """The order service as it runs now: its supervisor may have been started again."""

    def __init__(self, service: ServiceProcess) -> None:
        self._service = service
        self.supervisor = _known(service.pid, service.created_s)
        self._started: subprocess.Popen[bytes] | None = None

    def worker(self) -> psutil.Process:
        """One of its workers: the first that lives. Raises `FaultError`."""
        with contextlib.suppress(psutil.Error):
            for child in self.supervisor.children():
                if WORKER in child.cmdline():
                    return child
        raise FaultError("the order service has no worker that lives")

    def command(self) -> list[str]:
        """How to start it again, on the ports that it has. Raises `FaultError`."""
        try:
            command = self.supervisor.cmdline()
        except psutil.Error as error:
            raise FaultError(f"how the supervisor was started cannot be read ({error})") from error
        for flag, url in (("--port", self._service.url), ("--admin-port", self._service.admin_url)):
            if flag in command:
                command[command.index(flag) + 1] = str(urlsplit(url).port)
        return command

    async def start_again(self, command: list[str], environment: dict[str, str] | None) -> None:
        """Start the supervisor again unless one of ours lives; returns when it answers. Raises `FaultError`."""
        if self._started is not None and self._started.poll() is None:
            return
        if _runs(self.supervisor):
            return
        await asyncio.to_thread(self._start, command, environment)

    def _start(self, command: list[str], environment: dict[str, str] | None) -> None:
        with open(self._service.log, "ab") as log:
            self._started = subprocess.Popen(  # noqa: S603 - the command line of our own service
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509 - it only asks the kernel
            )
        assert self._started.stdout is not None  # noqa: S101 - asked for as a pipe
        late = Timer(READY_WITHIN_S, self._started.kill)
        late.start()
        try:
            for line in self._started.stdout:
                if line.startswith(b"ready "):
                    self.supervisor = psutil.Process(self._started.pid)
                    return
        finally:
            late.cancel()
        raise FaultError(f"the order service could not be started again; see {self._service.log}")

    def close(self) -> None:
        """End what was started here, and wait until it has drained."""
        if self._started is not None and self._started.poll() is None:
            self._started.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._started.wait(GONE_WITHIN_S)


class ProcessFault(Maker):
    """A signal to one of its processes."""

    def __init__(self, fault: Fault, service: RunningService, service_faults: ServiceFaults) -> None:
        """`service_faults` hear when the supervisor, which they are told to, is not there."""
        self._fault = fault
        self._service = service
        self._service_faults = service_faults
        self._environment: dict[str, str] | None = None

    def check(self) -> None:
        """Raises `FaultError` unless the processes can be seen."""
        self._service.command()
        self._service.worker()

    async def begin(self) -> tuple[str, Token]:
        """Send the signal; to a service that is still on its way back from a crash as soon as it is there."""
        if not _runs(self._service.supervisor):
            await self._service_faults.up()
        supervisor = self._fault.process == "supervisor"
        process = self._service.supervisor if supervisor else self._service.worker()
        token: Token = {"pid": process.pid, "created_s": process.create_time()}
        if supervisor and self._fault.kind != "stop":
            token["command"] = list(self._service.command())
            self._environment = process.environ()
        workers = self._service.supervisor.children() if supervisor else []
        if supervisor:
            await self._service_faults.goes_down()
        _send(process, _SIGNALS[self._fault.kind])
        if supervisor and self._fault.kind != "stop":
            await _ended([process, *workers])
        return f"{self._fault.process} {process.pid} was {_DONE[self._fault.kind]}", token

    async def undo(self, token: Token) -> None:
        """Let a stopped process go on, start a supervisor that ended again; a worker has one who does that."""
        if self._fault.kind == "stop":
            # It was killed meanwhile, or never sent the signal: there is nothing to undo.
            with contextlib.suppress(FaultError, KeyError):
                _send(_known(_whole(token["pid"]), _number(token["created_s"])), signal.SIGCONT)
        elif self._fault.process == "supervisor":
            command = token.get("command")
            try:
                await self._service.start_again(
                    command if isinstance(command, list) else [], self._environment
                )
            except Exception:
                with contextlib.suppress(FaultError):  # who waits for it hears that it does not answer
                    await self._service_faults.is_back()
                raise
        if self._fault.process == "supervisor":
            await self._service_faults.is_back()


async def _ended(processes: list[psutil.Process]) -> None:
    """Wait until none of them runs; who has ended and was not yet waited for by its parent does not."""
    deadline_s = asyncio.get_running_loop().time() + GONE_WITHIN_S
    while asyncio.get_running_loop().time() < deadline_s:
        if not any(_runs(process) for process in processes):
            return
        await asyncio.sleep(0.02)
    raise FaultError("the order service did not end when it was told to")


def _runs(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _known(pid: int, created_s: float) -> psutil.Process:
    """The process of that number, if it is the one that was created then. Raises `FaultError`."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        if abs(process.create_time() - created_s) < 1.0:
            return process
    raise FaultError(f"process {pid} is not there any more")


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)  # psutil looks whether it is still the same process
    except psutil.Error as error:
        raise FaultError(f"process {process.pid} could not be sent {number.name} ({error})") from error


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
