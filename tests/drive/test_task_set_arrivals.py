"""What one arrival serves in a sequence or a nested task set, and what takes none: docs/arrivals.md, as tests."""

from typing import Any

import pytest
from locust import MarkovTaskSet, SequentialTaskSet, TaskSet, User, constant, task, transition
from locust.exception import StopUser

from loadtest.drive.serving import open_loop
from loadtest.records import ARRIVAL
from tests.drive.arrival_runs import MS, S, Serves, Start, fire, play


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
    assert [o.intended_ns - one.open_seconds.zero_ns for o in firsts] == [0, MS, 2 * MS]


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


@pytest.mark.parametrize("raised", [RuntimeError("no login"), SystemExit("no login")])
def test_a_nested_task_set_whose_on_start_raises_fails_one_arrival_each_time(
    run: Start, raised: BaseException
) -> None:
    class Behaviour(TaskSet):
        def on_start(self) -> None:
            raise raised

        @task
        def look(self) -> None:
            fire(self.user, "look", 0.0)

    class Visitor(Serves):
        tasks = [Behaviour]  # noqa: RUF012 - as Locust's users write it

    one, total = play(run, Visitor, 3)
    assert (total.started, total.failed_in_script) == (3, 3)
    assert one.script_errors[0][1] == f"{type(raised).__name__}: no login"


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


def test_each_step_of_a_sequence_that_chooses_by_a_rule_of_its_own_serves_one(run: Start) -> None:
    steps = iter(range(10))

    class Drawn(SequentialTaskSet):
        def get_next_task(self) -> Any:
            if next(steps, None) is None:
                raise StopUser  # a pass that never ends takes no further arrival
            return lambda drawn: fire(drawn.user, "Draw", 0.0)

    class Visitor(Serves):
        tasks = [Drawn]  # noqa: RUF012 - as Locust's users write it

    one = run(Visitor, [0, MS, 2 * MS])
    one.start()
    one.advance_to(S)
    total = one.total()
    assert [outcome.name for outcome in one.outcomes] == ["Draw"] * 3
    assert (total.started, total.ok, total.failed) == (3, 3, 0)


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
