"""The event handlers: what each of Locust's events makes the harness do."""

import logging
import os
import signal
import sys
from argparse import Namespace
from collections.abc import Mapping
from types import FrameType
from typing import Any, NoReturn

import gevent
from gevent.event import Event
from locust import events
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import MasterRunner, Runner, WorkerRunner
from locust.stats import CSV_STATS_INTERVAL_SEC
from rich.console import Console

from loadtest.configuration.config_error import ConfigError
from loadtest.configuration.run_config import RunConfig
from loadtest.configuration.run_document import DocumentError, from_environment
from loadtest.drive import serving
from loadtest.drive.shape import PlanShape, PoolDispatcher
from loadtest.environment import CTRL_C, RUNS_FOLDER_VARIABLE
from loadtest.exit_codes import ExitCode
from loadtest.fleet.bundle import Bundle
from loadtest.fleet.control_port import guard
from loadtest.fleet.greeting import PlanFiles
from loadtest.fleet.heartbeat import dial_for_a_minute, keep_steady
from loadtest.fleet.messages import Trouble
from loadtest.fleet.relayed import dismiss_relays, listen_to_relays
from loadtest.fleet.run_token import secure
from loadtest.fleet.token import token_in
from loadtest.fleet.transport import TO_MASTER, TO_WORKER, listen, send_to_master
from loadtest.plugin import start_preview
from loadtest.plugin.auditing import Auditor
from loadtest.plugin.early_end import end_as_usual
from loadtest.plugin.habits import (
    INIT_RAISED,
    forget_listeners_error,
    listener_raised,
    what_does_not_count,
    who_stops,
)
from loadtest.plugin.imports import import_early
from loadtest.plugin.leader import Leader, console_of, wait_while
from loadtest.plugin.led_run import LedRun
from loadtest.plugin.options import (
    FORM_OPTIONS,
    add_options,
    check_own_fields,
    check_shape,
    check_target_field,
    config_of,
    own_fields,
    plan_named,
    plans_on_offer,
    sources_of,
)
from loadtest.plugin.progress import LOCUSTS_OWN, show_progress
from loadtest.plugin.publishers import PortError, Publishers
from loadtest.plugin.work import Worker
from loadtest.publish.start_page import Preview, Refusal, StartPage

LOOPBACK = "127.0.0.1"
READY_TIMEOUT_S = 30
ANNOUNCE_POLL_S = 0.5
STOPPING_S = 5.0
"""How long a start waits for Locust to be through with the run before."""

logger = logging.getLogger(__name__)


class Plugin:
    """What this process takes part in; one in a process, because Locust's events are global."""

    def __init__(self) -> None:
        self.default_plan: str | None = None
        self.leader = Leader(self._follow)
        self.worker = Worker()
        self._base: RunConfig | None = None
        """What `singlesday` asks of this process, if it started it."""
        self._parser: LocustArgumentParser | None = None
        """The first that was made: later ones draw the form."""
        self._leads = False
        self._ready = Event()
        self._auditor = Auditor()
        self._publishers = Publishers(lambda: self.leader.run, self._auditor.busy_with)
        self._signal = ""
        self._json = False
        """Whether standard output is for Locust's figures as JSON."""
        self._by_hand = False
        """Whether people start the runs, in the web UI."""

    def add_options(self, parser: LocustArgumentParser, **_: Any) -> None:
        """Offer our options, import the plan's modules, and keep Locust's ports on loopback unless told otherwise."""
        first = self._parser is None
        if first:
            self._parser = parser
            try:
                self._base = from_environment()
            except DocumentError as error:
                refuse(error)
        add_options(parser, self.default_plan, self._base)
        parser.set_defaults(master_bind_host=LOOPBACK, web_host=LOOPBACK)
        if first:
            if RUNS_FOLDER_VARIABLE in os.environ:  # `singlesday worker` has greeted the master
                dial_for_a_minute()
            import_early(self._base.plan_name if self._base else plan_named(self.default_plan), parser)
            events.init.add_listener(self.after_init)  # last: by now the scripts have added theirs
        secure(token_in(os.environ), refuse)

    def on_init(self, environment: Environment, runner: Runner, **_: Any) -> None:
        """Take over the pool and the connection; stop here if the plan cannot be played."""
        serving.install()
        keep_steady()
        options = environment.parsed_options
        if options is None:
            return
        if not isinstance(runner, WorkerRunner) and self._has_something_to_lead(environment, options):
            self._leads = True
            self._lead(environment, runner, options)
        if not isinstance(runner, MasterRunner) and (self._leads or isinstance(runner, WorkerRunner)):
            listen(runner, TO_WORKER, lambda _, message: self.worker.on_message(message))
        self._ready.set()

    def after_init(self, environment: Environment, **_: Any) -> None:
        """Check what is asked for, once the script's own `init` listeners were heard: one may have set the host."""
        if listener_raised():  # what it was to prepare is missing
            refuse(ConfigError("plan", INIT_RAISED))
        options = environment.parsed_options
        if self._leads and options is not None and (options.headless or options.autostart):
            options.host = environment.host or options.host
            try:
                self.leader.take(self._config(environment, options), environment)
            except ConfigError as error:
                refuse(error)
        end_as_usual()

    def on_test_start(self, environment: Environment, **_: Any) -> None:
        """Begin our part of the run.

        A worker that joins a running test is told to start while Locust still makes its runner, so it waits for
        that: users spawned before would find nobody to serve.
        """
        if environment.runner is None and getattr(environment.parsed_options, "worker", False):
            self._ready.wait(READY_TIMEOUT_S)
        forget_listeners_error()
        runner, options = environment.runner, environment.parsed_options
        if runner is None or options is None or "singlesday_config" not in options:
            return
        if not isinstance(runner, MasterRunner):
            config = RunConfig.from_json(options.singlesday_config.encode())
            self.worker.begin(environment, runner, config, *options.singlesday_run)

    def on_test_stopping(self, environment: Environment, **_: Any) -> None:
        """Deliver before Locust kills the users, whoever asked it to stop."""
        reason = self._signal or who_stops()
        runner = environment.runner
        if isinstance(runner, WorkerRunner):
            for run_id in self.worker.run_ids if reason.startswith("the script") else ():
                send_to_master(runner, Trouble(run_id, reason))
            return
        self.leader.stop(reason)
        if isinstance(environment.shape_class, PlanShape):
            environment.shape_class.forget()

    def on_test_stop(self, environment: Environment, **_: Any) -> None:
        """Let go of the users."""
        self.worker.end(environment)

    def on_quitting(self, environment: Environment, **_: Any) -> None:
        """End with the verdict's exit code, after the last report was sent."""
        self.worker.end(environment)
        if isinstance(environment.runner, MasterRunner):
            dismiss_relays(environment.runner)
        run, options = self.leader.run, environment.parsed_options
        if run is None or options is None or isinstance(environment.runner, WorkerRunner):
            self._publishers.close()
            return
        self.leader.stop(self._signal or who_stops())
        self._auditor.wait()
        self._publishers.close()  # before the verdict is shown: what could not be pushed is noted in it
        self._set_exit_code(environment, run.delivery.exit_code)
        if self._by_hand or not run.config.conducted:  # else `singlesday` says it, with its audit
            run.delivery.announce(console_of(options))
        if options.csv_prefix:
            # Locust's writer goes round once more: it would end up to a round before the run did.
            gevent.sleep(CSV_STATS_INTERVAL_SEC * 1.2)

    def why_not(
        self, environment: Environment, options: Namespace, form: Mapping[str, str]
    ) -> dict[str, str] | None:
        """Why the web form cannot start a run, for the form; None if it can."""
        try:
            self._check_idle(environment)
            check_own_fields(self._parser_of_options(), options, form)
            check_shape(form)
            config = self._config(environment, options, form)
            check_target_field(options, form, config)
            self.leader.take(config, environment)
        except ConfigError as error:
            return {
                "message": str(error),
                "field": error.field,
                "expected": error.expected,
                "nearest": error.nearest,
            }
        return None

    def start_page(self, options: Namespace) -> StartPage:
        """What the start page begins with."""
        parser, base = self._parser_of_options(), self._base
        fixed = ", ".join(base.addresses) if base is not None else ""
        values = {name: str(value) for name in FORM_OPTIONS if (value := getattr(options, name)) is not None}
        return StartPage(
            plans=[start_preview.choice(name) for name in plans_on_offer(parser)],
            values=values | ({"host": options.host} if options.host else {}),
            fixed_target=fixed,
            own=[
                start_preview.own_field(name, action, getattr(options, name, None))
                for name, action in own_fields(parser).items()
            ],
        )

    def preview(self, environment: Environment, options: Namespace, form: Mapping[str, str]) -> Preview:
        """The plan as the form's fields ask for it, or the first field that cannot be used; nothing is prepared."""
        try:
            check_own_fields(self._parser_of_options(), options, form)
            config = self._config(environment, options, form)
            shown = start_preview.preview(config, form)
            check_target_field(options, form, config)
        except ConfigError as error:
            return Preview(error=Refusal(field=error.field, message=str(error), nearest=error.nearest))
        return shown

    def _check_idle(self, environment: Environment) -> None:
        if self.leader.going:
            raise ConfigError("plan", "A run is going on: stop it, or wait for its end.")
        if not wait_while(lambda: environment.runner and environment.runner.shape_greenlet, STOPPING_S):
            # Until its greenlet is gone, Locust takes a start for an edit of the old run, and starts nothing.
            raise ConfigError("plan", "The last run is still being stopped: try again in a moment.")
        if isinstance(environment.runner, MasterRunner) and not environment.runner.worker_count:
            raise ConfigError("workers", "No worker has joined yet: start one with `locust --worker`.")

    def _config(
        self, environment: Environment, options: Namespace, form: Mapping[str, str] | None = None
    ) -> RunConfig:
        """What is asked for, by whichever door. Raises `ConfigError`."""
        sources = sources_of(self._parser_of_options(), options)
        available = list(environment.available_user_classes or {})
        return config_of(options, sources, form, base=self._base, available=available)

    def _parser_of_options(self) -> LocustArgumentParser:
        assert self._parser is not None  # noqa: S101 - there are no options without one
        return self._parser

    def _has_something_to_lead(self, environment: Environment, options: Namespace) -> bool:
        """Whether there is a plan, or users that wait for one; closed-loop scripts are Locust's alone."""
        return bool(options.plan) or any(map(serving.serves_arrivals, environment.user_classes))

    def _lead(self, environment: Environment, runner: Runner, options: Namespace) -> None:
        if self._base is not None:
            _take_over(self._base, options, environment)
        if ignored := what_does_not_count(options, environment):
            logger.warning("%s", ignored)
        self._auditor.store = options.audit_store
        self._json = options.json
        self._by_hand = not (options.headless or options.autostart)
        self._hear_signals(runner, options)
        _end_last(environment, self.on_quitting)
        environment.dispatcher_class = PoolDispatcher
        shape = PlanShape()
        shape.runner = runner
        shape.prepare = lambda: self._prepare(environment, runner)
        shape.is_over = lambda: self.leader.over
        environment.shape_class = shape
        if environment.web_ui is not None:
            # With `--class-picker`, Locust takes the shape away with each start.
            environment.web_ui._update_shape_class = lambda _name: None  # type: ignore[method-assign]
        if options.console != LOCUSTS_OWN:
            logging.getLogger("locust.stats_logger").setLevel(logging.WARNING)
        if isinstance(runner, MasterRunner):
            if self._by_hand:
                self.leader.greeter.plan_files = PlanFiles()  # until somebody chooses a plan
            listen_to_relays(runner, self._on_master_message, self._on_bundle)
            guard(runner, self.leader.greeter.answer)
        listen(runner, TO_MASTER, self._on_master_message)
        try:
            self._publishers.open_metrics(options)
            self._publishers.open_remote_write(options)
            self._publishers.open_web(
                environment,
                options,
                check_start=lambda form: self.why_not(environment, options, form),
                start=lambda: self.start_page(options),
                preview=lambda form: self.preview(environment, options, form),
                own_fields=own_fields(self._parser_of_options()),
            )
        except PortError as error:
            refuse(error)

    def _prepare(self, environment: Environment, runner: Runner) -> int:
        forget_listeners_error()
        return self.leader.prepare(environment, runner)

    def _follow(self, run: LedRun) -> None:
        """Show a run that begins, and audit it when it is over."""
        show_progress(run, Console(stderr=self._json, emoji=False))
        self._auditor.follow(run)
        self._publishers.follow(run)
        if self._by_hand:
            gevent.spawn(self._announce_when_over, run)

    def _announce_when_over(self, run: LedRun) -> None:
        """Say how a run of the web UI ended: whoever started it may look at the terminal alone."""
        while not run.over or self._auditor.busy_with(run):
            gevent.sleep(ANNOUNCE_POLL_S)
        run.delivery.announce(Console(highlight=False, stderr=self._json, emoji=False))

    def _hear_signals(self, runner: Runner, options: Namespace) -> None:
        """End a headless run on a signal, of which Locust would die before; elsewhere only remember which it was."""
        if options.headless:
            for number in (signal.SIGINT, CTRL_C, signal.SIGTERM):
                gevent.signal_handler(number, self._on_signal, runner, number)
            return

        def interrupt(number: int, frame: FrameType | None) -> None:
            self._note_signal(signal.SIGINT)
            signal.default_int_handler(number, frame)

        def pass_on() -> None:
            self._note_signal(CTRL_C)
            os.kill(os.getpid(), signal.SIGTERM)  # which Locust knows

        signal.signal(signal.SIGINT, interrupt)
        gevent.signal_handler(CTRL_C, pass_on)
        gevent.signal_handler(signal.SIGTERM, self._note_signal, signal.SIGTERM)

    def _note_signal(self, number: signal.Signals) -> None:
        """Remember the first signal, by the name that people know."""
        name = "Ctrl-C" if number in (signal.SIGINT, CTRL_C) else number.name
        self._signal = self._signal or f"it was stopped by {name}"

    def _on_signal(self, runner: Runner, number: signal.Signals) -> None:
        if self.leader.run is None:
            if isinstance(
                runner, MasterRunner
            ):  # else workers that wait for the start would wait for a minute
                dismiss_relays(runner)
                runner.quit()
            sys.exit(int(ExitCode.ABORTED))
        self._note_signal(number)
        self.leader.stop(self._signal)

    def _set_exit_code(self, environment: Environment, ours: ExitCode) -> None:
        """The verdict's code; where that is 0, one that the script has set stays, or Locust's for its listeners."""
        own = environment.process_exit_code
        if ours is ExitCode.PASS and own:
            logger.warning("the verdict is PASS; exit code %s is the script's own", own)
        elif ours is ExitCode.PASS and listener_raised():
            logger.warning(
                "the verdict is PASS, but a listener of the script raised; so the exit code is 2, as Locust's"
            )
            environment.process_exit_code = int(ExitCode.USAGE)
        else:
            environment.process_exit_code = int(ours)

    def _on_bundle(self, relay: str, bundle: Bundle) -> None:
        if self.leader.run is not None:
            self.leader.run.on_bundle(relay, bundle)

    def _on_master_message(self, worker: str, message: Any) -> None:
        if self.leader.run is not None:
            self.leader.run.on_message(worker, message)


def _take_over(base: RunConfig, options: Namespace, environment: Environment) -> None:
    """Let Locust and this process's own doors know what `singlesday` asks for."""
    environment.host = options.host = base.host
    options.expect_workers = base.workers
    if base.workers_elsewhere:  # the log is a file: who was refused is for whoever waits too
        logging.getLogger("loadtest.fleet").addHandler(logging.StreamHandler())
    for name in ("console", "metrics_port", "remote_write", "audit_store", "out"):
        setattr(options, name, getattr(base, name))


def _end_last(environment: Environment, listener: Any) -> None:
    """Have our listener hear `quitting` after a script's own, which Locust calls in reverse order."""
    environment.events.quitting.remove_listener(listener)
    environment.events.quitting._handlers.insert(0, listener)


def refuse(error: Exception) -> NoReturn:
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
    events.test_start._handlers.insert(0, _plugin.on_test_start)  # what a script's own raise is told after it
    events.test_stopping.add_listener(_plugin.on_test_stopping)
    events.test_stop.add_listener(_plugin.on_test_stop)
    events.quitting.add_listener(_plugin.on_quitting)
