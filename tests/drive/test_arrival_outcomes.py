"""Every way an arrival can end, whichever greenlet did the work: docs/arrivals.md, as tests, on virtual time."""

import threading
from typing import Any

import gevent
import gevent.event
import gevent.pool
import pytest
from locust import User, task
from locust.exception import RescheduleTask, StopUser

from loadtest import nothing_to_do
from loadtest.drive.script_errors import raised_at
from loadtest.records import ARRIVAL
from tests.drive.arrival_runs import MS, S, Serves, Start, fire, play


def test_an_arrival_without_a_request_is_empty_and_not_ok(run: Start) -> None:
    class Idle(Serves):
        @task
        def look(self) -> None:
            pass

    _, total = play(run, Idle, 3)
    assert (total.started, total.ok, total.failed, total.empty) == (3, 0, 0, 3)
    assert (total.transactions_ok, total.transactions_failed) == (0, 3)


def test_an_arrival_that_declares_that_none_is_needed_is_ok_and_no_transaction(run: Start) -> None:
    class Knows(Serves):
        @task
        def look(self) -> None:
            nothing_to_do()

    _, total = play(run, Knows, 3)
    assert (total.ok, total.empty) == (3, 0)
    assert (total.transactions_ok, total.transactions_failed) == (0, 0)


def test_saying_that_nothing_is_to_do_excuses_no_failure(run: Start) -> None:
    class Both(Serves):
        @task
        def look(self) -> None:
            fire(self, "Get", 0.0, ConnectionResetError())
            nothing_to_do()

    _, total = play(run, Both, 1)
    assert (total.ok, total.failed) == (0, 1)


def test_saying_that_nothing_is_to_do_outside_a_run_is_harmless() -> None:
    nothing_to_do()


WAYS = {
    "a greenlet": lambda call: gevent.spawn(call).join(),
    "a greenlet of a greenlet": lambda call: gevent.spawn(lambda: gevent.spawn(call).join()).join(),
    "a pool": lambda call: gevent.pool.Pool(2).map(lambda _: call(), [1]),
    "later": lambda call: gevent.spawn_later(0.001, call).join(),
    "a greenlet whose parent has gone": lambda call: gevent.spawn(gevent.spawn, call).get().join(),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("failing", [False, True])
def test_a_request_counts_for_the_arrival_whichever_greenlet_sent_it(
    run: Start, way: str, failing: bool
) -> None:
    class Spawns(Serves):
        @task
        def look(self) -> None:
            WAYS[way](lambda: fire(self, "Get", 0.0, ConnectionResetError() if failing else None))

    one, total = play(run, Spawns, 3)
    assert (total.ok, total.failed, total.empty) == ((0, 3, 0) if failing else (3, 0, 0))
    assert one.outcomes[0].intended_ns == one.open_seconds.zero_ns, (
        "the first request is timed from the intent"
    )


def test_one_failed_request_of_many_greenlets_fails_the_arrival(run: Start) -> None:
    class Fans(Serves):
        @task
        def look(self) -> None:
            gevent.pool.Pool(5).map(
                lambda n: fire(self, f"Get {n}", 0.0, "broken" if n == 3 else None), range(5)
            )

    one, total = play(run, Fans, 2)
    assert (total.ok, total.failed) == (0, 2)
    journeys = [o for o in one.outcomes if o.method == ARRIVAL]
    assert [o.error for o in journeys] == ["journey", "journey"]


def test_a_request_that_outlives_its_arrival_does_not_count_for_the_next(run: Start) -> None:
    sent: list[gevent.Greenlet] = []

    class Forgets(Serves):
        @task
        def look(self) -> None:
            fire(self, "Get", 0.0)
            began_ns = one.clock.now_ns()
            release = gevent.event.Event()

            def beacon() -> None:
                release.wait()
                took_ms = (one.clock.now_ns() - began_ns) / MS
                fire(self, "Beacon", took_ms, "lost")

            sent.append(gevent.spawn(beacon))
            sent[-1].release = release
            if len(sent) == 2:
                sent[0].release.set()
                gevent.sleep(0.005)

    one = run(Forgets, [0, 50 * MS])
    one.start()
    one.advance_to(10 * MS)
    one.advance_to(S)
    gevent.joinall(sent[:1], timeout=60)
    with gevent.Timeout(60):
        while one.loop.in_flight:
            gevent.sleep(0.001)
    total = one.total()
    assert (total.ok, total.failed) == (2, 0)
    assert [o.name for o in one.outcomes if o.error], "it is a request of the run all the same"
    gevent.killall(sent)


def raising_task(user: User) -> None:
    """A script with a bug in it."""
    raise IndexError("list index out of range")


def test_a_script_that_raises_is_told_from_a_request_that_failed(run: Start) -> None:
    class Broken(Serves):
        tasks = [raising_task]  # noqa: RUF012 - as Locust's users write it

    one, total = play(run, Broken, 2)
    assert (total.failed, total.failed_in_script, total.empty) == (2, 2, 0)
    ((scenario, error, where), again) = one.script_errors
    assert (scenario, error) == ("Broken", "IndexError: list index out of range")
    assert where.startswith("test_arrival_outcomes.py:")
    assert where.endswith(" in raising_task")
    assert again == (scenario, error, where)


def test_a_script_that_raises_because_a_request_failed_is_not_to_blame(run: Start) -> None:
    class Strict(Serves):
        @task
        def look(self) -> None:
            fire(self, "Get", 0.0, ConnectionResetError())
            raise KeyError("id")

    one, total = play(run, Strict, 1)
    assert (total.failed, total.failed_in_script) == (1, 0)
    assert one.script_errors[0][1] == "KeyError: 'id'", "the line is told all the same"


def test_a_mistake_that_the_native_core_finds_is_told_by_the_scripts_line() -> None:
    with pytest.raises(TypeError) as caught:
        exec(compile("raise TypeError('no timeout=')", "loadtest/drive/_core/messenger.pxi", "exec"))  # noqa: S102
    assert raised_at(caught.value).startswith("test_arrival_outcomes.py:")


@pytest.mark.parametrize("raised", [SystemExit(3), gevent.Timeout(0.05)], ids=["sys.exit", "a timeout"])
def test_what_is_no_exception_fails_the_arrival_and_the_user_goes_on(
    run: Start, raised: BaseException
) -> None:
    class Abrupt(Serves):
        @task
        def look(self) -> None:
            fire(self, "Get", 0.0)
            raise raised

    one, total = play(run, Abrupt, 2)
    assert (total.failed, total.failed_in_script, total.cancelled) == (2, 2, 0)
    ((_, text, where), _) = one.script_errors
    assert text.startswith(type(raised).__name__)
    assert where.endswith(" in look")
    assert not one.serving.crowd.left


@pytest.mark.parametrize("raised", [SystemExit(3), gevent.Timeout(0.05)], ids=["sys.exit", "a timeout"])
def test_on_start_that_raises_what_is_no_exception_is_counted_too(run: Start, raised: BaseException) -> None:
    class Abrupt(Serves):
        tasks = [raising_task]  # noqa: RUF012 - as Locust's users write it

        def on_start(self) -> None:
            raise raised

    one = run(Abrupt, [])
    one.start(2)
    starts = one.serving.crowd.starts["Abrupt"]
    assert starts.failed == 2
    assert starts.why.startswith(type(raised).__name__)


@pytest.mark.parametrize("named", [5, ("a", 1), None])
def test_a_name_that_is_no_text_is_shown_as_one(run: Start, named: Any) -> None:
    class Named(Serves):
        @task
        def look(self) -> None:
            fire(self, named, 0.0)

    _, total = play(run, Named, 1)
    assert (total.ok, list(total.endpoints)) == (1, [("RPC", str(named))])


@pytest.mark.parametrize("took", [float("nan"), "12"])
def test_a_time_that_is_none_fails_the_arrival_and_says_so(run: Start, took: Any) -> None:
    class Vague(Serves):
        @task
        def look(self) -> None:
            fire(self, "Get", took)

    one = run(Vague, [0])
    one.recorder.on_listener_error = one.serving.fail_here
    one.start()
    one.advance_to(S)
    assert one.total().failed == 1
    assert "response_time of RPC Get: expected milliseconds, got" in one.script_errors[0][1]


def test_a_class_left_without_tasks_fails_its_arrivals_and_says_so(run: Start) -> None:
    class Empty(Serves):
        tasks: list[Any] = []  # noqa: RUF012 - as --tags leaves it

    one, total = play(run, Empty, 2)
    assert (total.failed, total.failed_in_script) == (2, 2)
    assert "No tasks defined on Empty" in one.script_errors[0][1]


def test_a_user_that_leaves_for_good_ends_its_arrival_and_is_counted(run: Start) -> None:
    class Leaves(Serves):
        @task
        def look(self) -> None:
            fire(self, "Get", 0.0)
            raise StopUser

    one, total = play(run, Leaves, 3, users=2)
    assert (total.started, total.ok) == (2, 2)
    assert one.serving.crowd.left == {"Leaves": 2}
    assert one.loop.backlog == 1


def test_a_task_that_asks_to_be_rescheduled_ends_its_arrival(run: Start) -> None:
    class Asks(Serves):
        @task
        def look(self) -> None:
            fire(self, "Get", 0.0)
            raise RescheduleTask

    _, total = play(run, Asks, 2)
    assert (total.ok, total.started) == (2, 2)


def test_on_start_that_ends_users_is_counted_with_what_it_said(run: Start) -> None:
    accounts = ["only one"]

    class Shopper(Serves):
        def on_start(self) -> None:
            accounts.pop()

        @task
        def look(self) -> None:
            fire(self, "Get", 0.0)

    one = run(Shopper, [])
    one.start(3)
    gevent.sleep(0.01)
    starts = one.serving.crowd.starts["Shopper"]
    assert (starts.failed, one.loop.idle_of(0)) == (2, 1)
    assert starts.why.startswith("IndexError: pop from empty list (test_arrival_outcomes.py:")


def test_a_thread_of_the_scripts_belongs_to_nobody_and_disturbs_nothing(run: Start) -> None:
    class Threads(Serves):
        @task
        def look(self) -> None:
            fire(self, "Get", 0.0)
            worker = threading.Thread(target=lambda: None)
            worker.start()
            worker.join()

    _, total = play(run, Threads, 1)
    assert total.ok == 1


def test_a_listener_that_raises_fails_the_arrival_whose_request_it_heard_of(run: Start) -> None:
    class Heard(Serves):
        @task
        def buy(self) -> None:
            fire(self, "Buy", 0.0)

    def listener(name: str, **_: Any) -> None:
        heard.append(name)
        if len(heard) == 2:
            raise KeyError("no such table")

    heard: list[str] = []
    one = run(Heard, [0, MS, 2 * MS])
    one.environment.events.request.add_listener(listener)
    one.recorder.on_listener_error = one.serving.fail_here
    one.start()
    one.advance_to(S)
    total = one.total()
    assert (total.ok, total.failed, total.failed_in_script) == (2, 1, 1)
    assert total.endpoints["RPC", "Buy"].requests == 3, "the request itself was answered"
    assert "no such table" in one.script_errors[0][1]
