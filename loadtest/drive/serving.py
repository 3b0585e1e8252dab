"""Locust users that serve arrivals: the seam between a Locust script and the dispatcher.

A script opts in with one line, whatever its client is:

    class Buyer(FastHttpUser):
        wait_time = open_loop()

Locust runs a user's first task *before* its first `wait_time`, and after every task calls `wait_time` and then
`gevent.sleep`. For an open loop the order must be the other way round: an arrival first, then the task. So
`install` puts `ArrivalTaskSet` in the place of Locust's `DefaultTaskSet`: for users whose `wait_time` is
`open_loop()` it takes an arrival before the first task and spares the sleep after each; all other users behave
as always. Nested task sets call `wait_time` between their tasks, so each of their tasks serves one arrival too.

What a user's requests did is learnt through `Serving.record`, the sink of every client; the greenlet that calls
it tells which user it was, so this works for clients that know nothing of arrivals.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import locust.user.users
from gevent import getcurrent
from locust import User
from locust.env import Environment
from locust.exception import (
    InterruptTaskSet,
    RescheduleTask,
    RescheduleTaskImmediately,
    StopTest,
    StopUser,
)
from locust.user.task import (
    LOCUST_STATE_RUNNING,
    LOCUST_STATE_STOPPING,
    LOCUST_STATE_WAITING,
    DefaultTaskSet,
)

from loadtest.clock import Clock
from loadtest.drive.open_loop import OpenLoop
from loadtest.records import ARRIVAL, TIMED_BESIDES, Arrival, Outcome

_CONTROL_FLOW = (InterruptTaskSet, RescheduleTask, StopUser, StopTest)


@dataclass(slots=True)
class Seat:
    """One user at work: which arrival it serves and how that has gone so far."""

    scenario: int
    arrival: Arrival | None = None
    started_ns: int = 0
    requests: int = 0
    failed: bool = False


class Serving:
    """Connects the users of one process to the dispatcher, for one run.

    `scenarios` maps a user class's name to its index in the plan.
    """

    def __init__(self, loop: OpenLoop, scenarios: Mapping[str, int], clock: Clock) -> None:
        self.loop = loop
        self._scenarios = scenarios
        self._now_ns = clock.now_ns
        self._seats: dict[Any, Seat] = {}
        self._sink: Callable[[Outcome], None] | None = None

    def begin(self, sink: Callable[[Outcome], None]) -> None:
        """Put outcomes into `sink` from now on; what `on_start` sent before is not part of the run."""
        self._sink = sink

    def next_arrival(self, user: User) -> None:
        """Finish the arrival that the calling greenlet serves, if any, and wait for the next."""
        current = getcurrent()
        seat = self._seats.get(current)
        if seat is None:
            seat = self._seats[current] = Seat(self._scenarios[type(user).__name__])
        self.finish(seat, type(user).__name__)
        arrival = self.loop.take(seat.scenario)
        seat.arrival, seat.requests, seat.failed = arrival, 0, False
        seat.started_ns = self._now_ns()
        client: Any = getattr(user, "client", None)
        if hasattr(client, "intended_ns"):
            client.intended_ns = arrival.intended_ns

    def finish(self, seat: Seat, scenario: str) -> None:
        """Count the seat's arrival, and a journey of several requests as an entry of its own."""
        arrival = seat.arrival
        if arrival is None:
            return
        seat.arrival = None
        if seat.requests > 1 and self._sink is not None:
            self._sink(
                Outcome(
                    ARRIVAL,
                    scenario,
                    arrival.intended_ns,
                    seat.started_ns,
                    self._now_ns(),
                    0,
                    "journey" if seat.failed else None,
                )
            )
        self.loop.finish(arrival, failed=seat.failed)

    def leave(self, user: User, *, failed: bool) -> None:
        """The calling greenlet's user stops for good: finish what it serves and forget it."""
        seat = self._seats.pop(getcurrent(), None)
        if seat is not None:
            seat.failed |= failed
            self.finish(seat, type(user).__name__)

    def fail(self) -> None:
        """The arrival that the calling greenlet serves has failed, whatever its requests did."""
        seat = self._seats.get(getcurrent())
        if seat is not None:
            seat.failed = True

    def record(self, outcome: Outcome) -> None:
        """Count one request of the calling greenlet's arrival."""
        seat = self._seats.get(getcurrent())
        if seat is not None:
            seat.requests += outcome.method not in TIMED_BESIDES
            if outcome.error is not None:
                seat.failed = True
        if self._sink is not None:
            self._sink(outcome)

    def intended_ns(self, began_ns: int) -> int:
        """When a request that the calling greenlet began at `began_ns` was meant to start.

        For clients that know nothing of arrivals: the arrival's intent for its first request, else its beginning.
        """
        seat = self._seats.get(getcurrent())
        if seat is None or seat.arrival is None or seat.requests:
            return began_ns
        return seat.arrival.intended_ns


_servings: dict[Environment, Serving] = {}


def attach(environment: Environment, serving: Serving | None) -> None:
    """Let the users of a Locust environment be served by `serving`; None ends that."""
    if serving is None:
        _servings.pop(environment, None)
    else:
        _servings[environment] = serving


def open_loop() -> Callable[[User], float]:
    """A `wait_time` that makes a user class serve arrivals of the plan instead of looping on its own.

    Works for any Locust user class: FastHttpUser of either kind, HttpUser, a gRPC or database user that fires
    `events.request`.
    """

    def wait_for_arrival(user: User) -> float:
        serving = _servings.get(user.environment)
        if serving is None:
            raise StopUser(
                f"{type(user).__name__} has wait_time = open_loop() but no plan is running: "
                "its locustfile must import loadtest.plugin (loadtest/locustfile.py does)"
            )
        serving.next_arrival(user)
        return 0.0

    wait_for_arrival.serves_arrivals = True  # type: ignore[attr-defined]  # how ArrivalTaskSet knows it
    return wait_for_arrival


def serves_arrivals(user_class: type[User]) -> bool:
    """True for a user class whose `wait_time` is `open_loop()`."""
    return getattr(user_class.wait_time, "serves_arrivals", False)


class ArrivalTaskSet(DefaultTaskSet):
    """Locust's root task set, which for users in an open loop takes an arrival before it runs a task."""

    def __init__(self, parent: User) -> None:
        super().__init__(parent)
        self._open = serves_arrivals(type(parent))
        self._first = self._open

    def execute_next_task(self) -> None:
        """Run tasks, each with the wait after it, until one raises; an open loop waits before its first, too.

        Locust's loop would do as well: it calls this once a task. Staying here spares two microseconds of each
        (a queue of one, a draw among one, a sleep of nothing), and what tasks raise goes on to Locust's loop.
        """
        if self._first:
            self._first = False
            self.wait()
        run = self._serve if self._open else self.execute_task
        while True:
            run(self._next_task())
            self.wait()

    def execute_task(self, task: Any) -> None:
        """Run a task: a function, or a nested task set."""
        if type(task) is FunctionType:
            task(self.user)
        else:
            super().execute_task(task)

    def wait(self) -> None:
        """Wait for the next arrival, or for as long as `wait_time` says.

        A wait of nothing lets others run; it is spared where a request of the task has done so already.
        """
        user = self.user
        if user._state == LOCUST_STATE_STOPPING:
            raise StopUser
        user._state = LOCUST_STATE_WAITING
        wait_s = user.wait_time()
        if not self._open and (wait_s > 0 or not _let_others_run(user)):
            self._sleep(wait_s)
        if user._state == LOCUST_STATE_STOPPING:
            raise StopUser
        user._state = LOCUST_STATE_RUNNING

    def _next_task(self) -> Any:
        if self._task_queue:
            return self._task_queue.popleft()
        tasks = self.user.tasks
        return tasks[0] if len(tasks) == 1 else self.get_next_task()

    def _serve(self, task: Any) -> None:
        """Run a task that serves an arrival, and see to the arrival if it raises."""
        try:
            self.execute_task(task)
        except RescheduleTaskImmediately as reschedule:
            # A nested task set ended by interrupt(); its arrival is over, so the next task needs another one.
            raise RescheduleTask from reschedule
        except (StopUser, StopTest):
            self._leave(failed=False)
            raise
        except _CONTROL_FLOW:
            raise
        except Exception:
            self._fail()
            raise

    def _leave(self, *, failed: bool) -> None:
        serving = _servings.get(self.user.environment)
        if serving is not None:
            serving.leave(self.user, failed=failed)

    def _fail(self) -> None:
        serving = _servings.get(self.user.environment)
        if serving is not None:
            serving.fail()


def _let_others_run(user: User) -> bool:
    """Whether a request of our client has, since this was last asked, waited while other greenlets ran."""
    client: Any = getattr(user, "client", None)
    if getattr(client, "let_others_run", False):
        client.let_others_run = False
        return True
    return False


def install() -> None:
    """Have Locust run its users with `ArrivalTaskSet`; harmless when called again."""
    # The seam that the top of this file explains; `User.run` looks the name up there.
    locust.user.users.DefaultTaskSet = ArrivalTaskSet  # type: ignore[attr-defined]
