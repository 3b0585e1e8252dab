"""Locust's statistics, filled in batches, stay bounded whatever a script puts into names and errors."""

from locust.exception import CatchResponseError
from locust.stats import RequestStats

from loadtest.drive.locust_stats import LocustBatch
from loadtest.measure.second import MAX_ENDPOINTS, OVERFLOW, OVERFLOW_ENDPOINT
from loadtest.records import Outcome

MORE = 40


def test_endpoints_beyond_the_bound_share_one_entry_and_none_is_dropped() -> None:
    stats, batch = RequestStats(), LocustBatch()
    for number in range(MAX_ENDPOINTS + MORE):
        outcome = Outcome("GET", f"/orders/{number}", 0, 0, 5_000_000, 10, "failure")
        batch.add(outcome)
        batch.add_error(outcome, CatchResponseError("no"))
    batch.flush(stats)
    assert len(stats.entries) == MAX_ENDPOINTS + 1
    method, name = OVERFLOW_ENDPOINT
    common = stats.entries[name, method]
    assert (common.num_requests, common.num_failures, name) == (MORE, MORE, OVERFLOW)
    assert stats.total.num_requests == MAX_ENDPOINTS + MORE
    assert len(stats.errors) == MAX_ENDPOINTS + 1
    assert sum(row.occurrences for row in stats.errors.values()) == MAX_ENDPOINTS + MORE


def test_a_known_endpoint_keeps_its_entry_after_the_bound_was_reached() -> None:
    stats, batch = RequestStats(), LocustBatch()
    for number in range(MAX_ENDPOINTS + MORE):
        batch.add(Outcome("GET", f"/{number}", 0, 0, 1, 0, None))
    batch.flush(stats)
    batch.add(Outcome("GET", "/0", 0, 0, 1, 0, None))
    batch.flush(stats)
    assert stats.entries["/0", "GET"].num_requests == 2
