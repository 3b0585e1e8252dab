"""What the core, native or pure, notes of requests adds up to what is counted one by one."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from locust.stats import RequestStats

from loadtest.drive._core import pure
from loadtest.drive.locust_stats import LocustBatch
from loadtest.measure.histogram import Histogram
from loadtest.measure.second import OpenSeconds
from loadtest.records import Exchange, Outcome
from tests.required import native_core


@pytest.fixture(params=["native", "pure"], scope="module")
def core(request: pytest.FixtureRequest) -> Any:
    """One of the two cores."""
    return pure if request.param == "pure" else native_core()


INSTANT_NS = st.integers(-3_000_000_000, 5_000_000_000)
REQUESTS = st.lists(
    st.tuples(
        INSTANT_NS,
        st.integers(0, 10**9),
        st.integers(1, 4_000_000_000_000),
        st.integers(0, 10**6),
        st.sampled_from([0, 0, 1, 2]),
    ),
    max_size=200,
)
Requests = list[tuple[int, int, int, int, int]]


def tally_of(core: Any, requests: Requests) -> Any:
    """A tally of requests given as (intended instant, until sent, until done, bytes, pieces the response came in)."""
    tally = core.Tally("GET", "/")
    for request in requests:
        outcome = outcome_of(*request)
        assert outcome.exchange is not None
        tally.add(*outcome[2:6], *outcome.exchange[:3])
    return tally


def outcome_of(intended_ns: int, until_sent_ns: int, until_done_ns: int, size: int, pieces: int) -> Outcome:
    """A success, as Python counts it."""
    sent_ns = intended_ns + until_sent_ns
    first_ns = sent_ns + until_done_ns // pieces if pieces else 0
    exchange = Exchange(first_ns, 80, size + 40)
    return Outcome("GET", "/", intended_ns, sent_ns, sent_ns + until_done_ns, size, None, exchange)


def flushed(batch: LocustBatch) -> dict[str, object]:
    """What Locust's statistics hold once a batch is folded into them."""
    stats = RequestStats()
    batch.flush(stats)
    total = vars(stats.total)
    timed = {"last_request_timestamp", "start_time", "stats", "num_reqs_per_sec", "response_times_cache"}
    return {name: value for name, value in total.items() if name not in timed}


@given(REQUESTS, INSTANT_NS)
def test_seconds_are_those_of_open_seconds(core: Any, requests: Requests, zero_ns: int) -> None:
    open_seconds = OpenSeconds(zero_ns)
    for request in requests:
        open_seconds.record(outcome_of(*request))
    noted = tally_of(core, requests).seconds(zero_ns)
    seconds = open_seconds.take()
    assert [index for index, *_ in noted] == [second.index for second in seconds]
    for (_, counts, response, service, first_byte), second in zip(noted, seconds, strict=True):
        endpoint = second.endpoints["GET", "/"]
        seen = (endpoint.requests, endpoint.response_bytes, endpoint.sent_bytes, endpoint.received_bytes)
        assert counts == seen
        assert (None if first_byte is None else Histogram.from_parts(*first_byte)) == endpoint.first_byte
        assert Histogram.from_parts(*response) == endpoint.response
        assert Histogram.from_parts(*service) == endpoint.service


@given(REQUESTS)
def test_sums_are_those_of_locusts_batch(core: Any, requests: Requests) -> None:
    one_by_one, summed = LocustBatch(), LocustBatch()
    for request in requests:
        one_by_one.add(outcome_of(*request))
    tally = tally_of(core, requests)
    if len(tally):
        summed.add_successes("GET", "/", *tally.sums())
    assert flushed(summed) == flushed(one_by_one)


def test_a_cleared_tally_is_empty(core: Any) -> None:
    tally = tally_of(core, [(0, 0, 1, 1, 0)])
    tally.clear()
    assert (len(tally), tally.seconds(0), tally.sums()[0]) == (0, [], 0)
