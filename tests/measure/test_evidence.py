"""Evidence of failures: how often, from when to when, one sample, in bounded memory."""

from hypothesis import given
from hypothesis import strategies as st

from loadtest.measure.evidence import (
    MOST_KEPT,
    MOST_POINTS,
    MOST_REPORTED,
    FailureLog,
    PackedEvidence,
    Sample,
    Samples,
    Series,
)
from loadtest.measure.second import OVERFLOW_ENDPOINT, Second

ORDERS = ("POST", "/orders")


def second_with(index: int, *errors: str) -> Second:
    """A second in which requests failed so."""
    made = Second(index)
    for error in errors:
        made.endpoint(ORDERS).add_error(error)
    return made


def test_a_class_of_failure_is_described_by_how_often_and_from_when_to_when() -> None:
    log = FailureLog()
    for second in (second_with(7, "reset"), second_with(3, "reset", "reset", "status-503"), second_with(9)):
        log.note(second)
    found = log.of(ORDERS)
    assert list(found) == ["reset", "status-503"]
    reset = found["reset"]
    assert (reset.count, reset.first_s, reset.last_s) == (3, 3, 7)
    assert reset.per_second == [(3.0, 2), (7.0, 1)]
    assert log.of(("GET", "/")) == {}


def test_the_first_sample_that_came_stands_for_its_class() -> None:
    log = FailureLog()
    log.note(second_with(0, "status-503"))
    for body in ("first", "second"):
        log.offer(Sample(*ORDERS, "status-503", 503, "bad status", body, "POST /orders"))
    (evidence,) = log.of(ORDERS).values()
    assert (evidence.status, evidence.body, evidence.request) == (503, "first", "POST /orders")


def test_beyond_the_limit_of_names_the_shared_entry_and_each_pattern_have_a_sample_of_what_they_cover() -> (
    None
):
    log, second = FailureLog(), Second(3)
    second.endpoint(ORDERS).add_error("status-503")
    for entry in (
        second.endpoint(OVERFLOW_ENDPOINT),
        second.pattern("GET /item/*"),
        second.pattern("GET /pet/*"),
    ):
        entry.add_error("status-503")
    log.note(second)
    for method, name in (ORDERS, ("GET", "/item/7"), ("GET", "/item/8")):
        log.offer(Sample(method, name, "status-503", 503, "bad status", f"body of {name}"))
    assert log.of(OVERFLOW_ENDPOINT)["status-503"].body == "body of /item/7"
    item = log.of_pattern("GET /item/*")["status-503"]
    assert (item.count, item.first_s, item.body) == (1, 3, "body of /item/7")
    assert log.of_pattern("GET /pet/*")["status-503"].body == "", "a sample of none of them was kept"
    assert log.of_pattern("GET /old") == {}


def test_ways_in_which_the_script_raised_are_told_apart_by_text_and_line() -> None:
    log = FailureLog()
    second = Second(4)
    second.add_script_error(("Buyer", "KeyError: 'id'", "shop.py:9 in buy"), 5)
    second.add_script_error(("Buyer", "KeyError: 'id'", "shop.py:12 in pay"), 7)
    log.note(second)
    first, other = log.script_errors()
    assert (first.scenario, first.error, first.where, first.count) == (
        "Buyer",
        "KeyError: 'id'",
        "shop.py:12 in pay",
        7,
    )
    assert (other.count, other.first_s, other.last_s) == (5, 4, 4)


@given(st.lists(st.tuples(st.integers(-5, 200_000), st.integers(1, 9)), min_size=1, max_size=400))
def test_a_series_loses_no_count_and_stays_small_however_long_the_run(events: list[tuple[int, int]]) -> None:
    series = Series()
    for index, count in events:
        series.add(index, count)
    points = series.in_order()
    assert sum(count for _, count in points) == series.count == sum(count for _, count in events)
    assert len(points) <= MOST_POINTS
    assert [t_s for t_s, _ in points] == sorted(t_s for t_s, _ in points)
    assert (series.first_s, series.last_s) == (min(events)[0], max(events)[0])


def test_a_worker_keeps_one_sample_of_each_class_and_reports_a_few_at_a_time() -> None:
    samples = Samples()
    for number in range(2 * MOST_KEPT):
        for _ in range(2):
            if samples.wants("GET", f"/{number}", "reset"):
                samples.add(Sample("GET", f"/{number}", "reset"))
    taken = []
    while batch := samples.take():
        assert len(batch) <= MOST_REPORTED
        taken += batch
    assert len(taken) == MOST_KEPT
    assert len(set(taken)) == MOST_KEPT


def test_the_log_is_bounded_whatever_scripts_put_into_names_and_texts() -> None:
    log = FailureLog()
    for number in range(3 * MOST_KEPT):
        second = Second(number)
        second.endpoint(("GET", f"/{number}")).add_error(f"status-{number}")
        second.add_script_error(("Buyer", f"KeyError: {number}", "shop.py:9 in buy"))
        log.note(second)
        log.offer(Sample("GET", f"/{number}", f"status-{number}"))
    packed = log.pack()
    assert len(packed.failures) == MOST_KEPT
    assert len(packed.samples) == MOST_KEPT
    assert len(packed.script) <= MOST_KEPT + 1
    assert sum(series.count for _, series in packed.script) == 3 * MOST_KEPT, "none is forgotten"


def test_a_log_goes_on_where_a_checkpoint_has_kept_it() -> None:
    log = FailureLog()
    log.note(second_with(3, "reset"))
    log.offer(Sample(*ORDERS, "reset", None, "ConnectionResetError"))
    packed: PackedEvidence = log.pack()
    again = FailureLog(packed)
    again.note(second_with(5, "reset"))
    evidence = again.of(ORDERS)["reset"]
    assert (evidence.count, evidence.first_s, evidence.last_s) == (2, 3, 5)
    assert evidence.text == "ConnectionResetError"
