"""The worker's side of runs: one `WorkerRun` after another, each made from the document that the master sent."""

import logging
import os
from pathlib import Path

from locust.env import Environment
from locust.runners import Runner, WorkerRunner

from loadtest.configuration.config_error import ConfigError
from loadtest.configuration.run_config import RunConfig
from loadtest.drive.run_context import RunContext, enter_run
from loadtest.drive.targets import AllowedTargets, set_allowed_targets
from loadtest.drive.tracing import Tracer
from loadtest.environment import PLAN_FOLDER_VARIABLE, RUNS_FOLDER_VARIABLE
from loadtest.fleet.journal import Journal
from loadtest.fleet.messages import Message, Trouble
from loadtest.fleet.transport import send_to_master
from loadtest.plugin.imports import add_user_classes, told, told_of_init
from loadtest.plugin.time_slice import ask_for_short_slices
from loadtest.plugin.worker import WorkerRun

logger = logging.getLogger(__name__)


class Worker:
    """This process's part in runs; idle between them."""

    def __init__(self) -> None:
        self._runs: list[WorkerRun] = []
        """The run that goes on, or none."""

    @property
    def run_ids(self) -> list[str]:
        """The run that this process serves, or none."""
        return [run.run_id for run in self._runs]

    def begin(
        self, environment: Environment, runner: Runner, config: RunConfig, run_id: str, folder: str
    ) -> None:
        """Serve a run; one that went on is let go of."""
        self.end(environment)
        config, folder = as_found_here(config, run_id, folder)
        events = environment.events
        try:
            with told_of_init(environment), told(events.test_start, environment=environment):
                add_user_classes(environment, config)
        except ConfigError as error:
            logger.error("%s", error)
            send_to_master(runner, Trouble(run_id, str(error)))
            return
        guard_targets(config)
        tag_requests(environment, run_id)
        plan = config.plan
        worker = max(getattr(runner, "worker_index", 0), 0)
        tracer = Tracer(plan.trace_fraction) if plan.trace_fraction else None
        ledger = ledger_name(runner)
        context = RunContext(
            run_id,
            plan.seed,
            worker,
            ledger,
            Path(folder),
            tracer,
            workers=config.workers,
            share_of_peak=plan.share_of_peak(),
        )
        enter_run(environment, context)
        ask_for_short_slices()
        journal = Journal(Path(folder), runner.client_id) if isinstance(runner, WorkerRunner) else None
        self._runs = [WorkerRun(environment, runner, config, run_id, journal)]

    def on_message(self, message: Message) -> None:
        """Do what the master says."""
        for run in self._runs:
            run.on_message(message)

    def end(self, environment: Environment) -> None:
        """Send what is still to be sent, and let go of users and ledger; harmless between runs."""
        for run in self._runs:
            run.close()
            enter_run(environment, None)
        self._runs = []


def as_found_here(config: RunConfig, run_id: str, folder: str) -> tuple[RunConfig, str]:
    """The configuration with this machine's paths of plan and folder, where `singlesday worker` was sent its own."""
    plans, runs = os.environ.get(PLAN_FOLDER_VARIABLE), os.environ.get(RUNS_FOLDER_VARIABLE)
    if plans and config.plan_file is not None:
        config = config.but(plan_name=str(Path(plans) / config.plan_file.name))
    return config, str(Path(runs) / run_id) if runs else folder


def guard_targets(config: RunConfig) -> None:
    """Let this process connect to what plan and options allow, and to nothing else."""
    guard = AllowedTargets(AllowedTargets.from_environment().listed | config.allowed)
    if len(config.targets) > 1:
        guard.spread(config.targets[0], config.through or config.targets)
    elif config.through:
        for address, proxy in zip(config.addresses, config.through, strict=True):
            guard.spread(address, [proxy])
    set_allowed_targets(guard)


def tag_requests(environment: Environment, run_id: str) -> None:
    """Mark everything the users will send as load-test traffic (docs/design.md)."""
    for user_class in environment.user_classes:
        if hasattr(user_class, "default_headers"):
            user_class.default_headers = {**(user_class.default_headers or {}), "X-Load-Test": run_id}


def ledger_name(runner: Runner) -> str:
    """A name for this worker's ledger that no other worker of the run has."""
    return str(getattr(runner, "client_id", "local")).rpartition("_")[2][:12] or "local"
