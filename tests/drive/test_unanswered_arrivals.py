"""What was never answered or never begun has a figure: docs/arrivals.md, as tests."""

import gevent
import gevent.event
import gevent.pool
import pytest
from locust import User, task

from loadtest.measure.second import Second
from loadtest.records import UNANSWERED
from tests.drive.arrival_runs import MS, Run, S, Serves, Start, fire


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
            if one.clock.now_ns() > one.open_seconds.zero_ns + 500 * MS:
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
