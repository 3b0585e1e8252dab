"""Every way an arrival can end, whichever greenlet did the work: docs/arrivals.md, as tests, on virtual time."""

import threading
from collections.abc import Iterator
from typing import Any

import gevent
import gevent.event
import gevent.pool
import pytest
from locust import MarkovTaskSet, SequentialTaskSet, TaskSet, User, constant, task, transition
from locust.exception import RescheduleTask, StopUser

from loadtest import nothing_to_do
from loadtest.drive.serving import open_loop
from loadtest.measure.window import Second
from loadtest.records import ARRIVAL, FIGURE, UNANSWERED
from tests.drive.test_serving import MS, Run, S, Start, fire


@pytest.fixture
def run() -> Iterator[Start]:
    made: list[Run] = []

    def factory(user_class: type[User], offsets: list[int]) -> Run:
        made.append(Run(user_class, offsets))
        return made[-1]

    yield factory
    for each in made:
        each.close()


def play(run: Start, user_class: type[User], arrivals: int, users: int = 1) -> tuple[Run, Second]:
    """Serve so many arrivals, a millisecond apart; what was counted in the end."""
    one = run(user_class, [n * MS for n in range(arrivals)])
    one.start(users)
    one.advance_to(S)
    with gevent.Timeout(10):  # for what the script does in real time: its own waits, its own greenlets
        while one.loop.in_flight:
            gevent.sleep(0.001)
    return one, one.total()


class Serves(User):
    """What all users here have in common."""

    abstract = True
    wait_time = open_loop()


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
    assert one.outcomes[0].intended_ns == one.window.zero_ns, "the first request is timed from the intent"


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
    gevent.sleep(0.02)
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


def recorded_sequence(called: list[str], per: str, broken: str = "", own_wait: Any = None) -> type[User]:
    """A user whose tasks are a sequence of three steps, one of which may raise."""

    def step(name: str) -> Any:
        def run_step(self: TaskSet) -> None:
            called.append(name)
            if name == broken:
                raise RuntimeError(name)
            fire(self.user, name, 0.0)

        run_step.__name__ = name
        return run_step

    class Journey(SequentialTaskSet):
        tasks = [step(name) for name in ("home", "shelf", "pay")]  # noqa: RUF012 - as Locust's users write it

        def on_start(self) -> None:
            called.append("on_start")
            fire(self.user, "login", 0.0)

    if own_wait is not None:
        Journey.wait_time = own_wait  # type: ignore[method-assign]  # as Locust's users write it

    return type("Walker", (User,), {"wait_time": open_loop(per=per), "tasks": [Journey]})


def test_a_whole_pass_of_a_sequence_serves_one_arrival_and_its_on_start_none(run: Start) -> None:
    called: list[str] = []
    one, total = play(run, recorded_sequence(called, "pass"), 3)
    assert called == ["on_start"] + ["home", "shelf", "pay"] * 3
    assert (total.started, total.ok) == (3, 3)
    journeys = [o for o in one.outcomes if o.method == ARRIVAL]
    assert len(journeys) == 3
    firsts = [o for o in one.outcomes if o.name == "home"]
    assert [o.intended_ns - one.window.zero_ns for o in firsts] == [0, MS, 2 * MS]


def test_per_task_each_step_of_a_sequence_serves_one(run: Start) -> None:
    called: list[str] = []
    _, total = play(run, recorded_sequence(called, "task"), 4)
    assert called == ["on_start", "home", "shelf", "pay", "home"]
    assert (total.started, total.ok) == (4, 4)


def test_a_step_that_raises_fails_the_pass_which_goes_on_as_in_locust(run: Start) -> None:
    called: list[str] = []
    one, total = play(run, recorded_sequence(called, "pass", broken="shelf"), 2)
    assert called == ["on_start"] + ["home", "shelf", "pay"] * 2
    assert (total.started, total.failed, total.failed_in_script, total.ok) == (2, 2, 2, 0)
    assert [o.error for o in one.outcomes if o.method == ARRIVAL] == ["script", "script"]


def test_a_sequence_waits_between_its_steps_as_it_says_but_not_between_arrivals(run: Start) -> None:
    called: list[str] = []
    waited: list[str] = []

    def wait_time(_: Any) -> float:
        waited.append(called[-1])
        return 0.0

    play(run, recorded_sequence(called, "pass", own_wait=wait_time), 2)
    assert waited == ["home", "shelf"] * 2


def test_a_sequence_within_a_sequence_belongs_to_the_same_pass(run: Start) -> None:
    called: list[str] = []

    class Nested(Serves):
        @task
        class Outer(SequentialTaskSet):
            @task
            def first(self) -> None:
                called.append("first")
                fire(self.user, "first", 0.0)

            @task
            class Inner(SequentialTaskSet):
                @task
                def second(self) -> None:
                    called.append("second")
                    fire(self.user, "second", 0.0)

                @task
                def leave(self) -> None:
                    self.interrupt()

            @task
            def third(self) -> None:
                called.append("third")
                fire(self.user, "third", 0.0)

    _, total = play(run, Nested, 2)
    assert called == ["first", "second", "third"] * 2
    assert (total.started, total.ok) == (2, 2)


def test_leaving_a_task_set_takes_no_arrival(run: Start) -> None:
    turns = iter(["look", "leave", "look", "look", "leave", "look"])

    class Shelf(TaskSet):
        @task
        def turn(self) -> None:
            if next(turns) == "leave":
                self.interrupt()
            fire(self.user, "look", 0.0)

    class Stroller(Serves):
        tasks = [Shelf]  # noqa: RUF012 - as Locust's users write it

    _, total = play(run, Stroller, 4)
    assert (total.started, total.ok, total.empty) == (4, 4, 0)


def test_a_task_set_that_only_leaves_makes_empty_arrivals_and_no_endless_loop(run: Start) -> None:
    class Leaver(TaskSet):
        @task
        def leave(self) -> None:
            self.interrupt()

    class Restless(Serves):
        tasks = [Leaver]  # noqa: RUF012 - as Locust's users write it

    _, total = play(run, Restless, 2)
    assert (total.started, total.empty, total.ok) == (2, 2, 0)


def test_each_task_of_a_task_set_that_is_never_left_serves_one(run: Start) -> None:
    class Behaviour(TaskSet):
        @task
        def look(self) -> None:
            fire(self.user, "look", 0.0)

    class Visitor(Serves):
        tasks = [Behaviour]  # noqa: RUF012 - as Locust's users write it

    _, total = play(run, Visitor, 4)
    assert (total.started, total.ok) == (4, 4)


def test_per_takes_two_words_and_names_both() -> None:
    with pytest.raises(ValueError, match='expected "pass" or "task", got \'step\''):
        open_loop(per="step")


class Client:
    """Of our client what `Serving` knows: who takes the intent, and that it tells of its requests itself."""

    intended_ns: int | None = None
    rename_request = None


class Shops(Serves):
    """A user with a client of ours."""

    abstract = True

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.client = Client()


def test_a_second_session_that_asks_first_takes_the_intent_and_the_users_own_begins_when_it_begins(
    run: Start,
) -> None:
    class Shopper(Shops):
        @task
        def look(self) -> None:
            one.clock.jump(30 * MS)
            fire(self, "prices", 30.0, start_time=1.0)
            seen.append(self.client.intended_ns)

    seen: list[int | None] = []
    one = run(Shopper, [0])
    one.start()
    one.advance_to(S)
    assert seen == [None], "the intent is used up"
    assert [(o.name, o.response_ns) for o in one.outcomes] == [("prices", 30 * MS)]


def test_an_intent_that_no_request_took_is_not_taken_by_what_follows_the_arrival(run: Start) -> None:
    class Shopper(Shops):
        @task
        def look(self) -> None:
            seen.append(self.client.intended_ns is not None)

        def on_stop(self) -> None:
            seen.append(self.client.intended_ns is not None)

    seen: list[bool] = []
    one, _ = play(run, Shopper, 1)
    one.users.kill()
    assert seen == [True, False]


@pytest.mark.parametrize("value", [42.0, 0.0, 1e9, -3.0])
def test_a_figure_of_the_scripts_own_keeps_its_value_and_is_no_request(run: Start, value: float) -> None:
    class Shopper(Shops):
        @task
        def look(self) -> None:
            fire(self, "things", value)

    one, total = play(run, Shopper, 2)
    assert [(o.method, o.name) for o in one.outcomes] == [(FIGURE, "RPC things")] * 2
    assert [o.response_ns for o in one.outcomes] == [round(max(value, 0) * MS)] * 2
    assert total.ok == 2, "an event has been fired, so the arrival is not empty"
    one.recorder.flush()
    assert one.environment.stats.get("things", "RPC").max_response_time == pytest.approx(max(value, 0.0))


def test_what_began_before_its_arrival_is_a_figure_also_of_a_user_without_an_http_client(run: Start) -> None:
    class Listens(Serves):
        @task
        def look(self) -> None:
            fire(self, "since yesterday", 5_000.0)
            fire(self, "Get", 0.0)

    one, _ = play(run, Listens, 1)
    assert [(o.method, o.name, o.response_ns) for o in one.outcomes] == [
        (FIGURE, "RPC since yesterday", 5 * S),
        ("RPC", "Get", 0),
    ]
    assert not [o for o in one.outcomes if o.method == ARRIVAL], "one request is no journey"


def waits_in(user: User, name: str) -> None:
    """A request of a foreign client that is never answered."""
    began_ns = gevent.get_hub().loop.now()
    try:
        gevent.sleep(3600)
    except OSError as error:
        fire(user, name, (gevent.get_hub().loop.now() - began_ns) * 1000, error, start_time=began_ns)


def end(one: Run) -> Second:
    """End the run as a worker does when the drain is over; what was counted."""
    one.loop.close()
    one.serving.end()
    return one.total()


def test_a_request_in_flight_when_the_drain_ends_is_unanswered_and_its_script_goes_no_further(
    run: Start,
) -> None:
    further: list[str] = []

    class Hangs(Serves):
        @task
        def look(self) -> None:
            waits_in(self, "Hang")
            further.append("sent")

    one = run(Hangs, [0])
    one.start()
    one.advance_to(S)
    total = end(one)
    endpoint = total.endpoints["RPC", "Hang"]
    assert (total.cancelled, total.ok, total.failed) == (1, 0, 0)
    assert endpoint.errors == {UNANSWERED: 1}
    assert endpoint.response.max_us >= 1_000_000, "at the age it had"
    assert not further


def test_requests_of_spawned_greenlets_are_unanswered_each(run: Start) -> None:
    class Fans(Serves):
        @task
        def look(self) -> None:
            gevent.pool.Pool(3).map(lambda n: waits_in(self, f"Hang {n}"), range(3))

    one = run(Fans, [0])
    one.start()
    one.advance_to(S)
    gevent.sleep(0.01)
    total = end(one)
    assert {name: e.errors for (_, name), e in total.endpoints.items()} == {
        f"Hang {n}": {UNANSWERED: 1} for n in range(3)
    }


def test_an_arrival_cut_off_between_requests_counts_as_one_that_took_at_least_so_long(run: Start) -> None:
    class Dreams(Serves):
        @task
        def look(self) -> None:
            if one.clock.now_ns() > one.window.zero_ns + 500 * MS:
                gevent.sleep(3600)
            fire(self, "Get", 0.0)

    one = run(Dreams, [0, 600 * MS])
    one.start()
    one.advance_to(10 * MS)
    one.advance_to(S)
    total = end(one)
    endpoint = total.endpoints["RPC", "Get"]
    assert (total.ok, total.cancelled, total.failed_in_script) == (1, 1, 0)
    assert (endpoint.requests, endpoint.failures, endpoint.response.count) == (1, 0, 2)
    assert endpoint.response.max_us == pytest.approx(400_000, rel=0.01)
    assert endpoint.failed is not None
    assert endpoint.failed.count == 1, "it is no good response"
    assert not one.script_errors


def test_a_dropped_arrival_counts_where_its_scenario_asks_first(run: Start) -> None:
    class Busy(Serves):
        @task
        def look(self) -> None:
            fire(self, "First", 0.0)
            gevent.sleep(3600)

    one = run(Busy, [0, MS])
    one.start()
    one.advance_to(20 * S)  # ten seconds of patience
    endpoint = one.total().endpoints["RPC", "First"]
    assert (endpoint.requests, endpoint.response.count) == (1, 2)
    assert endpoint.response.max_us >= 10_000_000


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
    assert (starts.begun, starts.failed, one.loop.idle_of(0)) == (3, 2, 1)
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


def test_a_users_ordinary_wait_inside_a_task_takes_no_arrival(run: Start) -> None:
    class Waits(Serves):
        @task
        def look(self) -> None:
            fire(self, "a", 0.0)
            self.wait()
            fire(self, "b", 0.0)

    one, total = play(run, Waits, 2)
    assert (total.started, total.ok) == (2, 2)
    assert [o.name for o in one.outcomes if o.method != ARRIVAL] == ["a", "b", "a", "b"]


def test_a_task_sets_wait_of_its_own_keeps_no_user_from_its_next_arrival(run: Start) -> None:
    class Patient(TaskSet):
        wait_time = constant(3600)

        @task
        def look(self) -> None:
            fire(self.user, "look", 0.0)

    class Visitor(Serves):
        tasks = [Patient]  # noqa: RUF012 - as Locust's users write it

    _, total = play(run, Visitor, 3)
    assert total.ok == 3


def test_a_nested_task_set_without_tasks_fails_its_arrivals_and_says_so(run: Start) -> None:
    class Bare(TaskSet):
        tasks: list[Any] = []  # noqa: RUF012 - as --tags leaves it

    class BareSequence(SequentialTaskSet):
        tasks: list[Any] = []  # noqa: RUF012 - likewise

    for bare in (Bare, BareSequence):
        user_class = type("Visitor", (Serves,), {"tasks": [bare]})
        one, total = play(run, user_class, 2)
        assert (total.failed, total.failed_in_script) == (2, 2)
        assert "No tasks defined" in one.script_errors[0][1]


def test_a_nested_task_set_whose_on_start_raises_fails_one_arrival_each_time(run: Start) -> None:
    class Behaviour(TaskSet):
        def on_start(self) -> None:
            raise RuntimeError("no login")

        @task
        def look(self) -> None:
            fire(self.user, "look", 0.0)

    class Visitor(Serves):
        tasks = [Behaviour]  # noqa: RUF012 - as Locust's users write it

    one, total = play(run, Visitor, 3)
    assert (total.started, total.failed_in_script) == (3, 3)
    assert one.script_errors[0][1] == "RuntimeError: no login"


def test_a_nested_task_set_whose_on_start_ends_the_user_leaves_for_good(run: Start) -> None:
    class Behaviour(TaskSet):
        def on_start(self) -> None:
            raise StopUser

    class Visitor(Serves):
        tasks = [Behaviour]  # noqa: RUF012 - as Locust's users write it

    one, total = play(run, Visitor, 1)
    assert (total.started, one.serving.crowd.left, one.loop.backlog) == (0, {"Visitor": 1}, 1)


def test_a_task_set_that_chooses_by_a_rule_of_its_own_needs_no_list_of_tasks(run: Start) -> None:
    class Walks(Serves):
        @task
        class Shop(MarkovTaskSet):
            @transition("buy")
            def look(self) -> None:
                fire(self.user, "Look", 0.0)

            @transition("look")
            def buy(self) -> None:
                fire(self.user, "Buy", 0.0)

    one, total = play(run, Walks, 4)
    assert [outcome.name for outcome in one.outcomes] == ["Look", "Buy", "Look", "Buy"]
    assert (total.ok, total.empty) == (4, 0)


def test_a_task_set_whose_on_stop_raises_is_told(run: Start) -> None:
    class Leaves(Serves):
        @task
        class Shop(TaskSet):
            def on_stop(self) -> None:
                raise RuntimeError("cannot log out")

            @task
            def buy(self) -> None:
                fire(self.user, "Buy", 0.0)
                self.interrupt()

    one, total = play(run, Leaves, 2)
    assert total.ok == 2, "each was served before the task set was left"
    assert len(one.script_errors) == 2
    assert "cannot log out" in one.script_errors[0][1]


def test_a_listener_that_raises_fails_the_arrival_whose_request_it_heard_of(run: Start) -> None:
    class Heard(Serves):
        @task
        def buy(self) -> None:
            fire(self, "Buy", 0.0)
            one.serving.fail_here(KeyError("no such table"))

    one = run(Heard, [0, MS])
    one.start()
    one.advance_to(S)
    total = one.total()
    assert (total.ok, total.failed, total.failed_in_script) == (0, 2, 2)
    assert "no such table" in one.script_errors[0][1]
