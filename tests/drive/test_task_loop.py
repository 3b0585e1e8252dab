"""The loop that runs a closed-loop user's tasks: fair to other greenlets, and otherwise as Locust's."""

from collections.abc import Callable
from typing import Any

import gevent
import pytest
from gevent.pool import Group
from locust import User, constant
from locust.env import Environment
from locust.exception import StopUser

from loadtest import FastHttpUser
from loadtest.drive import serving, task_runner
from loadtest.testing import ScriptedServer, always, response_bytes

PATIENCE_S = 60


@pytest.fixture(autouse=True)
def _installed() -> None:
    serving.install()


def run_tasks(base: type[User], host: str, tasks: list[Callable[[Any], None]]) -> list[Exception]:
    """Run one user until a task stops it; returns what Locust's `user_error` told meanwhile."""
    made = type("Tested", (base,), {"host": host, "tasks": tasks, "wait_time": constant(0)})
    environment = Environment(user_classes=[made])
    environment.create_local_runner()
    errors: list[Exception] = []
    listen: Any = environment.events.user_error
    listen.add_listener(lambda exception, **_: errors.append(exception))
    users = Group()
    made(environment).start(users)
    assert users.join(timeout=PATIENCE_S), "the user was not stopped"
    return errors


def stop_after(turns: list[str], others: Callable[[], int]) -> Callable[[Any], None]:
    """A task that ends its user once another greenlet has run, and fails the test if that never happens."""

    def task(_user: Any) -> None:
        turns.append("task")
        if others() or len(turns) > 1000:
            raise StopUser

    return task


def test_user_whose_task_does_nothing_lets_others_run_between_tasks() -> None:
    turns: list[str] = []
    other: list[int] = []
    gevent.spawn(other.append, 1)
    run_tasks(User, "", [stop_after(turns, lambda: len(other))])
    assert other
    assert len(turns) <= 3


def test_user_whose_requests_fail_at_once_lets_others_run_between_tasks(refusing_port: int) -> None:
    turns: list[str] = []
    other: list[int] = []
    stop = stop_after(turns, lambda: len(other))

    def refused(user: Any) -> None:
        assert user.client.get("/").status_code == 0
        if len(turns) == 1:
            gevent.spawn(other.append, 1)
        stop(user)

    run_tasks(FastHttpUser, f"http://127.0.0.1:{refusing_port}", [refused])
    assert other
    assert len(turns) <= 4


def test_wait_of_nothing_is_spared_only_after_a_request_that_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[int] = []
    sent: list[int] = []
    monkeypatch.setattr(task_runner.ArrivalTaskSet, "_sleep", lambda *_: slept.append(len(sent)))

    def task(user: Any) -> None:
        if len(slept) == 2:
            raise StopUser
        if len(sent) < 3:
            assert user.client.get("/").status_code == 200
            sent.append(1)

    with ScriptedServer(always(response_bytes(b"ok"))) as server:
        run_tasks(FastHttpUser, server.url, [task])
    assert slept == [3, 3]


def test_task_that_raises_is_reported_and_the_user_goes_on() -> None:
    turns: list[int] = []

    def task(_user: Any) -> None:
        turns.append(1)
        if len(turns) == 3:
            raise StopUser
        raise ValueError(f"turn {len(turns)}")

    errors = run_tasks(User, "", [task])
    assert [str(error) for error in errors] == ["turn 1", "turn 2"]


def test_user_with_several_tasks_runs_them_all() -> None:
    ran: set[str] = set()

    def note(name: str) -> Callable[[Any], None]:
        def task(_user: Any) -> None:
            ran.add(name)
            if len(ran) == 3:
                raise StopUser

        return task

    run_tasks(User, "", [note("a"), note("b"), note("c")])
    assert ran == {"a", "b", "c"}
