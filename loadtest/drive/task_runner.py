"""Runs a user's tasks: the one place that does, for a run, for a probe of the machine, for a trial, without a plan.

Locust runs a user's first task *before* its first `wait_time`, and after every task calls `wait_time` and then
`gevent.sleep`. For an open loop the order must be the other way round: an arrival first, then the task. So
`install_task_set` puts `ArrivalTaskSet` in the place of Locust's `DefaultTaskSet`. For users whose `wait_time` is
`open_loop()` it takes an arrival from the environment's `Serving` before a task and finishes it after; all other
users behave as always.

What one arrival serves (docs/arrivals.md):

* a task that is a function: that one call;
* a `SequentialTaskSet`: a whole pass through its steps, whatever they are, with its own waits between them;
  with `open_loop(per="task")` each step;
* any other `TaskSet`: each of its tasks, since it has no end of its own. `interrupt()` takes no arrival: the one
  in hand, if nothing was requested for it yet, goes on to the next task.

A nested task set still runs in Locust's loop, with its own hooks; only `execute_task`, `get_next_task` and `wait` of
that one object are led through here. Its `on_start` comes before its first arrival.
"""

from collections.abc import Callable
from types import FunctionType
from typing import Any

import gevent
import locust.user.users
from locust import SequentialTaskSet, TaskSet, User
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

from loadtest.drive._core import UserState
from loadtest.drive.errors import UnansweredError
from loadtest.drive.script_errors import ENDS_A_GREENLET, bearable
from loadtest.drive.serving import PER_TASK, Serving, in_debugger, no_plan, serves_arrivals, serving_of
from loadtest.records import EMPTY

MOST_INTERRUPTS = 100
"""How often `interrupt()` may hand the same arrival on before it is empty: a task set that only leaves."""


_CHOOSE_FROM_TASKS = (TaskSet.get_next_task, SequentialTaskSet.get_next_task)
"""What needs `tasks`; a MarkovTaskSet has none, and chooses by its own rule."""


class ArrivalTaskSet(DefaultTaskSet):
    """Locust's root task set, which for users in an open loop takes an arrival before it runs a task."""

    def __init__(self, parent: User) -> None:
        super().__init__(parent)
        self._open = serves_arrivals(type(parent)) and not in_debugger(parent)
        serving = serving_of(parent.environment)
        if self._open and serving is not None:
            serving.expect(parent)

    def execute_next_task(self) -> None:
        """Run tasks, each with the wait after it, until one raises; what it raises goes on to Locust's loop.

        Locust's loop would do as well: it calls this once a task. Staying here spares two microseconds of each
        (a queue of one, a draw among one, a sleep of nothing), and a task that is a function is called right here.
        """
        if self._open:
            self._turns().serve_forever()
        user = self.user
        while True:
            task = self.next_task()
            if type(task) is FunctionType:
                task(user)
            else:
                self.execute_task(task)
            self.wait()

    def get_next_task(self) -> Any:
        """A task as Locust chooses it; for an open loop without tasks one that raises what is missing.

        There an arrival has to fail: Locust's loop would go round for ever without one.
        """
        return _without_tasks if self._open and not self.user.tasks else super().get_next_task()

    def execute_task(self, task: Any) -> None:
        """Run a task: a function, or a nested task set."""
        if type(task) is FunctionType:
            task(self.user)
        else:
            super().execute_task(task)

    def wait(self) -> None:
        """Wait for as long as `wait_time` says; not at all in an open loop, where arrivals set the pace.

        A wait of nothing lets others run; it is spared where a request of the task has done so already.
        """
        user = self.user
        if user._state == LOCUST_STATE_STOPPING:
            raise StopUser
        if self._open:
            return
        user._state = LOCUST_STATE_WAITING
        wait_s = user.wait_time()
        if wait_s > 0 or not _let_others_run(user):
            self._sleep(wait_s)
        if user._state == LOCUST_STATE_STOPPING:
            raise StopUser
        user._state = LOCUST_STATE_RUNNING

    def next_task(self) -> Any:
        """The task that is scheduled, else one as Locust chooses it. Raises `Exception` where there are none."""
        if self._task_queue:
            return self._task_queue.popleft()
        tasks = self.user.tasks
        return tasks[0] if len(tasks) == 1 else self.get_next_task()

    def _turns(self) -> "_Turns":
        """This user's turns; made where the user runs, since its greenlet tells whose requests are whose."""
        serving = serving_of(self.user.environment)
        if serving is None:
            raise no_plan(self.user)
        return _Turns(self, serving)


class _Turns:
    """One user's arrivals: when one is taken, what it serves, when it is over."""

    def __init__(self, root: ArrivalTaskSet, serving: Serving) -> None:
        self._root = root
        self._user: User = root.user
        self._serving = serving
        self._state: UserState = serving.state_of(root.user)
        self._by_task = getattr(type(root.user).wait_time, "per", None) == PER_TASK
        self._pass: _Pass | None = None
        """The pass through a sequence that the arrival in hand serves."""
        self._handed_on = 0

    def serve_forever(self) -> None:
        """Serve arrivals with the user's tasks until one raises.

        A task that is a function is `_take` and `_checked`, without the calls: every arrival goes this way.
        """
        user, state, take, finish = self._user, self._state, self._serving.take, self._serving.finish
        next_task = self._root.next_task
        while True:
            task = next_task()
            if type(task) is not FunctionType:
                self._serve_other(task)
            else:
                if state.arrival is None:
                    user._state = LOCUST_STATE_WAITING
                    take(state)
                    if user._state == LOCUST_STATE_STOPPING:
                        raise StopUser
                    user._state = LOCUST_STATE_RUNNING
                try:
                    task(user)
                except Exception as error:
                    self._see_to(error)
                    raise
                except ENDS_A_GREENLET as error:
                    raise self._outlived(error)  # noqa: B904 - it is made from it
                finish(state)
            if state.arrival is None:
                self._handed_on = 0
            if user._state == LOCUST_STATE_STOPPING:
                raise StopUser

    def _serve_other(self, task: Any) -> None:
        """Serve a nested task set until it is left, or something callable that is no function once."""
        try:
            if _is_task_set(task):
                self._enter(task, self._user)
            else:
                if self._state.arrival is None:
                    self._take()
                self._checked(task, self._user)
                self._serving.finish(self._state)
        except (RescheduleTask, RescheduleTaskImmediately):
            if self._state.arrival is None:
                gevent.sleep(
                    0
                )  # a task set whose on_start leaves it at once must not keep others from running

    def _take(self) -> None:
        """Wait for an arrival, as a user that may be stopped meanwhile."""
        user = self._user
        user._state = LOCUST_STATE_WAITING
        self._serving.take(self._state)
        if user._state == LOCUST_STATE_STOPPING:
            raise StopUser
        user._state = LOCUST_STATE_RUNNING

    def _checked(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Call what belongs to the script, and see to its arrival if that raises."""
        try:
            return call(*arguments)
        except Exception as error:
            self._see_to(error)
            raise
        except ENDS_A_GREENLET as error:
            raise self._outlived(error)  # noqa: B904 - it is made from it

    def _outlived(self, error: BaseException) -> Exception:
        """What to raise instead of an `error` that would end the user without a word: its arrival has failed."""
        self._serving.fail(self._state, error)
        self._over()
        return bearable(error)

    def _see_to(self, error: Exception) -> None:
        """What becomes of the arrival in hand when the script raises `error`, which is raised on by the caller."""
        match error:
            case InterruptTaskSet():
                return
            case StopUser() | StopTest():
                self._serving.leave(self._state)
            case RescheduleTask() | RescheduleTaskImmediately():
                self._over()
            case UnansweredError():
                raise gevent.GreenletExit from error  # the run has ended while the script did something else
            case _:
                self._serving.fail(self._state, error)
                self._over()

    def _over(self) -> None:
        """The task is over: so is its arrival, unless it is one step of a pass."""
        if self._pass is None:
            self._serving.finish(self._state)

    def _enter(self, task_set: type[TaskSet], parent: Any) -> None:
        """Run a nested task set until it is left. Raises `RescheduleTask`, `RescheduleTaskImmediately`."""
        nested: Any = task_set(parent)
        steps = None
        if not nested.tasks and task_set.get_next_task in _CHOOSE_FROM_TASKS:
            nested.get_next_task = lambda: _without_tasks
        elif issubclass(task_set, SequentialTaskSet) and self._pass is None and not self._by_task:
            steps = _Pass(nested)
            nested.get_next_task = steps.next_step
        nested.on_start = lambda: self._start(nested)
        nested.on_stop = lambda: self._stop(nested)
        nested.execute_task = lambda task: self._execute_nested(nested, task, steps)
        nested.wait = lambda: self._wait_nested(nested)
        nested.run()

    def _start(self, nested: TaskSet) -> None:
        """Run a nested task set's own `on_start`; one that raises fails an arrival, which it cannot serve."""
        try:
            type(nested).on_start(nested)
        except (InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately):
            raise
        except (StopUser, StopTest):
            self._serving.leave(self._state)
            raise
        except (Exception, *ENDS_A_GREENLET) as error:
            if self._state.arrival is None:
                self._take()
            raise self._outlived(error)  # noqa: B904 - it is the error itself, or made from it

    def _stop(self, nested: TaskSet) -> None:
        """Run a nested task set's own `on_stop`; one that raises is told, and fails what is in hand, if anything is.

        Locust's loop logs it and goes on.
        """
        try:
            type(nested).on_stop(nested)
        except (StopUser, StopTest):
            raise
        except (Exception, *ENDS_A_GREENLET) as error:
            self._serving.fail(self._state, error)
            raise bearable(error)  # noqa: B904 - it is the error itself, or made from it

    def _execute_nested(self, nested: TaskSet, task: Any, steps: "_Pass | None") -> None:
        """Run one task of a nested task set; `steps` where it is one whose passes are served."""
        leaf = not _is_task_set(task)
        if self._state.arrival is None and (leaf or steps is not None):
            self._take()
        if steps is not None:
            self._pass = steps
        try:
            if task is _without_tasks:
                self._checked(type(nested).get_next_task, nested)
            elif leaf:
                self._checked(type(nested).execute_task, nested, task)
            else:
                self._enter(task, nested)
        except InterruptTaskSet:
            self._left(steps)
            raise
        except Exception:
            self._step_done(steps, leaf=leaf)
            raise
        self._step_done(steps, leaf=leaf)

    def _step_done(self, steps: "_Pass | None", *, leaf: bool) -> None:
        if steps is not None:
            if steps.complete:
                self._pass = None
                self._serving.finish(self._state)
        elif self._pass is None and leaf:
            self._serving.finish(self._state)

    def _left(self, steps: "_Pass | None") -> None:
        """A task set is left by `interrupt()`: its arrival is over if it did anything, else it is handed on."""
        if self._pass is not None and self._pass is not steps:
            return  # left is a task set within a step of a pass that goes on
        self._pass = None
        self._handed_on += 1
        if self._state.outcome is not EMPTY or self._handed_on >= MOST_INTERRUPTS:
            self._handed_on = 0
            self._serving.finish(self._state)

    def _wait_nested(self, nested: TaskSet) -> None:
        """A nested task set's own wait, between the steps of a pass; between arrivals there is none."""
        if self._state.arrival is not None:
            type(nested).wait(nested)
        elif self._user._state == LOCUST_STATE_STOPPING:
            raise StopUser


class _Pass:
    """Where a sequence stands: it is through when every step has had its turn and none was put in besides."""

    def __init__(self, sequence: SequentialTaskSet) -> None:
        self._sequence = sequence
        self._taken = 0

    def next_step(self) -> Any:
        """The sequence's own next step."""
        self._taken += 1
        return type(self._sequence).get_next_task(self._sequence)

    @property
    def complete(self) -> bool:
        """True after the last step; after each one where the sequence has no list of them."""
        steps = len(self._sequence.tasks) or 1
        return not self._sequence._task_queue and self._taken % steps == 0


def _without_tasks(user: User) -> None:
    """What stands for a task where there is none. Raises Locust's own complaint."""
    DefaultTaskSet(user).get_next_task()


def _is_task_set(task: Any) -> bool:
    return isinstance(task, type) and issubclass(task, TaskSet)


def _let_others_run(user: User) -> bool:
    """Whether a request of our client has, since this was last asked, waited while other greenlets ran."""
    client: Any = getattr(user, "client", None)
    if getattr(client, "let_others_run", False):
        client.let_others_run = False
        return True
    return False


def install_task_set() -> None:
    """Have Locust run its users with `ArrivalTaskSet`; harmless when called again."""
    # The seam that the top of this file explains; `User.run` looks the name up there.
    locust.user.users.DefaultTaskSet = ArrivalTaskSet  # type: ignore[attr-defined]
