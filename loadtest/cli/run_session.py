"""What a run of `singlesday run` was asked to be, and the processes it consists of while it goes on."""

import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from rich.console import Console

from loadtest.cli.children import Child
from loadtest.cli.service import Service
from loadtest.cli.settings import RunSettings
from loadtest.environment import ALLOW_HOSTS_VARIABLE
from loadtest.fleet.checkpoint import Checkpoint
from loadtest.plan.plan_file import Plan

STOP_GRACE_S = 15


class RunError(Exception):
    """The run could not be started or went wrong beyond a verdict."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the command line asked for, checked."""

    plan: Plan
    plan_flags: list[str]
    """The flags, for Locust, that make this plan: its name and what was overridden."""
    workers: int
    service_workers: int
    folder: Path
    console: str
    auto_peak: bool = False
    store: str | None = None
    targets: list[str] = field(default_factory=list)
    slos: list[str] = field(default_factory=list)
    allow_hosts: list[str] = field(default_factory=list)
    web: bool = False
    web_port: int = 8089
    metrics_port: int | None = None
    remote_write: str | None = None
    """Where to push the run's metrics."""
    service_metrics: str | None = None
    """The Prometheus page of a target that is not our own service."""
    csv: bool = False
    """Whether to leave Locust's own CSV files in the run folder too."""
    checkpoint_s: float = 60.0
    resumed: Checkpoint | None = None
    """Where to go on, for a run that was interrupted; `plan_flags` and `slos` are empty then."""
    lock: int | None = None
    """The descriptor that holds the folder of such a run."""

    @property
    def allowed(self) -> dict[str, str]:
        """The variable that tells processes which hosts beyond loopback may be loaded."""
        hosts = [*self.plan.targets, *self.allow_hosts]
        return {ALLOW_HOSTS_VARIABLE: ",".join(hosts)} if hosts else {}

    @property
    def settings(self) -> RunSettings:
        """What `singlesday resume` needs to go on with this run."""
        return RunSettings(
            workers=self.workers,
            service_workers=self.service_workers,
            store=self.store,
            targets=self.targets,
            allow_hosts=self.allow_hosts,
            service_metrics=self.service_metrics,
            csv=self.csv,
            checkpoint_s=self.checkpoint_s,
        )


@dataclass(slots=True)
class Session:
    """The children of one run, and whether somebody asked it to stop."""

    options: RunOptions
    console: Console
    service: Service | None = None
    probe: "subprocess.Popen[bytes] | None" = None
    master: Child | None = None
    workers: list[Child] = field(default_factory=list)
    interrupts: int = 0
    inherited: tuple[int, ...] = ()
    """What every child holds open too: the run's lock."""

    def interrupt(self, _number: int, _frame: FrameType | None) -> None:
        """Ask the master to end the run; on the second signal, do not wait for it."""
        self.interrupts += 1
        if self.probe is not None:
            self.probe.terminate()
        if self.master is not None:
            self.master.send(signal.SIGTERM if self.interrupts == 1 else signal.SIGKILL)
        elif self.interrupts > 1:
            raise KeyboardInterrupt

    def close(self) -> None:
        """End every child that is left."""
        if self.master is not None:
            self.master.stop(STOP_GRACE_S)
        for worker in self.workers:
            worker.send(signal.SIGTERM)
        for worker in self.workers:
            worker.stop(timeout_s=3)
        if self.service is not None:
            self.service.stop()
