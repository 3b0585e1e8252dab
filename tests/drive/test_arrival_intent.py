"""Which request takes an arrival's intent, and that figures of a script's own take none."""

from typing import Any

import pytest
from locust import task

from loadtest.records import ARRIVAL, FIGURE
from tests.drive.arrival_runs import MS, S, Serves, Start, fire, play


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
