"""Locust users that serve arrivals: the seam between a Locust script and the dispatcher.

A script opts in with one line, whatever its client is:

    class Buyer(FastHttpUser):
        wait_time = open_loop()

What an arrival is and when it is ok: docs/arrivals.md. Here is who keeps count. Each user has a `UserState`: the
arrival it serves and how that has gone so far; `drive.task_runner` takes an arrival before a task and
finishes it after. What requests did is learnt through `Serving.record`, the sink of every client: the greenlet
that calls it tells whose arrival it was. That is the user's own greenlet, or one that it spawned, directly or
through others (`gevent.spawn`, `Pool.map`, threads): gevent hands `spawn_tree_locals` down, and the state with it.
So this works for clients that know nothing of arrivals.
"""

import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import gevent
from gevent import Greenlet, getcurrent
from gevent.event import Event
from locust import User
from locust.env import Environment
from locust.exception import StopUser

from loadtest.clock import Clock
from loadtest.drive._core import ServingCore, UserState
from loadtest.drive.errors import UnansweredError
from loadtest.drive.script_errors import ENDS_A_GREENLET, bearable, error_text, raised_at
from loadtest.measure.second import EndpointKey, ScriptErrorKey
from loadtest.records import (
    ARRIVAL,
    EMPTY,
    FAILED,
    NOTHING_TO_DO,
    OK,
    SCRIPT_FAILED,
    TIMED_BESIDES,
    UNANSWERED,
    Arrival,
    Outcome,
)

_USER_STATE = "loadtest user state"
_JOURNEY_ERRORS = {FAILED: "journey", SCRIPT_FAILED: "script"}
PER_PASS, PER_TASK = "pass", "task"
"""What one arrival serves where a user's tasks are a SequentialTaskSet."""


DEBUGGED_EVERY_S = 1.0
"""How often a user that waits for arrivals runs a task under `run_single_user`, where there are none."""


@dataclass(slots=True)
class Starts:
    """How many users of a scenario their `on_start` has ended, and what ended the first of them."""

    failed: int = 0
    why: str = ""


@dataclass(slots=True)
class Sinks:
    """Where a run counts what its users do."""

    record: Callable[[Outcome], None]
    give_up: Callable[[EndpointKey, int, int], None] = lambda *_: None
    """(endpoint, intended_ns, at_ns) of an arrival that never got to its request there."""
    script_error: Callable[[ScriptErrorKey], None] = lambda _: None


@dataclass(slots=True)
class Crowd:
    """The users of one process, by scenario."""

    starts: dict[str, Starts] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)
    """How many have ended themselves."""
    asked: set[str] = field(default_factory=set)
    """Scenarios that have made a request in an arrival."""
    silent: set[str] = field(default_factory=set)
    """Scenarios of which an arrival ended without a request that it needed."""


class Dispatcher(Protocol):
    """Who hands out arrivals: the schedule's `OpenLoop`, or a probe's `ClosedLoop`."""

    on_dropped: Callable[[Arrival, int], None] | None

    def take(self, scenario: int) -> Arrival:
        """Wait for the next arrival of a scenario."""

    def finish(self, arrival: Arrival, outcome: str, started_ns: int) -> None:
        """Count an arrival that was served to its end."""


class Serving(ServingCore):
    """Connects the users of one process to the dispatcher, for one run.

    `scenarios` maps a user class's name to its index in the plan.
    """

    def __init__(self, loop: Dispatcher, scenarios: Mapping[str, int], clock: Clock) -> None:
        super().__init__(loop, clock.now_ns)
        self.crowd = Crowd()
        self._scenarios = scenarios
        self._now_ns = clock.now_ns
        self._states: dict[Any, UserState] = {}
        self._sinks: Sinks | None = None
        self._ending = False
        loop.on_dropped = self._note_dropped

    def begin(self, sinks: Sinks) -> None:
        """Count in `sinks` from now on; what `on_start` sent before is not part of the run."""
        self._sinks = sinks
        self._sink = sinks.record

    def state_of(self, user: User) -> UserState:
        """The state of the calling greenlet's user, made on first use; greenlets it spawns from now on inherit it."""
        current = getcurrent()
        state = self._states.get(current)
        if state is None:
            name = type(user).__name__
            client: Any = getattr(user, "client", None)
            state = UserState(self._scenarios[name], name, current)
            state.client = client if hasattr(client, "intended_ns") else None
            state.has_http_client = hasattr(client, "rename_request")  # ours, and Locust's two
            self._states[current] = state
            if isinstance(current, Greenlet):
                current.spawn_tree_locals = {**(current.spawn_tree_locals or {}), _USER_STATE: state}
        return state

    def _finish_other(self, state: UserState, arrival: Arrival) -> None:
        """What else is told of an arrival that made no request, or several."""
        outcome = state.outcome
        if not state.requests:
            if outcome in (EMPTY, SCRIPT_FAILED):
                self.crowd.silent.add(state.name)
        elif self._sink is not None:
            error = _JOURNEY_ERRORS.get(outcome)
            begun_ns, now_ns = state.started_ns, self._now_ns()
            self._sink(Outcome(ARRIVAL, state.name, arrival.intended_ns, begun_ns, now_ns, 0, error))

    def leave(self, state: UserState) -> None:
        """The user stops for good: finish what it serves and forget it."""
        for greenlet in [greenlet for greenlet, held in self._states.items() if held is state]:
            del self._states[greenlet]
        self.finish(state)
        if state.client is not None:
            state.client.user_state = None
        if not self._ending:
            self.crowd.left[state.name] = self.crowd.left.get(state.name, 0) + 1

    def fail(self, state: UserState, error: BaseException) -> None:
        """The script raised while the user served its arrival, which has failed, whatever its requests did."""
        if self._ending:
            return
        if state.outcome is not FAILED:
            state.outcome = SCRIPT_FAILED
        if self._sinks is not None:
            self._sinks.script_error((state.name, error_text(error), raised_at(error)))

    def fail_here(self, error: Exception) -> None:
        """A listener of the script raised in the calling greenlet: the arrival that it serves has failed."""
        state = self._states.get(getcurrent()) or self._inherited(self._now_ns(), 0)
        if state is not None:
            self.fail(state, error)

    def record(self, outcome: Outcome) -> Outcome:
        """Count one request, for the arrival that the calling greenlet serves; returns it as it was counted."""
        state = self._states.get(getcurrent()) or self._inherited(outcome.sent_ns, outcome.intended_ns)
        if state is not None and state.arrival is not None:
            if self._ending:
                state.unanswered = True
                outcome = outcome._replace(error=UNANSWERED)
            if not state.requests:
                outcome = self._claim_intent(state, state.arrival, outcome)
            state.requests += outcome.method not in TIMED_BESIDES
            if outcome.error is not None:
                state.outcome = FAILED
            elif state.outcome is EMPTY:
                state.outcome = OK
        if self._sink is not None:
            self._sink(outcome)
        return outcome

    def intended_ns(self, began_ns: int) -> int:
        """When a request that the calling greenlet began at `began_ns` was meant to start.

        For clients that know nothing of arrivals: the arrival's intent for its first request, else its beginning.
        """
        state = self._states.get(getcurrent()) or self._inherited(began_ns, began_ns)
        if state is None or state.arrival is None or state.requests:
            return began_ns
        if state.client is not None and state.client.intended_ns is None:
            return began_ns  # a request of the user's client, still under way, was the first
        return state.arrival.intended_ns

    def began_before_its_arrival(self, began_ns: int, tolerance_ns: int) -> bool:
        """Whether `began_ns` lies before the arrival that the calling greenlet serves was begun."""
        state = self._states.get(getcurrent())
        return state is not None and state.arrival is not None and began_ns < state.started_ns - tolerance_ns

    def has_http_client(self) -> bool:
        """Whether the calling greenlet belongs to a user that has an HTTP client, ours or one of Locust's."""
        state = self._states.get(getcurrent()) or self._inherited(self._now_ns(), 0)
        return state is not None and state.has_http_client

    def expect(self, user: User) -> None:
        """A user begins: know how its `on_start` ends."""
        starts = self.crowd.starts.setdefault(type(user).__name__, Starts())
        on_start = user.on_start

        def watched() -> None:
            try:
                on_start()
            except (Exception, *ENDS_A_GREENLET) as error:
                starts.failed += 1
                starts.why = starts.why or f"{error_text(error)} ({raised_at(error)})"
                raise bearable(error)  # noqa: B904 - it is the error itself, or made from it

        user.on_start = watched  # type: ignore[method-assign]  # of this one user

    def end(self) -> None:
        """Give what is in flight its end, once the loop is closed: an answer can no longer come in time.

        Whoever waits in a request of an arrival has `UnansweredError` raised there, as if it had timed out: so the
        request goes the way of all others into every figure, with its age, and its user leaves. An arrival that had
        no request in flight is counted where its scenario's first request is, as one that took at least so long.
        """
        current = getcurrent()
        serving = {id(state): state for state in self._states.values() if state.arrival is not None}
        if not serving:
            return
        self._ending = True
        for state in self._states.values():
            if state.client is not None:
                state.client.user_state = None  # from now on each outcome is looked at
        users = [greenlet for greenlet, state in self._states.items() if id(state) in serving]
        children = [greenlet for greenlet in _inheriting(serving) if greenlet not in users]
        waiting = [greenlet for greenlet in (*children, *users) if greenlet is not current]
        done = Event()
        loop = gevent.get_hub().loop
        for greenlet in waiting:
            loop.run_callback(_throw, greenlet)
        loop.run_callback(done.set)
        done.wait()
        for state in serving.values():
            if not state.unanswered and state.arrival is not None:
                self._note_dropped(state.arrival, self._now_ns())
            state.arrival = None
            if state.client is not None:
                state.client.intended_ns = None

    def _inherited(self, sent_ns: int, intended_ns: int) -> UserState | None:
        """The state of the user that spawned the calling greenlet, if the request began within its arrival."""
        spawned: Any = getattr(getcurrent(), "spawn_tree_locals", None)
        state: UserState | None = spawned.get(_USER_STATE) if spawned else None
        if state is None or state.arrival is None:
            return None
        within = sent_ns >= state.started_ns or intended_ns == state.arrival.intended_ns
        return state if within else None

    def _claim_intent(self, state: UserState, arrival: Arrival, outcome: Outcome) -> Outcome:
        """The first request of an arrival: timed from the intent, whichever client sent it."""
        if state.scenario not in self._first_asked and outcome.method not in TIMED_BESIDES:
            self._first_asked[state.scenario] = outcome[:2]
            self.crowd.asked.add(state.name)
        client = state.client
        if client is not None and client.intended_ns is not None and outcome.method not in TIMED_BESIDES:
            client.intended_ns = None
            return outcome._replace(intended_ns=arrival.intended_ns)
        return outcome

    def _note_dropped(self, arrival: Arrival, at_ns: int) -> None:
        """An arrival never got to a request: its wait counts where its scenario's first request does."""
        key = self._first_asked.get(arrival.scenario)
        if key is not None and self._sinks is not None:
            self._sinks.give_up(key, arrival.intended_ns, at_ns)

    def nothing_to_do(self) -> bool:
        """The arrival that the calling greenlet serves needs no request; False if it serves none."""
        state = self._states.get(getcurrent()) or self._inherited(self._now_ns(), 0)
        if state is None or state.arrival is None:
            return False
        if state.outcome is EMPTY:
            state.outcome = NOTHING_TO_DO
        return True


def _inheriting(states: Mapping[int, UserState]) -> list[Greenlet]:
    """The living greenlets that have inherited one of these states: gevent itself keeps no list of them."""
    greenlets = [one for one in gc.get_objects() if isinstance(one, Greenlet) and not one.dead]
    return [one for one in greenlets if id((one.spawn_tree_locals or {}).get(_USER_STATE)) in states]


def _throw(greenlet: Any) -> None:
    if not greenlet.dead:
        greenlet.throw(UnansweredError("no answer when the run ended"))


_servings: dict[Environment, Serving] = {}


def attach(environment: Environment, serving: Serving | None) -> None:
    """Let the users of a Locust environment be served by `serving`; None ends that."""
    if serving is None:
        _servings.pop(environment, None)
    else:
        _servings[environment] = serving


def serving_of(environment: Environment) -> Serving | None:
    """What serves the users of a Locust environment; None while no plan is played."""
    return _servings.get(environment)


def nothing_to_do() -> None:
    """Say, in a task, that this arrival needs no request: it is ok without one, and counts as no transaction.

    An arrival that ends without a request and without this is *empty*: nothing was measured, and it is not ok.
    Harmless outside an arrival, as in a run without a plan.
    """
    for serving in list(_servings.values()):
        if serving.nothing_to_do():
            return


def open_loop(per: str = PER_PASS) -> Callable[[User], float]:
    """A `wait_time` that makes a user class serve arrivals of the plan instead of looping on its own.

    Works for any Locust user class: FastHttpUser of either kind, HttpUser, a gRPC or database user that fires
    `events.request`. One arrival serves one task; of a SequentialTaskSet a whole pass, or with `per="task"` one
    step. docs/arrivals.md has the rest. Raises `ValueError` for another `per`.
    """
    if per not in (PER_PASS, PER_TASK):
        raise ValueError(f'open_loop(per=…): expected "{PER_PASS}" or "{PER_TASK}", got {per!r}')

    def wait_for_arrival(user: User) -> float:
        """Nothing: an arrival is taken before a task, and sets the pace."""
        if user.environment in _servings:
            return 0.0
        if in_debugger(user):
            return DEBUGGED_EVERY_S
        raise no_plan(user)

    wait_for_arrival.serves_arrivals = True  # type: ignore[attr-defined]  # how the task runner knows it
    wait_for_arrival.per = per  # type: ignore[attr-defined]  # likewise
    return wait_for_arrival


def in_debugger(user: User) -> bool:
    """Whether Locust's `run_single_user` runs this user: there is no runner, and nobody to hand out arrivals."""
    return user.environment.runner is None and user.environment not in _servings


def no_plan(user: User) -> StopUser:
    """What stops a user that waits for arrivals where there are none."""
    return StopUser(
        f"{type(user).__name__} has wait_time = open_loop() but no plan is running: "
        "its locustfile must import loadtest.plugin (loadtest/locustfile.py does)"
    )


def serves_arrivals(user_class: type[User]) -> bool:
    """True for a user class whose `wait_time` is `open_loop()`."""
    return getattr(user_class.wait_time, "serves_arrivals", False)


def install() -> None:
    """Have Locust run its users' tasks as `drive.task_runner` does; harmless when called again."""
    from loadtest.drive.task_runner import install_task_set  # noqa: PLC0415 - it needs this module

    install_task_set()
