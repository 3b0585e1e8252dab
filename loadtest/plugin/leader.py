"""Leads the runs of this process, one after another: checks what each is to be, prepares it, and ends it."""

import logging
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from locust.env import Environment
from locust.runners import MasterRunner, Runner
from rich.console import Console

from loadtest.configuration.check import check, objectives_of
from loadtest.configuration.config_error import ConfigError, explained_by
from loadtest.configuration.run_config import RunConfig, public
from loadtest.configuration.run_document import write_document
from loadtest.drive.shape import PoolDispatcher
from loadtest.exit_codes import ExitCode
from loadtest.fleet import checkpoint as checkpoints
from loadtest.fleet.build import build_of
from loadtest.fleet.checkpoint import Checkpoint, CheckpointError
from loadtest.fleet.greeting import Greeter, PlanFiles
from loadtest.judge.slo_syntax import parse
from loadtest.measure.run_result import RESULT
from loadtest.plan.plan_file import Plan
from loadtest.plan.pool import pool_of
from loadtest.plugin.auditing import with_auditor
from loadtest.plugin.fault_play import FaultPlay
from loadtest.plugin.habits import what_is_overridden
from loadtest.plugin.imports import add_user_classes, told_of_init
from loadtest.plugin.led_run import LedRun
from loadtest.plugin.plan_files import plan_files
from loadtest.plugin.states import GOING, LEADER, LeaderEvent, LeaderState, States
from loadtest.publish.run_folder import new_run_folder

logger = logging.getLogger(__name__)


class Leader:
    """The leader's side of runs; `follow` is told of each as it begins."""

    def __init__(self, follow: Callable[[LedRun], None]) -> None:
        self.states = States("leader", LeaderState.IDLE, LEADER)
        self.run: LedRun | None = None
        """The run that goes on, or else the last one."""
        self.greeter = Greeter(build_of())
        """Tells workers of other machines whether they may come, and what the plan needs there."""
        self._follow = follow
        self._config: RunConfig | None = None

    @property
    def going(self) -> bool:
        """True from the start of a run until its result is delivered."""
        return self.states.now in GOING

    @property
    def over(self) -> bool:
        """True once the result of a run is delivered and no other has been checked."""
        return self.states.now is LeaderState.DELIVERED

    def take(self, config: RunConfig, environment: Environment) -> None:
        """Check what the next run is to be. Raises `ConfigError`."""
        if config.resume:
            config = config.but(plan=_plan_of(checkpoint_of(config)))
        with told_of_init(environment):
            self._config = with_auditor(check(config))
        self.greeter.plan_files = (
            plan_files(self._config) if self._may_be_greeted(environment) else PlanFiles()
        )
        self.states.on(LeaderEvent.CHECK)
        add_user_classes(environment, self._config)

    def _may_be_greeted(self, environment: Environment) -> bool:
        """Whether workers elsewhere may ask for the plan's files: not where `singlesday` starts all of them."""
        config = self._config
        alone = config is not None and config.conducted and not config.workers_elsewhere
        return isinstance(environment.runner, MasterRunner) and not alone

    def prepare(self, environment: Environment, runner: Runner) -> int:
        """Make the checked run ready to start; how many users it wants over the whole fleet, 0 if it cannot start."""
        try:
            config = self._to_play(environment, runner)
            resumed = checkpoint_of(config) if config.resume else None
            slos = [parse(expr) for expr in resumed.slos] if resumed is not None else objectives_of(config)
            if not config.one_run:
                write_document(config.but(web=False), Path(config.folder or ""))
            faults = FaultPlay(config, resumed.known_to_s if resumed is not None else 0.0)
            config = config.but(through=faults.through)
            run = LedRun(environment, runner, self.states, config, slos, faults=faults, resumed=resumed)
        except (ConfigError, CheckpointError, OSError) as error:
            logger.error("%s", error)
            environment.process_exit_code = int(ExitCode.USAGE)
            return 0
        self.run = run
        PoolDispatcher.pool = pool_of(config.plan, config.workers)
        _tell_workers(run, environment)
        if overridden := what_is_overridden(environment, config.hosts):
            logger.warning("%s", overridden)
        self._follow(run)
        return sum(PoolDispatcher.pool.values()) * config.workers

    def stop(self, reason: str) -> None:
        """End the run that goes on, if one does, and deliver it."""
        if self.run is not None and self.going:
            self.run.stop(reason)

    def _to_play(self, environment: Environment, runner: Runner) -> RunConfig:
        """The checked configuration with what is only known now. Raises `ConfigError`."""
        config = self._config
        if config is None:
            raise ConfigError("plan", "--plan: expected a plan before a test is started")
        if environment.host and environment.host != config.host:  # a script's own `init` listener has set it
            config = config.but(targets=[environment.host, *config.targets[1:]], service=None)
            self.take(config, environment)
            config = self._config or config
        elif self.over:  # started again by other hands than the form's
            self.states.on(LeaderEvent.CHECK)
        add_user_classes(environment, config)
        workers = max(1, runner.worker_count if isinstance(runner, MasterRunner) else 1)
        return config.but(workers=workers, folder=str(run_folder(config)))


def checkpoint_of(config: RunConfig) -> Checkpoint:
    """The checkpoint to go on from. Raises `ConfigError`."""
    if config.folder is None:
        raise ConfigError("resume", "--resume: expected together with --run-dir and --headless")
    try:
        return checkpoints.read(Path(config.folder))
    except OSError as error:
        raise ConfigError(
            "folder", f"--run-dir {config.folder}: no checkpoint there ({error.strerror})"
        ) from error
    except CheckpointError as error:
        raise explained_by(error, "folder") from error


def run_folder(config: RunConfig) -> Path:
    """Where the next run goes: the given folder once, then folders beside it, unless a run there is to go on."""
    if config.folder is None:
        return new_run_folder(Path(config.out), config.plan.name)
    given = Path(config.folder)
    if config.resume:
        return given
    return new_run_folder(given.parent, config.plan.name) if (given / RESULT).exists() else given


def console_of(options: Namespace) -> Console:
    """The console for people: standard error where standard output carries JSON for programs."""
    programs_read = bool(options.json) or options.console == "json"
    return Console(highlight=False, file=sys.stderr if programs_read else sys.stdout, emoji=False)


def wait_while(condition: Callable[[], object], seconds: float, step_s: float = 0.02) -> bool:
    """Wait until `condition` no longer holds; whether that came in time."""
    with gevent.Timeout(seconds, False):
        while condition():
            gevent.sleep(step_s)
    return not condition()


def _plan_of(checkpoint: Checkpoint) -> Plan:
    return Plan.from_json(checkpoint.plan)


def _tell_workers(run: LedRun, environment: Environment) -> None:
    """Put the run into what Locust sends its workers when a test starts; they need no password."""
    options: Any = environment.parsed_options
    options.singlesday_config = public(run.config).to_json().decode()
    options.singlesday_run = (run.info.id, str(run.folder))
