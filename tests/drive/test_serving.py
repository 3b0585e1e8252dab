"""Locust users that serve arrivals, as Locust runs them: with its task sets, on virtual time."""

from typing import Any

import gevent
import gevent.event
import pytest
from locust import SequentialTaskSet, TaskSet, User, constant, task
from locust.exception import StopUser

from loadtest.drive.serving import attach, open_loop, serves_arrivals
from loadtest.records import ARRIVAL
from tests.drive.arrival_runs import MS, S, Start, fire


class Plain(User):
    """A user whose client fires events: a stand-in for gRPC or a database."""

    wait_time = open_loop()
    begun: int = 0

    @task
    def call(self) -> None:
        """One request of no time."""
        Plain.begun += 1
        fire(self, "Get", 0.0)


def test_no_task_runs_before_its_arrival(run: Start) -> None:
    Plain.begun = 0
    one = run(Plain, [10 * MS, 20 * MS])
    one.start()
    assert Plain.begun == 0
    one.advance_to(15 * MS)
    assert Plain.begun == 1
    one.advance_to(30 * MS)
    assert Plain.begun == 2
    total = one.total()
    assert (total.scheduled, total.started, total.ok, total.transactions_ok) == (2, 2, 2, 2)


def test_the_request_of_a_foreign_client_is_timed_from_the_arrivals_intent(run: Start) -> None:
    class Slow(User):
        wait_time = open_loop()

        @task
        def call(self) -> None:
            one.clock.jump(30 * MS)
            fire(self, "Get", 30.0)

    one = run(Slow, [0, 10 * MS])
    one.start()
    one.advance_to(100 * MS)
    zero_ns = one.open_seconds.zero_ns
    assert [(o.intended_ns - zero_ns, o.response_ns, o.service_ns) for o in one.outcomes] == [
        (0, 30 * MS, 30 * MS),
        (10 * MS, 50 * MS, 30 * MS),  # it waited 20 ms for the only user
    ]
    assert (one.outcomes[0].method, one.outcomes[0].name, one.outcomes[0].response_bytes) == ("RPC", "Get", 7)


def test_locusts_table_counts_a_foreign_request_once_and_from_its_intent(run: Start) -> None:
    class Slow(User):
        wait_time = open_loop()

        @task
        def call(self) -> None:
            one.clock.jump(30 * MS)
            fire(self, "Get", 30.0)

    heard: list[float] = []
    one = run(Slow, [0, 10 * MS])
    one.environment.events.request.add_listener(lambda response_time, **_: heard.append(response_time))
    one.start()
    one.advance_to(100 * MS)
    one.recorder.find_listeners()
    one.recorder.flush()
    entry = one.environment.stats.get("Get", "RPC")
    assert entry.num_requests == one.environment.stats.total.num_requests == 2
    assert entry.max_response_time == pytest.approx(50.0)
    assert heard == [30.0, 30.0], "listeners of the script's own hear each event once, as it was fired"


def test_after_the_run_locust_counts_for_itself_again(run: Start) -> None:
    one = run(Plain, [])
    one.events.close()
    one.events.close()
    handlers = one.environment.events.request._handlers
    assert len(handlers) == 1
    fire(Plain(one.environment), "Get", 12.0)
    assert one.environment.stats.get("Get", "RPC").max_response_time == 12.0


def test_a_journey_times_its_first_request_from_intent_and_the_others_from_their_beginning(
    run: Start,
) -> None:
    class Shopper(User):
        wait_time = open_loop()

        @task
        def shop(self) -> None:
            for name in ("Cart", "Pay"):
                one.clock.jump(20 * MS)
                fire(self, name, 20.0)

    one = run(Shopper, [0])
    one.start()
    one.clock.jump(S + 5 * MS)  # the dispatcher itself is 5 ms late
    one.advance_to(S)
    assert [(o.method, o.name, o.response_ns, o.error) for o in one.outcomes] == [
        ("RPC", "Cart", 25 * MS, None),
        ("RPC", "Pay", 20 * MS, None),
        (ARRIVAL, "Shopper", 45 * MS, None),
    ]
    total = one.total()
    assert (total.started, total.ok) == (1, 1)


def test_a_journey_of_which_one_request_failed_has_failed(run: Start) -> None:
    class Shopper(User):
        wait_time = open_loop()

        @task
        def shop(self) -> None:
            fire(self, "Cart", 1.0, ConnectionRefusedError())
            fire(self, "Pay", 1.0)

    one = run(Shopper, [0])
    one.start()
    one.advance_to(S)
    assert [o.error for o in one.outcomes] == ["refused", None, "journey"]
    total = one.total()
    assert (total.failed, total.ok) == (1, 0)


@pytest.mark.parametrize(
    ("exception", "label"),
    [
        (TimeoutError(), "timeout-read"),
        ("a text, as some clients pass it", "failure"),
        (OSError("wrapped"), "network"),
        (None, None),
        ("", None),
    ],
)
def test_what_a_client_passes_as_exception_becomes_a_class_of_error(
    run: Start, exception: Any, label: str | None
) -> None:
    class Failing(User):
        wait_time = open_loop()

        @task
        def call(self) -> None:
            fire(self, "Get", 1.0, exception)

    one = run(Failing, [0])
    one.start()
    one.advance_to(MS)
    assert [o.error for o in one.outcomes] == [label]
    total = one.total()
    assert (total.failed, total.ok) == ((1, 0) if label else (0, 1))


def test_an_error_that_wraps_another_is_named_after_what_it_wraps(run: Start) -> None:
    wrapped = OSError("the library's own")
    wrapped.__cause__ = ConnectionResetError()

    class Failing(User):
        wait_time = open_loop()

        @task
        def call(self) -> None:
            fire(self, "Get", 1.0, wrapped)

    one = run(Failing, [0])
    one.start()
    one.advance_to(MS)
    assert [o.error for o in one.outcomes] == ["reset"]


def test_a_task_that_raises_fails_its_arrival_and_the_user_goes_on(
    run: Start, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(User):
        wait_time = open_loop()

        @task
        def call(self) -> None:
            raise RuntimeError("a bug in the script")

    one = run(Broken, [0, MS])
    one.start()
    one.advance_to(S)
    assert (one.total().failed, one.loop.in_flight) == (2, 0)
    assert "a bug in the script" in caplog.text


def test_a_user_that_stops_finishes_its_arrival_first(run: Start) -> None:
    class Leaving(User):
        wait_time = open_loop()

        @task
        def call(self) -> None:
            raise StopUser

    one = run(Leaving, [0])
    one.start()
    one.advance_to(S)
    assert (one.total().empty, one.loop.in_flight, one.loop.idle) == (1, 0, 0)
    assert one.serving.crowd.left == {"Leaving": 1}


def test_per_task_each_step_of_a_sequence_serves_an_arrival(run: Start) -> None:
    called: list[str] = []

    class Nested(User):
        wait_time = open_loop(per="task")

        @task
        class Steps(SequentialTaskSet):
            @task
            def first(self) -> None:
                called.append("first")
                fire(self.user, "First", 0.0)

            @task
            def second(self) -> None:
                called.append("second")
                fire(self.user, "Second", 0.0)
                self.interrupt()

    one = run(Nested, [n * MS for n in range(4)])
    one.start()
    one.advance_to(S)
    assert called == ["first", "second"] * 2
    assert (one.total().started, one.loop.in_flight) == (4, 0)
    assert len(one.outcomes) == 4


def test_requests_of_on_start_are_not_part_of_the_run(run: Start) -> None:
    class LogsIn(Plain):
        def on_start(self) -> None:
            fire(self, "Login", 5.0)

    one = run(LogsIn, [0])
    one.start()
    one.advance_to(MS)
    one.recorder.flush()
    assert [o.name for o in one.outcomes] == ["Get"]
    assert one.environment.stats.get("Login", "RPC").num_requests == 1, "Locust counts it as always"


def test_users_with_an_ordinary_wait_time_are_left_alone(run: Start) -> None:
    served = gevent.event.Event()

    class Ordinary(User):
        wait_time = constant(3600)

        @task
        def call(self) -> None:
            served.set()

    one = run(Ordinary, [])
    Ordinary(one.environment).start(one.users)
    assert served.wait(60), "it needs no arrival"
    assert not serves_arrivals(Ordinary)
    assert serves_arrivals(Plain)


def test_without_a_plan_the_user_stops_and_says_what_is_missing(run: Start) -> None:
    one = run(Plain, [])
    attach(one.environment, None)
    user = Plain(one.environment)
    with pytest.raises(StopUser, match="no plan is running"):
        user.wait_time()


def test_a_task_set_class_of_the_users_own_still_works(run: Start) -> None:
    called: list[int] = []

    class Behaviour(TaskSet):
        @task
        def call(self) -> None:
            called.append(1)
            fire(self.user, "Get", 0.0)
            self.interrupt()

    class WithTasks(User):
        wait_time = open_loop()
        tasks = [Behaviour]  # noqa: RUF012 - as Locust's users write it

    one = run(WithTasks, [0, MS, 2 * MS])
    one.start()
    one.advance_to(S)
    assert len(called) == 3
