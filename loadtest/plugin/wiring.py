"""The event handlers: what each of Locust's events makes the harness do."""

import os
from argparse import ArgumentError, Namespace
from typing import TYPE_CHECKING, Any

from gevent.event import Event
from locust import events
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import MasterRunner, Runner, WorkerRunner

from loadtest.configuration.config_error import ConfigError
from loadtest.configuration.run_config import RunConfig
from loadtest.configuration.run_document import DocumentError, from_environment
from loadtest.drive import serving
from loadtest.environment import MASTER_LOST, RUNS_FOLDER_VARIABLE
from loadtest.fleet.early_messages import hold_early_messages, release_early_messages
from loadtest.fleet.full_queue import drop_what_finds_no_room
from loadtest.fleet.heartbeat import dial_for_a_minute, has_lost_its_master, keep_steady
from loadtest.fleet.messages import Trouble
from loadtest.fleet.run_token import secure
from loadtest.fleet.token import TokenError, token_in
from loadtest.fleet.transport import TO_WORKER, listen, send_to_master
from loadtest.plugin.early_end import end_as_usual, refuse
from loadtest.plugin.habits import INIT_RAISED, forget_listeners_error, listener_raised, who_stops
from loadtest.plugin.imports import import_early
from loadtest.plugin.options import add_options, plan_named
from loadtest.plugin.same_names import NOT_READ, TAKEN, Names
from loadtest.plugin.work import Worker

if TYPE_CHECKING:
    from loadtest.plugin.leading import Leading

LOOPBACK = "127.0.0.1"
READY_TIMEOUT_S = 30


class Plugin:
    """What this process takes part in; one in a process, because Locust's events are global."""

    def __init__(self) -> None:
        self.default_plan: str | None = None
        self.worker = Worker()
        self.leading: Leading | None = None
        """The leader's part, in a process that leads."""
        self._base: RunConfig | None = None
        """What `singlesday` asks of this process, if it started it."""
        self._parser: LocustArgumentParser | None = None
        """The first that was made: later ones draw the form."""
        self._names: Names | None = None
        self._ready = Event()

    def add_options(self, parser: LocustArgumentParser, **_: Any) -> None:
        """Offer our options, import the plan's modules, and keep Locust's ports on loopback unless told otherwise."""
        first = self._parser is None
        if first:
            self._parser = parser
            try:
                self._base = from_environment()
            except DocumentError as error:
                refuse(error)
        try:
            add_options(parser, self.default_plan, self._base)
        except ArgumentError as error:  # of a script that had its own before it imported us
            refuse(ConfigError("plan", f"{error}: {TAKEN}"))
        names = Names(parser)
        parser.set_defaults(master_bind_host=LOOPBACK, web_host=LOOPBACK)
        if first:
            self._names = names
            hold_early_messages()
            if RUNS_FOLDER_VARIABLE in os.environ:  # `singlesday worker` has greeted the master
                dial_for_a_minute()
            import_early(self._base.plan_name if self._base else plan_named(self.default_plan), parser)
            events.init.add_listener(self.after_init)  # last: by now the scripts have added theirs
        try:
            secure(token_in(os.environ), refuse)
        except TokenError as error:
            refuse(error)

    def on_init(self, environment: Environment, runner: Runner, **_: Any) -> None:
        """Take over the pool and the connection; stop here if the plan cannot be played."""
        serving.install()
        keep_steady()
        drop_what_finds_no_room()
        options = environment.parsed_options
        if options is None:
            return
        if not isinstance(runner, WorkerRunner) and self._has_something_to_lead(environment, options):
            self.leading = self._to_lead()
            self.leading.begin(environment, runner, options)
            _end_last(environment, self.on_quitting)
        if not isinstance(runner, MasterRunner) and (self.leading or isinstance(runner, WorkerRunner)):
            listen(runner, TO_WORKER, lambda _, message: self.worker.on_message(message))
        self._ready.set()

    def after_init(self, environment: Environment, **_: Any) -> None:
        """Check what is asked for, once the script's own `init` listeners were heard: one may have set the host."""
        if listener_raised():  # what it was to prepare is missing
            refuse(ConfigError("plan", INIT_RAISED))
        self._refuse_names_taken()
        release_early_messages(environment.runner)
        options = environment.parsed_options
        if self.leading and options is not None and (options.headless or options.autostart):
            try:
                self.leading.check(environment, options)
            except ConfigError as error:
                refuse(error)
        end_as_usual()

    def _refuse_names_taken(self) -> None:
        """End the process where a script's own argument has the place of an option that is needed."""
        free = NOT_READ if self._base is not None and not self._base.web else ()
        if self._names is not None and (taken := self._names.taken(but=free)):
            refuse(ConfigError("plan", taken))

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
        runner = environment.runner
        if isinstance(runner, WorkerRunner):
            reason = who_stops()
            for run_id in self.worker.run_ids if reason.startswith("the script") else ():
                send_to_master(runner, Trouble(run_id, reason))
        elif self.leading is not None:
            self.leading.stop(environment)

    def on_test_stop(self, environment: Environment, **_: Any) -> None:
        """Let go of the users."""
        self.worker.end(environment)

    def on_quitting(self, environment: Environment, **_: Any) -> None:
        """End with the verdict's exit code, after the last report was sent."""
        self.worker.end(environment)
        if RUNS_FOLDER_VARIABLE in os.environ and has_lost_its_master(environment.runner):
            environment.process_exit_code = MASTER_LOST
        if self.leading is not None:
            self.leading.quit(environment)

    def _to_lead(self) -> "Leading":
        from loadtest.plugin.leading import Leading  # noqa: PLC0415 - workers go without it

        assert self._parser is not None  # noqa: S101 - there are no options without one
        return Leading(self._parser, self._base)

    def _has_something_to_lead(self, environment: Environment, options: Namespace) -> bool:
        """Whether there is a plan, or users that wait for one; closed-loop scripts are Locust's alone."""
        return bool(options.plan) or any(map(serving.serves_arrivals, environment.user_classes))


def _end_last(environment: Environment, listener: Any) -> None:
    """Have our listener hear `quitting` after a script's own, which Locust calls in reverse order."""
    environment.events.quitting.remove_listener(listener)
    environment.events.quitting._handlers.insert(0, listener)


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
