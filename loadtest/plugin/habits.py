"""What plain Locust users expect when a plan is played: which flags and shapes are ignored, and who ended a run."""

import sys
from argparse import Namespace
from pathlib import Path
from types import FrameType

from locust import log
from locust.env import Environment

from loadtest.drive.shape import PlanShape

_FLAGS = {"num_users": "-u", "spawn_rate": "-r", "run_time": "-t", "stop_timeout": "-s"}
_OF_LOCUST = ("/locust/", "/gevent/", "/greenlet/", "/flask/", "/werkzeug/", "/loadtest/", "/concurrent/")
_SEE_WORKERS_LEAVE = {"client_listener", "handle_message", "heartbeat_worker"}

INIT_RAISED = "a listener of the script raised on init; its traceback is in the log"
LISTENER_RAISED = "a listener of the script raised when the test was to start; its traceback is in the log"


def forget_listeners_error() -> None:
    """Forget earlier errors of listeners: a run that could not start may be tried again."""
    log.unhandled_greenlet_exception = False


def listener_raised() -> bool:
    """Whether a listener of the script has raised: Locust logs that and goes on, without whatever it was to do."""
    return log.unhandled_greenlet_exception


def what_does_not_count(options: Namespace, environment: Environment) -> str:
    """A sentence on what was asked for and is ignored because the plan decides it; empty if nothing was."""
    ignored = [flag for name, flag in _FLAGS.items() if getattr(options, name, None)]
    shape = environment.shape_class
    if shape is not None and not isinstance(shape, PlanShape):
        ignored.append(f"the script's {type(shape).__name__}")
    if not ignored:
        return ""
    listed = ", ".join(ignored[:-1]) + (" and " if ignored[:-1] else "") + ignored[-1]
    return f"the plan decides how much load there is and for how long: ignored are {listed}"


def what_is_overridden(environment: Environment, hosts: dict[str, str]) -> str:
    """A sentence on hosts of classes in whose place `--host` counts, as it does for Locust; empty if none is."""
    other = {user: host for user, host in hosts.items() if environment.host and host != environment.host}
    if not other:
        return ""
    listed = ", ".join(f"{user} has {host}" for user, host in other.items())
    return f"--host {environment.host} counts for every class: {listed}"


def who_stops(frame: FrameType | None = None) -> str:
    """Who asks Locust to stop the test right now, told by who called it: a clause for a reason."""
    at: FrameType | None = frame or sys._getframe(1)
    in_the_form = False
    while at is not None:
        file, name = at.f_code.co_filename, at.f_code.co_name
        if file.endswith("locust/web.py") and name == "stop":
            in_the_form = True
        if file.endswith("locust/runners.py") and name in _SEE_WORKERS_LEAVE:
            return "its workers left"
        if file.endswith("locust/main.py"):
            return "it was stopped by hand or by a signal"
        if not in_the_form and not any(part in file for part in _OF_LOCUST) and not file.startswith("<"):
            return f"the script stopped it ({Path(file).name}:{at.f_lineno} in {name})"
        at = at.f_back
    return "it was stopped by hand in the web UI" if in_the_form else "it was stopped by hand or by a signal"
