"""What a process that leads runs has besides: the doors at which they are asked for, the signals and ports, its end.

A worker never imports this: reports, pages and dashboards would be half of what it takes to start one.
"""

import logging
import os
import signal
import sys
from argparse import Namespace
from collections.abc import Mapping
from types import FrameType
from typing import Any

import gevent
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import MasterRunner, Runner
from locust.stats import CSV_STATS_INTERVAL_SEC
from rich.console import Console

from loadtest.configuration.config_error import ConfigError
from loadtest.configuration.run_config import RunConfig
from loadtest.drive.shape import PlanShape, PoolDispatcher
from loadtest.environment import CTRL_C
from loadtest.exit_codes import ExitCode
from loadtest.fleet.bundle import Bundle
from loadtest.fleet.control_port import guard
from loadtest.fleet.greeting import PlanFiles
from loadtest.fleet.messages import SERVED_ANOTHER, Hello, Refuse
from loadtest.fleet.relayed import dismiss_relays, listen_to_relays
from loadtest.fleet.transport import TO_MASTER, listen, send_to_worker
from loadtest.plugin import start_preview
from loadtest.plugin.auditing import Auditor
from loadtest.plugin.early_end import refuse
from loadtest.plugin.habits import forget_listeners_error, listener_raised, what_does_not_count, who_stops
from loadtest.plugin.leader import Leader, console_of, wait_while
from loadtest.plugin.led_run import LedRun
from loadtest.plugin.options import (
    FORM_OPTIONS,
    check_own_fields,
    check_shape,
    check_target_field,
    config_of,
    own_fields,
    plans_on_offer,
    sources_of,
)
from loadtest.plugin.progress import LOCUSTS_OWN, show_progress
from loadtest.plugin.publishers import PortError, Publishers
from loadtest.publish.start_page import Preview, Refusal, StartPage

ANNOUNCE_POLL_S = 0.5
STOPPING_S = 5.0
"""How long a start waits for Locust to be through with the run before."""

logger = logging.getLogger(__name__)


class Leading:
    """The leader's part of the plugin; `parser` made the options, `base` is what `singlesday` asks for."""

    def __init__(self, parser: LocustArgumentParser, base: RunConfig | None) -> None:
        self.leader = Leader(self._follow)
        self._parser = parser
        self._base = base
        self._auditor = Auditor()
        self._publishers = Publishers(lambda: self.leader.run, self._auditor.busy_with)
        self._runner: Runner | None = None
        self._signal = ""
        self._json = False
        """Whether standard output is for Locust's figures as JSON."""
        self._by_hand = False
        """Whether people start the runs, in the web UI."""

    def begin(self, environment: Environment, runner: Runner, options: Namespace) -> None:
        """Take over the pool, the connection and the ports; ends the process where one is in use."""
        self._runner = runner
        if self._base is not None:
            _take_over(self._base, options, environment)
        if ignored := what_does_not_count(options, environment):
            logger.warning("%s", ignored)
        self._auditor.store = options.audit_store
        self._json = options.json
        self._by_hand = not (options.headless or options.autostart)
        self._hear_signals(runner, options)
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
                own_fields=own_fields(self._parser),
            )
        except PortError as error:
            refuse(error)

    def check(self, environment: Environment, options: Namespace) -> None:
        """Check what is asked for on the command line. Raises `ConfigError`."""
        options.host = environment.host or options.host
        self.leader.take(self._config(environment, options), environment)

    def stop(self, environment: Environment) -> None:
        """Deliver before Locust kills the users, whoever asked it to stop."""
        self.leader.stop(self._signal or who_stops())
        if isinstance(environment.shape_class, PlanShape):
            environment.shape_class.forget()

    def quit(self, environment: Environment) -> None:
        """End with the verdict's exit code, after the last report was sent."""
        if isinstance(environment.runner, MasterRunner):
            dismiss_relays(environment.runner)
        run, options = self.leader.run, environment.parsed_options
        if run is None or options is None:
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
            check_own_fields(self._parser, options, form)
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
        parser, base = self._parser, self._base
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
            check_own_fields(self._parser, options, form)
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
        sources = sources_of(self._parser, options)
        available = list(environment.available_user_classes or {})
        return config_of(options, sources, form, base=self._base, available=available)

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
        elif isinstance(message, Hello) and message.zero_wall_ns and self._runner is not None:
            send_to_worker(self._runner, worker, Refuse(message.run_id, SERVED_ANOTHER, anew=True))


def _take_over(base: RunConfig, options: Namespace, environment: Environment) -> None:
    """Let Locust and this process's own doors know what `singlesday` asks for."""
    environment.host = options.host = base.host
    options.expect_workers = base.workers
    if base.workers_elsewhere:  # the log is a file: who was refused is for whoever waits too
        logging.getLogger("loadtest.fleet").addHandler(logging.StreamHandler())
    for name in ("console", "metrics_port", "remote_write", "audit_store", "out"):
        setattr(options, name, getattr(base, name))
