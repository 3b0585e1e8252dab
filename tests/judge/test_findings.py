"""Findings: who did what, told apart, each in a sentence that says what to do."""

from typing import Any

import pytest

from loadtest.judge.findings import find
from loadtest.measure.run_result import (
    Endpoint,
    Quantiles,
    RunResult,
    ScriptError,
    TimelinePoint,
    UserStart,
)
from tests.judge import test_validity as validity


def endpoint(*, requests: int = 1000, ms: float = 10.0, unanswered: int = 0) -> Endpoint:
    times = Quantiles(count=requests, p50=ms, p99=ms * 3, mean=ms)
    return Endpoint(
        requests=requests, failures=unanswered, unanswered=unanswered, response_ms=times, service_ms=times
    )


def run(**endpoints: Endpoint) -> RunResult:
    result = validity.run()
    result.endpoints = {name.replace("_", " /", 1): one for name, one in endpoints.items()}
    return result


def test_a_run_without_fault_has_no_findings() -> None:
    assert find(run(GET_ok=endpoint())) == []


def test_a_script_that_raised_is_named_with_class_text_line_and_count() -> None:
    result = run(GET_ok=endpoint())
    result.script_errors = [
        ScriptError(
            scenario="Buyer", error="IndexError: pop from empty list", where="shop.py:17 in buy", count=40
        )
    ]
    assert find(result) == [
        (
            "the script raised IndexError: pop from empty list 40 times (in Buyer, at shop.py:17 in buy); "
            "fix the script, or look at what the target answered"
        )
    ]


def test_many_ways_to_raise_are_bounded() -> None:
    result = run(GET_ok=endpoint())
    result.script_errors = [ScriptError(scenario="B", error=f"E{n}", where="x", count=n) for n in range(9)]
    said = find(result)
    assert len(said) == 4
    assert "E8" in said[0]
    assert said[-1] == "the script raised 6 other errors; see script_errors in result.json"


def test_users_that_could_not_start_are_counted_with_their_reason() -> None:
    result = run(GET_ok=endpoint())
    result.generator.users["Buyer"] = UserStart(
        wanted=20, ready=10, failed=10, why_not="IndexError: no account left"
    )
    assert find(result) == [
        "10 of 20 users of Buyer could not start: IndexError: no account left; fix on_start or lower virtual_users"
    ]


def test_requests_that_were_never_answered_are_counted_by_endpoint() -> None:
    said = find(run(POST_order=endpoint(unanswered=99), GET_ok=endpoint(unanswered=1)))
    assert "; ".join(said).partition("; ")[::2] == (
        "100 requests were never answered (POST /order 99, GET /ok 1)",
        "counted as failed, with the time waited as response time",
    )


def test_arrivals_under_way_without_a_request_are_told_too() -> None:
    result = run(GET_ok=endpoint())
    result.arrivals.cancelled = 7
    assert find(result)[0].startswith("7 arrivals were still under way when the run ended")


def test_arrivals_without_a_request_are_told() -> None:
    result = run(GET_ok=endpoint())
    result.arrivals.empty = 5
    assert find(result) == [
        (
            "5 of 1,000 arrivals made no request; check that every task sends one with self.client, or "
            "fires events.request for a client of its own"
        )
    ]


def dropping(*, users: int, rate: int, calm_ms: float, **of_target: Any) -> RunResult:
    """A run of which the first second was calm, and in the others users were missing."""
    result = run(GET_ok=endpoint(**of_target))
    result.arrivals.dropped = 50
    result.run.settings["virtual_users"] = users
    result.timeline = [
        TimelinePoint(t_s=0, scheduled=rate, response_ms=Quantiles(count=rate, p50=calm_ms)),
        TimelinePoint(t_s=1, scheduled=rate, backlog=50, response_ms=Quantiles(count=rate, p50=5000)),
    ]
    return result


def test_a_pool_that_is_too_small_is_told_before_anything_is_dropped() -> None:
    result = dropping(users=10, rate=100, calm_ms=300.0, ms=300.0)
    result.arrivals.dropped = 0
    result.generator.queueing_ms = Quantiles(count=1000, p90=1500.0)
    (said,) = find(result)
    assert said == (
        "one arrival in ten waited 1,500 ms or longer for a free user: the pool of 10 users is too small for 100 "
        "arrivals/s of 300 ms each; raise virtual_users to 45"
    )
    result.generator.queueing_ms = Quantiles(count=1000, p90=20.0)
    assert find(result) == [], "a short wait now and then is what a pool is for"


def test_a_pool_that_is_too_small_for_the_rate_is_told_with_the_size_it_should_have() -> None:
    (said,) = find(dropping(users=10, rate=100, calm_ms=300.0, ms=300.0))
    assert said == (
        "50 of 1,000 arrivals were dropped because all users were busy: the pool of 10 users is too small for "
        "100 arrivals/s of 300 ms each; raise virtual_users to 45"
    )


def test_the_pauses_of_a_script_keep_users_busy_too_and_are_not_the_targets() -> None:
    result = dropping(users=20, rate=20, calm_ms=3.0, requests=2000, ms=3.0)
    result.endpoints["arrival Buyer"] = endpoint(requests=1000, ms=15_006.0)
    (said,) = find(result)
    assert said == (
        "50 of 1,000 arrivals were dropped because all users were busy: the pool of 20 users is too small for "
        "20 arrivals/s of 15,006 ms each; raise virtual_users to 451"
    )
    result.endpoints["arrival Buyer"] = endpoint(requests=1000, ms=2.0)  # it sent its two at once
    assert "the target was too slow" in find(result)[0]


def test_tasks_that_go_on_without_end_are_told_instead_of_a_larger_pool() -> None:
    result = dropping(users=20, rate=20, calm_ms=3.0, requests=10_000, ms=300.0)
    result.arrivals.started, result.arrivals.ok, result.arrivals.cancelled = 20, 0, 20
    assert find(result)[-1] == (
        "50 of 1,000 arrivals were dropped because all users were busy: none that began has ended, after 500.0 "
        "answers each; look for a task that goes on without end, such as a task set in a sequence that nothing "
        "interrupts"
    )
    result.endpoints["GET /ok"] = endpoint(requests=20, ms=4000.0, unanswered=20)
    assert "the target was too slow" in find(result)[-1], "a target that answers nothing is no endless task"


def test_arrivals_of_a_class_whose_users_have_all_left_were_dropped_for_want_of_them() -> None:
    result = dropping(users=20, rate=20, calm_ms=3.0, ms=3.0)
    result.generator.users = {
        "Once": UserStart(wanted=10, ready=10, left=9, failed=1),
        "Buyer": UserStart(wanted=10, ready=10, left=9),
    }
    assert find(result)[-1] == "50 of 1,000 arrivals were dropped: no user of Once was left"
    result.generator.users["Once"].left = 8
    assert "because all users were busy" in find(result)[-1]


def test_what_a_paused_worker_dropped_is_no_fault_of_the_target() -> None:
    result = dropping(users=400, rate=100, calm_ms=20.0, ms=4000.0)
    result.generator.overdue = 44
    assert find(result)[0].startswith("6 of 1,000 arrivals were dropped because all users were busy")
    result.generator.overdue = 50
    assert find(result) == []


@pytest.mark.parametrize("users", [40, 400])
def test_a_target_that_became_slow_is_told_with_its_slowest_endpoint(users: int) -> None:
    (said,) = find(dropping(users=users, rate=100, calm_ms=20.0, ms=4000.0))
    assert "the target was too slow (GET /ok took 4,000 ms at p50 and 12,000 ms at p99)" in said
