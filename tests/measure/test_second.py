"""Windows: the second an event belongs to, what is bounded, and that nothing is ever lost or twice."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.measure.second import (
    COUNTERS,
    MAX_ENDPOINTS,
    MAX_ERRORS,
    MAX_NAME,
    MAX_PATTERNS,
    MAX_SCRIPT_ERRORS,
    OVERFLOW,
    OVERFLOW_ENDPOINT,
    SECOND_NS,
    EndpointSecond,
    OpenSeconds,
    Second,
    response_of,
)
from loadtest.records import ARRIVAL, UNANSWERED, Outcome

ZERO = 5_000 * SECOND_NS + 123
MS = 1_000_000


def outcome(
    intended_s: float,
    took_ms: int = 10,
    *,
    name: str = "/orders",
    method: str = "POST",
    error: str | None = None,
) -> Outcome:
    """An outcome intended so many seconds after time zero, sent 1 ms later."""
    intended_ns = ZERO + round(intended_s * SECOND_NS)
    return Outcome(method, name, intended_ns, intended_ns + MS, intended_ns + took_ms * MS, 100, error)


def merged(seconds: list[Second]) -> Second:
    """The sum of some seconds."""
    total = Second(0)
    for second in seconds:
        total.add(second)
    return total


def test_a_request_is_counted_in_the_second_it_was_intended_in_however_long_it_took() -> None:
    open_seconds = OpenSeconds(ZERO)
    open_seconds.record(outcome(1.2, took_ms=5_000))
    (second,) = open_seconds.take()
    assert second.index == 1
    endpoint = second.endpoints["POST", "/orders"]
    assert endpoint.response.max_us == 5_000_000
    assert endpoint.service.max_us == 4_999_000
    assert (endpoint.requests, endpoint.failures, endpoint.response_bytes) == (1, 0, 100)


def test_response_times_of_all_requests_leave_out_what_is_timed_besides() -> None:
    open_seconds = OpenSeconds(ZERO)
    open_seconds.record(outcome(0, 500, name="Checkout", method=ARRIVAL))
    open_seconds.record(outcome(0, 10))
    open_seconds.record(outcome(1, 20, name="/cart"))
    response = response_of(open_seconds.take())
    assert (response.count, response.max_us) == (2, 20_000)


def test_an_instant_on_the_boundary_belongs_to_the_second_that_begins_there() -> None:
    open_seconds = OpenSeconds(ZERO)
    assert open_seconds.second(ZERO + SECOND_NS - 1).index == 0
    assert open_seconds.second(ZERO + SECOND_NS).index == 1
    assert open_seconds.second(ZERO - 1).index == -1


def test_taking_leaves_the_second_that_goes_on_and_hands_over_the_others_oldest_first() -> None:
    open_seconds = OpenSeconds(ZERO)
    for at_s in (2.5, 0.5, 1.5):
        open_seconds.record(outcome(at_s))
    assert [second.index for second in open_seconds.take(ZERO + 2 * SECOND_NS + 1)] == [0, 1]
    assert [second.index for second in open_seconds.take()] == [2]
    assert open_seconds.take() == []


def test_a_late_event_opens_its_second_again_and_counts_once() -> None:
    open_seconds = OpenSeconds(ZERO)
    open_seconds.record(outcome(0.1))
    first = open_seconds.take(ZERO + SECOND_NS)
    open_seconds.record(outcome(0.2))
    second = open_seconds.take(ZERO + SECOND_NS)
    assert [s.index for s in first + second] == [0, 0]
    assert merged(first + second).endpoints["POST", "/orders"].requests == 2
    assert first[0].endpoints["POST", "/orders"].requests == 1


def test_an_event_of_an_older_second_does_not_make_later_events_land_there() -> None:
    open_seconds = OpenSeconds(ZERO)
    open_seconds.second(ZERO + 5 * SECOND_NS).started += 1
    open_seconds.second(ZERO + 1 * SECOND_NS).started += 1
    open_seconds.second(ZERO + 5 * SECOND_NS + 1).started += 1
    assert {second.index: second.started for second in open_seconds.take()} == {1: 1, 5: 2}


def test_endpoints_beyond_the_bound_are_counted_together_under_a_name_that_says_so() -> None:
    open_seconds = OpenSeconds(ZERO)
    for number in range(MAX_ENDPOINTS + 250):
        open_seconds.record(outcome(number % 3, name=f"/orders/{number}", method=f"M{number}"))
    total = merged(open_seconds.take())
    assert len(total.endpoints) == MAX_ENDPOINTS + 1
    assert total.endpoints[OVERFLOW_ENDPOINT].requests == 250
    assert sum(endpoint.requests for endpoint in total.endpoints.values()) == MAX_ENDPOINTS + 250


def test_an_endpoint_known_before_the_bound_was_reached_keeps_its_own_entry() -> None:
    open_seconds = OpenSeconds(ZERO)
    open_seconds.record(outcome(0, name="/first"))
    for number in range(MAX_ENDPOINTS + 5):
        open_seconds.record(outcome(0, name=f"/{number}"))
    open_seconds.take()
    open_seconds.record(outcome(9, name="/first"))
    open_seconds.record(outcome(9, name="/never-seen"))
    (second,) = open_seconds.take()
    assert set(second.endpoints) == {("POST", "/first"), OVERFLOW_ENDPOINT}


def test_the_sum_over_workers_that_met_different_endpoints_is_bounded_too() -> None:
    total = Second(0)
    for worker in range(4):
        open_seconds = OpenSeconds(ZERO)
        for number in range(MAX_ENDPOINTS):
            open_seconds.record(outcome(0, name=f"/{worker}/{number}"))
        total.add(merged(open_seconds.take()))
    assert len(total.endpoints) == MAX_ENDPOINTS + 1
    assert sum(endpoint.requests for endpoint in total.endpoints.values()) == 4 * MAX_ENDPOINTS


def test_error_classes_beyond_the_bound_are_counted_together_and_none_is_dropped() -> None:
    endpoint = EndpointSecond()
    for number in range(MAX_ERRORS + 30):
        endpoint.add_error(f"error {number}")
    endpoint.add_error("error 0")
    assert len(endpoint.errors) == MAX_ERRORS + 1
    assert endpoint.errors[OVERFLOW] == 30
    assert endpoint.errors["error 0"] == 2
    assert endpoint.failures == sum(endpoint.errors.values()) == MAX_ERRORS + 31


def test_long_names_and_errors_are_cut() -> None:
    open_seconds = OpenSeconds(ZERO)
    for end in "ab":
        open_seconds.record(outcome(0, name="/" + "x" * 10_000 + end, error="y" * 10_000 + end))
    ((name, endpoint),) = open_seconds.take()[0].endpoints.items()
    assert [len(part) for part in name] == [4, MAX_NAME]
    assert endpoint.errors == {"y" * MAX_NAME: 2}


events = st.lists(
    st.one_of(
        st.tuples(
            st.just("request"),
            st.integers(-2_000, 6_000),  # ms
            st.sampled_from(["/orders", "/products"]),
            st.sampled_from([None, "refused", "status-503"]),
        ),
        st.tuples(st.just("count"), st.integers(-2_000, 6_000), st.sampled_from(COUNTERS), st.none()),
        st.tuples(st.just("take"), st.integers(-2_000, 6_000), st.just(""), st.none()),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(events=events)
def test_whenever_seconds_are_taken_their_sum_is_everything_that_happened(
    events: list[tuple[str, int, str, str | None]],
) -> None:
    open_seconds = OpenSeconds(ZERO)
    taken: list[Second] = []
    counters: Counter[str] = Counter()
    requests: Counter[tuple[int, str, str | None]] = Counter()
    for what, at_ms, name, error in events:
        if what == "take":
            taken += open_seconds.take(ZERO + at_ms * MS)
        elif what == "count":
            second = open_seconds.second(ZERO + at_ms * MS)
            assert second.index == at_ms // 1000
            setattr(second, name, getattr(second, name) + 1)
            counters[name] += 1
        else:
            open_seconds.record(outcome(at_ms / 1000, name=name, error=error))
            requests[at_ms // 1000, name, error] += 1
    taken += open_seconds.take()
    total = merged(taken)
    assert {name: getattr(total, name) for name in COUNTERS} == {name: counters[name] for name in COUNTERS}
    seen: Counter[tuple[int, str, str | None]] = Counter()
    for second in taken:
        for (_, name), endpoint in second.endpoints.items():
            assert endpoint.response.count == endpoint.service.count == endpoint.requests
            seen[second.index, name, None] += endpoint.requests - endpoint.failures
            for label, count in endpoint.errors.items():
                seen[second.index, name, label] += count
    assert +seen == requests


def test_what_a_pattern_covers_is_counted_whole_also_beyond_the_bound_of_names() -> None:
    open_seconds = OpenSeconds(
        ZERO, ["GET /item/*", "GET /other"], lambda pattern, name: name.startswith(pattern.rstrip("*"))
    )
    for number in range(MAX_ENDPOINTS + 100):
        open_seconds.record(outcome(number % 3, number + 1, name=f"/item/{number}", method="GET"))
    open_seconds.record(outcome(0, name="/elsewhere", method="GET"))
    total = merged(open_seconds.take())
    covered = total.patterns["GET /item/*"]
    assert covered.requests == covered.response.count == MAX_ENDPOINTS + 100
    assert covered.response.max_us == (MAX_ENDPOINTS + 100) * 1_000
    assert "GET /other" not in total.patterns


def test_arrivals_given_up_are_counted_under_their_pattern_also_beyond_the_bound_of_names() -> None:
    open_seconds = OpenSeconds(
        ZERO, ["GET /item/*"], lambda pattern, name: name.startswith(pattern.rstrip("*"))
    )
    for number in range(MAX_ENDPOINTS):
        open_seconds.record(outcome(0, name=f"/item/{number}", method="GET"))
    for number in (0, MAX_ENDPOINTS):
        open_seconds.give_up(("GET", f"/item/{number}"), ZERO, ZERO + 3 * SECOND_NS)
    covered = merged(open_seconds.take()).patterns["GET /item/*"]
    assert (covered.requests, covered.response.count) == (MAX_ENDPOINTS, MAX_ENDPOINTS + 2)
    assert covered.failures_only().count == 2
    assert covered.failures_only().min_us >= 3_000_000 * (1 - 1 / 128)


def test_patterns_of_seconds_that_are_opened_again_count_each_request_once() -> None:
    open_seconds = OpenSeconds(ZERO, ["GET /a"])
    open_seconds.record(outcome(0.1, name="/a", method="GET"))
    first = open_seconds.take(ZERO + SECOND_NS)
    open_seconds.record(outcome(0.2, name="/a", method="GET"))
    assert merged(first + open_seconds.take()).patterns["GET /a"].requests == 2


def test_patterns_and_script_errors_are_bounded_whatever_a_worker_sends() -> None:
    total = Second(0)
    for number in range(3 * MAX_PATTERNS):
        total.pattern(f"GET /{number}").requests += 1
        total.add_script_error(("Buyer", f"KeyError: {number}", "shop.py:9 in buy"))
    assert len(total.patterns) <= MAX_PATTERNS + 1
    assert sum(entry.requests for entry in total.patterns.values()) == 3 * MAX_PATTERNS
    assert len(total.script_errors) <= MAX_SCRIPT_ERRORS + 1
    assert sum(total.script_errors.values()) == 3 * MAX_PATTERNS


def test_a_failures_time_is_told_from_those_of_good_responses() -> None:
    open_seconds = OpenSeconds(ZERO)
    for took_ms, error in ((10, None), (2, "refused"), (30, None)):
        open_seconds.record(outcome(0, took_ms, error=error))
    endpoint = merged(open_seconds.take()).endpoints["POST", "/orders"]
    assert endpoint.failed is not None
    assert endpoint.failed.count == 1
    assert endpoint.response.without(endpoint.failed).min_us >= 10_000


def test_an_arrival_that_was_given_up_is_a_time_and_no_request() -> None:
    open_seconds = OpenSeconds(ZERO)
    open_seconds.record(outcome(0, 10))
    open_seconds.give_up(("POST", "/orders"), ZERO + 5 * SECOND_NS, ZERO + 9 * SECOND_NS)
    open_seconds.give_up(("GET", "/unknown"), ZERO, ZERO + SECOND_NS)
    seconds = open_seconds.take()
    assert [second.index for second in seconds] == [0, 5], "in the second of the intent"
    endpoint = merged(seconds).endpoints["POST", "/orders"]
    assert (endpoint.requests, endpoint.failures, endpoint.response.count) == (1, 0, 2)
    assert endpoint.response.max_us == 4_000_000
    assert merged(seconds).endpoints[OVERFLOW_ENDPOINT].requests == 0


def test_unanswered_keeps_its_name_however_many_classes_of_error_there_are() -> None:
    entry = EndpointSecond()
    for number in range(2 * MAX_ERRORS):
        entry.add_error(f"status-{number}")
    entry.add_error(UNANSWERED, 7)
    assert entry.errors[UNANSWERED] == 7
    assert sum(entry.errors.values()) == entry.failures
