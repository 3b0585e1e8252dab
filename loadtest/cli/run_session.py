"""A run of `singlesday run` while it is played: its configuration and its processes."""

import secrets
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import psutil
from rich.console import Console

from loadtest.cli.children import Child
from loadtest.cli.cores import Cores
from loadtest.cli.crew import Crew
from loadtest.cli.service import Service
from loadtest.configuration.run_config import RunConfig, ServiceAddress
from loadtest.configuration.run_document import as_environment
from loadtest.environment import ALLOW_HOSTS_VARIABLE, CTRL_C, SERVICE_TOKEN_VARIABLE
from loadtest.exit_codes import ExitCode
from loadtest.fleet.checkpoint import Checkpoint

STOP_GRACE_S = 15


class RunError(Exception):
    """The run could not be started or went wrong beyond a verdict."""

    code = ExitCode.INTERNAL_ERROR


class NothingToJudgeError(RunError):
    """The target answered nothing that a rate could be judged by."""

    code = ExitCode.INVALID


@dataclass(slots=True)
class Session:
    """The children of one run, and whether somebody asked it to stop."""

    config: RunConfig
    """With the folder of the run, or of the runs of the web UI."""
    console: Console
    resumed: Checkpoint | None = None
    """Where to go on, for a run that was interrupted."""
    lock: int | None = None
    """The descriptor that holds the folder of such a run."""
    service_environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that the order service gets besides ours."""
    service: Service | None = None
    probe: "subprocess.Popen[bytes] | None" = None
    master: Child | None = None
    crew: Crew | None = None
    interrupts: int = 0
    asked_by: signal.Signals = signal.SIGTERM
    """The first signal that asked to stop, as the master understands it."""
    inherited: tuple[int, ...] = ()
    """What every child holds open too: the run's lock."""
    cores: Cores = field(default_factory=Cores)
    """What generator and service run on, where the run has both."""
    fault_token: str = ""
    """What it takes to have the order service make faults; empty where no plan can ask for any."""

    def __post_init__(self) -> None:
        if self.config.plan.faults or self.config.web:
            self.fault_token = secrets.token_urlsafe(32)

    def start_service(self) -> None:
        """Start the order service that is to be the target. Raises `ServiceError`."""
        config, log = self.config, self.folder / "service.log"
        self.service = Service(
            config.store or f"sqlite:///{(self.folder / 'orders.db').resolve()}",
            log,
            workers=config.service_workers,
            fault_token=self.fault_token,
            inherits=self.inherited,
            cores=self.cores.service,
            environment=self.service_environment,
        )
        supervisor = psutil.Process(self.service.child.process.pid)
        address = ServiceAddress(
            self.service.url,
            self.service.metrics_url,
            supervisor.pid,
            supervisor.create_time(),
            str(log.resolve()),
        )
        self.config = config.but(service=address)

    @property
    def folder(self) -> Path:
        """The run's folder; for the web UI, of all its runs."""
        return Path(self.config.folder or self.config.out)

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which processes find the configuration and know which hosts may be loaded."""
        hosts = list(self.config.allowed)
        allowed = {ALLOW_HOSTS_VARIABLE: ",".join(hosts)} if hosts else {}
        token = {SERVICE_TOKEN_VARIABLE: self.fault_token} if self.fault_token else {}
        return as_environment(self.config, self.folder) | allowed | token

    @property
    def who_stopped(self) -> str:
        """The signal that asked to stop, by the name that people know: Ctrl-C or SIGTERM."""
        return "Ctrl-C" if self.asked_by is CTRL_C else self.asked_by.name

    def interrupt(self, number: int, _frame: FrameType | None) -> None:
        """Ask the master to end the run; on the second signal, do not wait for it."""
        self.interrupts += 1
        if self.interrupts == 1:
            self.asked_by = CTRL_C if number == signal.SIGINT else signal.Signals(number)
        if self.probe is not None:
            self.probe.terminate()
        if self.master is not None:
            self.master.send(self.asked_by if self.interrupts == 1 else signal.SIGKILL)
        elif self.interrupts > 1:
            raise KeyboardInterrupt

    def close(self) -> None:
        """End every child that is left."""
        if self.master is not None:
            self.master.stop(STOP_GRACE_S)
        if self.crew is not None:
            self.crew.stop(timeout_s=3)
        if self.service is not None:
            self.service.stop()
