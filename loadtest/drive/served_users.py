"""Users that serve the arrivals of a dispatcher, without a run around them: for a probe of the machine and trials.

Users, task sets, clients and their counting are those of a run; what a run adds is the fleet, reports and ledgers.
What they do is counted only from `count_in` on; before, outcomes go one by one to nowhere, slower than in a run.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import gevent
from gevent.pool import Group
from locust import User
from locust.env import Environment

from loadtest.clock import SystemClock
from loadtest.drive.open_loop import OpenLoop
from loadtest.drive.recorder import recorder_for
from loadtest.drive.request_events import RequestEvents
from loadtest.drive.serving import Dispatcher, Serving, Sinks, attach, serving_of
from loadtest.drive.task_runner import install_task_set
from loadtest.measure.second import OpenSeconds

POLL_S = 0.01


@contextmanager
def served_users(
    environment: Environment, loop: Dispatcher, classes: Sequence[type[User]], of_each: int
) -> Iterator[Group]:
    """Start so many users of each class, whose arrivals come from `loop`; at the end they are killed.

    The scenarios that `loop` hands out are indexes into `classes`.
    """
    clock = SystemClock()
    serving = Serving(loop, {made.__name__: index for index, made in enumerate(classes)}, clock)
    recorder = recorder_for(environment)
    events = RequestEvents(environment, recorder, serving, clock)
    users = Group()
    install_task_set()
    attach(environment, serving)
    recorder.sink = serving.record
    events.open()
    try:
        for user_class in classes:
            for _ in range(of_each):
                user_class(environment).start(users)
        yield users
    finally:
        users.kill()
        events.close()
        recorder.count_in(None, None)
        attach(environment, None)


def all_idle(loop: OpenLoop, users: int, timeout_s: float) -> bool:
    """Wait until so many users have started and wait for arrivals; False where they did not within the time."""
    with gevent.Timeout(timeout_s, False):
        while loop.idle < users:
            gevent.sleep(POLL_S)
    return loop.idle >= users


def count_in(environment: Environment, open_seconds: OpenSeconds) -> None:
    """Count in `open_seconds` from now on what the served users of an environment do, as a run does."""
    serving = serving_of(environment)
    if serving is None:
        raise RuntimeError("no users are served in this environment")
    serving.begin(Sinks(open_seconds.record))
    recorder_for(environment).count_in(open_seconds, serving.record)
