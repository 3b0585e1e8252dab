"""What the tests of arrivals share: a run on virtual time, and users that serve its arrivals."""

from collections.abc import Callable
from typing import Any

import gevent
import gevent.event
from gevent.pool import Group
from locust import User
from locust.env import Environment

from loadtest.drive.open_loop import OpenLoop
from loadtest.drive.recorder import recorder_for
from loadtest.drive.request_events import RequestEvents
from loadtest.drive.serving import Serving, Sinks, attach, install, open_loop
from loadtest.drive.start import ArrivalStream, Assignment
from loadtest.measure.second import OpenSeconds, Second
from loadtest.records import Outcome
from loadtest.virtual_time import VirtualClock
from tests.drive.test_open_loop import in_hub, total_of

MS = 1_000_000
S = 1_000 * MS


class Run:
    """A run of arrivals at given offsets (ns), served by the users of one class."""

    def __init__(self, user_class: type[User], offsets: list[int]) -> None:
        self.clock = VirtualClock()
        self.environment = Environment(user_classes=[user_class], events=None)
        self.runner = self.environment.create_local_runner()
        self.outcomes: list[Outcome] = []
        self.script_errors: list[tuple[str, str, str]] = []
        self.loop = OpenLoop(
            transactions=[True], patience_ns=10 * S, clock=self.clock, timer=self.clock.timer
        )
        self.serving = Serving(self.loop, {user_class.__name__: 0}, self.clock)
        self.open_seconds = OpenSeconds(self.clock.now_ns() + S)
        self._offsets = offsets
        self._class = user_class
        self.users = Group()
        install()
        attach(self.environment, self.serving)
        self.recorder = recorder_for(self.environment)
        self.recorder.sink = self.serving.record
        self.events = RequestEvents(self.environment, self.recorder, self.serving, self.clock)
        self.events.open()

    def start(self, users: int = 1) -> None:
        """Start users, let each come to its first wait, and begin handing out arrivals."""
        for _ in range(users):
            user = self._class(self.environment)
            user.start(self.users)
        gevent.idle()
        stream = ArrivalStream(lambda *_: iter([(offset, 0) for offset in self._offsets]), 3_600 * S)
        stream.extend(3_600 * S)
        stream.assign(Assignment(0, 1, 0, 0))
        self.serving.begin(Sinks(self._record, self.open_seconds.give_up, self.script_errors.append))
        self.loop.begin(stream, self.open_seconds)

    def _record(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self.open_seconds.record(outcome)

    def advance_to(self, offset_ns: int) -> None:
        """Let time pass up to an offset from time zero, and everything that is ready run."""
        in_hub(lambda: self.clock.advance_to(self.open_seconds.zero_ns + offset_ns))
        gevent.idle()

    def total(self) -> Second:
        """Everything that was counted."""
        return total_of(self.open_seconds)

    def close(self) -> None:
        """End it."""
        self.loop.close()
        self.users.kill()
        self.events.close()
        self.recorder.close()
        attach(self.environment, None)
        self.runner.greenlet.kill()


Start = Callable[[type[User], list[int]], Run]


def play(run: Start, user_class: type[User], arrivals: int, users: int = 1) -> tuple[Run, Second]:
    """Serve so many arrivals, a millisecond apart; what was counted in the end."""
    one = run(user_class, [n * MS for n in range(arrivals)])
    one.start(users)
    one.advance_to(S)
    with gevent.Timeout(60):  # for what the script does in real time: its own waits, its own greenlets
        while one.loop.in_flight:
            gevent.sleep(0.001)
    return one, one.total()


class Serves(User):
    """What all users here have in common."""

    abstract = True
    wait_time = open_loop()


def fire(
    user: User, name: str, took_ms: float, exception: Any = None, start_time: float | None = None
) -> None:
    """What a client of somebody else's does when a request has ended."""
    user.environment.events.request.fire(
        request_type="RPC",
        name=name,
        response_time=took_ms,
        response_length=7,
        exception=exception,
        context={},
        response=None,
        start_time=start_time,
        url=None,
    )
