"""The event handlers: which of Locust's moments become which of ours."""

import logging
import os
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event
from locust import events
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import MasterRunner, Runner, WorkerRunner
from locust.stats import CSV_STATS_INTERVAL_SEC

from loadtest.drive import serving
from loadtest.drive.errors import HostNotAllowed
from loadtest.drive.preflight import UnreachableError, check_target
from loadtest.drive.run_context import RunContext, enter_run
from loadtest.drive.shape import PlanShape, PoolDispatcher
from loadtest.drive.targets import AllowedTargets, set_allowed_targets
from loadtest.drive.tracing import Tracer
from loadtest.environment import TOKEN_VARIABLE
from loadtest.exit_codes import ExitCode
from loadtest.fleet import checkpoint as checkpoints
from loadtest.fleet.checkpoint import Checkpoint, CheckpointError
from loadtest.fleet.control_port import guard
from loadtest.fleet.run_token import secure
from loadtest.fleet.transport import TO_MASTER, TO_WORKER, listen
from loadtest.judge.abort import AbortCondition, unless
from loadtest.judge.slo import judgeable
from loadtest.judge.slo_syntax import Slo, SloError, check, parse
from loadtest.plan.plan_file import Plan, PlanError
from loadtest.plan.target_rate import check_target_rate
from loadtest.plugin.auditing import Auditor
from loadtest.plugin.master import MasterRun
from loadtest.plugin.onlookers import DoorError, Onlookers
from loadtest.plugin.options import add_options, plan_from, with_form
from loadtest.plugin.progress import LOCUSTS_OWN, show_progress
from loadtest.plugin.time_slice import ask_for_short_slices
from loadtest.plugin.worker import WorkerRun, add_user_classes
from loadtest.publish.metrics_server import is_loopback
from loadtest.publish.run_folder import RESULT, new_run_folder
from loadtest.stored_books import StoreError, check_store

LOOPBACK = "127.0.0.1"
READY_TIMEOUT_S = 30
STOPPING_S = 5.0
"""How long a start waits for Locust to be through with the run before."""
BAD_INPUT = (PlanError, SloError, HostNotAllowed, UnreachableError, CheckpointError)

logger = logging.getLogger(__name__)


class Plugin:
    """What this process takes part in; one in a process, because Locust's events are global."""

    def __init__(self) -> None:
        self.default_plan: str | None = None
        self.master: MasterRun | None = None
        self.worker: WorkerRun | None = None
        self._prepared: MasterRun | None = None
        self._ready = Event()
        self._auditor = Auditor()
        self._onlookers = Onlookers(lambda: self._prepared or self.master, self._auditor.busy_with)

    def add_options(self, parser: LocustArgumentParser, **_: Any) -> None:
        """Offer our options, and keep Locust's ports on loopback unless a flag says otherwise."""
        add_options(parser, self.default_plan)
        parser.set_defaults(master_bind_host=LOOPBACK, web_host=LOOPBACK)
        secure(os.environ.get(TOKEN_VARIABLE, ""), is_loopback, refuse)

    def on_init(self, environment: Environment, runner: Runner, **_: Any) -> None:
        """Take over the pool and the connection; stop here if the plan cannot be played."""
        serving.install()
        options = environment.parsed_options
        if options is None or not (options.plan or isinstance(runner, WorkerRunner)):
            return
        if not isinstance(runner, WorkerRunner):
            self._lead(environment, runner, options)
        if not isinstance(runner, MasterRunner):
            listen(runner, TO_WORKER, self._on_worker_message)
        self._ready.set()

    def on_test_start(self, environment: Environment, **_: Any) -> None:
        """Begin our part of the run.

        A worker that joins a running test is told to start while Locust still makes its runner, so it waits for
        that: users spawned before would find nobody to serve.
        """
        if environment.runner is None and getattr(environment.parsed_options, "worker", False):
            self._ready.wait(READY_TIMEOUT_S)
        runner, options = environment.runner, environment.parsed_options
        if runner is None or options is None:
            return
        if not isinstance(runner, WorkerRunner) and self._prepared is not None:
            self.master, self._prepared = self._prepared, None
            options.singlesday_plan = self.master.plan.to_json().decode()
            options.singlesday_run = (self.master.info.id, str(self.master.folder))
        if not isinstance(runner, MasterRunner):
            self._work(environment, runner, options)

    def on_test_stopping(self, environment: Environment, **_: Any) -> None:
        """Deliver before Locust kills the users, whoever asked it to stop."""
        for run in (self._prepared, self.master):
            if run is not None and not isinstance(environment.runner, WorkerRunner):
                run.stop("it was stopped by hand or by a signal")
        if isinstance(environment.shape_class, PlanShape):
            environment.shape_class.forget()

    def on_test_stop(self, environment: Environment, **_: Any) -> None:
        """Let go of the users."""
        if self.worker is not None:
            self.worker.close()
            self.worker = None
            enter_run(environment, None)

    def on_quitting(self, environment: Environment, **_: Any) -> None:
        """End with the verdict's code, and never without the last report."""
        if self.worker is not None:
            self.worker.close()
            self.worker = None
            enter_run(environment, None)
        if self.master is not None and not isinstance(environment.runner, WorkerRunner):
            self.master.stop("it was stopped by a signal")
            self._auditor.wait()
            self._onlookers.close()  # before the verdict is shown: what could not be pushed is noted in it
            environment.process_exit_code = int(self.master.exit_code)
            options = environment.parsed_options
            if options is not None and options.headless and options.console == LOCUSTS_OWN:
                self.master.announce()
            if options is not None and options.csv_prefix:
                # Locust's writer goes round once more: it would end up to a round before the run did.
                gevent.sleep(CSV_STATS_INTERVAL_SEC * 1.2)
        else:
            self._onlookers.close()

    def why_not(self, environment: Environment, options: Namespace, form: Mapping[str, str]) -> str | None:
        """Why the web form cannot start a run, in a sentence; None if it can."""
        if self.going:
            return "A run is going on: stop it, or wait for its end."
        if not _has_let_go(environment):
            return "The last run is still being stopped: try again in a moment."
        host = form.get("host") or environment.host
        try:
            plan, *_ = read_plan(with_form(options, form), host)
            check_targets(plan, options, host)
        except BAD_INPUT as error:
            return str(error)
        return None

    @property
    def going(self) -> bool:
        """True from the start of a run until its result is delivered."""
        current = self._prepared or self.master
        return current is not None and not current.over

    def prepare(self, environment: Environment, runner: Runner, options: Namespace) -> int:
        """Make the next run ready to start; how many users it wants over the whole fleet."""
        resumed = checkpoint_of(options)
        plan, slos, aborts = read_plan(options, environment.host, resumed)
        workers = runner.worker_count if isinstance(runner, MasterRunner) else 1
        folder = run_folder(options, plan)
        add_user_classes(environment, plan)
        PoolDispatcher.pool = pool_of(plan, max(workers, 1))
        self._prepared = MasterRun(
            environment,
            runner,
            plan,
            slos,
            aborts,
            folder=folder,
            workers=workers,
            memory_url=options.service_metrics,
            checkpoint_s=options.checkpoint,
            resumed=resumed,
        )
        show_progress(self._prepared, options.console)
        self._auditor.follow(self._prepared)
        self._onlookers.follow(self._prepared)
        return sum(PoolDispatcher.pool.values()) * max(workers, 1)

    def _lead(self, environment: Environment, runner: Runner, options: Namespace) -> None:
        if options.headless:
            try:
                plan, *_ = read_plan(options, environment.host, checkpoint_of(options))
                check_targets(plan, options, environment.host)
                if options.service_metrics:
                    check_target(options.service_metrics, [*plan.targets, *options.allow_host])
            except BAD_INPUT as error:
                refuse(error)
            for number in (signal.SIGINT, signal.SIGTERM):
                gevent.signal_handler(number, self._on_signal, number)
        if options.audit_store:
            try:
                check_store(options.audit_store)
            except StoreError as error:
                refuse(error)
            self._auditor.store = options.audit_store
        environment.dispatcher_class = PoolDispatcher
        shape = PlanShape()
        shape.runner = runner
        shape.prepare = lambda: self.prepare(environment, runner, options)
        shape.is_over = lambda: self.master is not None and self.master.over
        environment.shape_class = shape
        if options.console != "locust":
            logging.getLogger("locust.stats_logger").setLevel(logging.WARNING)
        if isinstance(runner, MasterRunner):
            guard(runner)
        listen(runner, TO_MASTER, self._on_master_message)
        try:
            self._onlookers.open_metrics(options)
            self._onlookers.open_remote_write(options)
            self._onlookers.open_web(
                environment, options, lambda form: self.why_not(environment, options, form)
            )
        except DoorError as error:
            refuse(error)

    def _on_signal(self, number: signal.Signals) -> None:
        """End a headless run; Locust itself would die of SIGTERM until the test is over."""
        if self.master is None:
            sys.exit(int(ExitCode.ABORTED))
        self.master.stop(f"it was stopped by {number.name}")

    def _work(self, environment: Environment, runner: Runner, options: Namespace) -> None:
        if "singlesday_plan" not in options:
            return
        plan = Plan.from_json(options.singlesday_plan.encode())
        run_id, folder = options.singlesday_run
        add_user_classes(environment, plan)
        guard_targets(plan, options, environment.host)
        tag_requests(environment, run_id)
        worker = max(getattr(runner, "worker_index", 0), 0)
        tracer = Tracer(plan.trace_fraction) if plan.trace_fraction else None
        enter_run(environment, RunContext(run_id, plan.seed, worker, book_name(runner), Path(folder), tracer))
        if self.worker is not None:
            self.worker.close()
        ask_for_short_slices()
        self.worker = WorkerRun(environment, runner, plan, run_id, [*plan.slos, *options.slo])

    def _on_master_message(self, worker: str, message: Any) -> None:
        if self.master is not None:
            self.master.on_message(worker, message)

    def _on_worker_message(self, _: str, message: Any) -> None:
        if self.worker is not None:
            self.worker.on_message(message)


def checkpoint_of(options: Namespace) -> Checkpoint | None:
    """The checkpoint to go on from, if that was asked for. Raises `CheckpointError`."""
    if not options.resume:
        return None
    if not (options.run_dir and options.headless):
        raise CheckpointError("--resume: expected together with --run-dir and --headless")
    try:
        return checkpoints.read(Path(options.run_dir))
    except OSError as error:
        raise CheckpointError(
            f"--run-dir {options.run_dir}: no checkpoint there ({error.strerror})"
        ) from error


def read_plan(
    options: Namespace, host: str | None, resumed: Checkpoint | None = None
) -> tuple[Plan, list[Slo], list[AbortCondition]]:
    """The plan, its objectives and what aborts it, checked. Raises one of `BAD_INPUT`."""
    plan = plan_from(options) if resumed is None else Plan.from_json(resumed.plan)
    phases = {phase.name for phase in plan.profile().phases}
    if resumed is None:
        slos = judgeable(map(parse, plan.slos), plan.duration_s) + [parse(expr) for expr in options.slo]
    else:
        slos = [parse(expr) for expr in resumed.slos]
    for slo in slos:
        check(slo, (), phases)
    if not host:
        raise PlanError("--host: expected the address of the service, for example http://127.0.0.1:8080")
    return plan, slos, [unless(expr, plan.abort.after_s) for expr in plan.abort.unless]


def check_targets(plan: Plan, options: Namespace, host: str | None) -> None:
    """Hold every address of the target against the guard rails and see that it answers. Raises `BAD_INPUT`."""
    for url in (host, *options.also):
        check_target(url, [*plan.targets, *options.allow_host])
        check_target_rate(plan, url or "")


def guard_targets(plan: Plan, options: Namespace, host: str | None) -> None:
    """Let this process connect to what plan and options allow, and to nothing else."""
    listed = (
        AllowedTargets.from_environment().listed
        | dict.fromkeys(options.allow_host, float("inf"))
        | plan.targets
    )
    guard = AllowedTargets(listed)
    if host and options.also:
        guard.spread(host, [host, *options.also])
    set_allowed_targets(guard)


def run_folder(options: Namespace, plan: Plan) -> Path:
    """Where the next run goes: `--run-dir` once, then folders beside it, unless a run there is to go on."""
    if not options.run_dir:
        return new_run_folder(Path(options.out), plan.name)
    given = Path(options.run_dir)
    if options.resume:
        return given
    return new_run_folder(given.parent, plan.name) if (given / RESULT).exists() else given


def pool_of(plan: Plan, workers: int) -> dict[str, int]:
    """How many users of each scenario a worker holds: by share of the arrivals, and never none."""
    total = sum(scenario.per_transaction for scenario in plan.scenarios)
    each = plan.virtual_users / workers
    return {
        scenario.user.partition(":")[2]: max(1, round(each * scenario.per_transaction / total))
        for scenario in plan.scenarios
    }


def tag_requests(environment: Environment, run_id: str) -> None:
    """Mark everything the users will send as load-test traffic (DESIGN section 6)."""
    for user_class in environment.user_classes:
        if hasattr(user_class, "default_headers"):
            user_class.default_headers = {**(user_class.default_headers or {}), "X-Load-Test": run_id}


def book_name(runner: Runner) -> str:
    """A name for this worker's ledger that no other worker of the run has."""
    return str(getattr(runner, "client_id", "local")).rpartition("_")[2][:12] or "local"


def refuse(error: Exception) -> None:
    """End the process before any traffic, saying why."""
    sys.stderr.write(f"error: {error}\n")
    sys.stderr.flush()
    sys.exit(int(ExitCode.USAGE))


_plugin = Plugin()


def use_plan(name: str) -> None:
    """The plan that a locustfile plays unless `--plan` names another."""
    _plugin.default_plan = name


def install() -> None:
    """Listen to Locust's events; importing the package does it once."""
    events.init_command_line_parser.add_listener(_plugin.add_options)
    events.init.add_listener(_plugin.on_init)
    events.test_start.add_listener(_plugin.on_test_start)
    events.test_stopping.add_listener(_plugin.on_test_stopping)
    events.test_stop.add_listener(_plugin.on_test_stop)
    events.quitting.add_listener(_plugin.on_quitting)


def _has_let_go(environment: Environment) -> bool:
    """Whether Locust is through with the last run, after waiting for it a little.

    Until its shape's greenlet is gone, Locust takes a start for an edit of the old run: it answers that all is well
    and starts nothing.
    """
    until_s = time.monotonic() + STOPPING_S
    while environment.runner is not None and environment.runner.shape_greenlet is not None:
        if time.monotonic() > until_s:
            return False
        gevent.sleep(0.02)
    return True
