"""What the native core notes of requests adds up to what Python counts one by one."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from locust.stats import RequestStats

from loadtest.drive.locust_stats import LocustBatch
from loadtest.measure.histogram import Histogram
from loadtest.measure.window import Window
from loadtest.records import Outcome
from tests.required import native_core

core = native_core()

INSTANT_NS = st.integers(-3_000_000_000, 5_000_000_000)
REQUESTS = st.lists(
    st.tuples(INSTANT_NS, st.integers(0, 10**9), st.integers(0, 4_000_000_000_000), st.integers(0, 10**6)),
    max_size=200,
)
Requests = list[tuple[int, int, int, int]]


def tally_of(requests: Requests) -> Any:
    """A tally of requests given as (intended instant, until sent, until done, bytes)."""
    tally = core.Tally("GET", "/")
    for intended_ns, until_sent_ns, until_done_ns, response_bytes in requests:
        sent_ns = intended_ns + until_sent_ns
        tally.add(intended_ns, sent_ns, sent_ns + until_done_ns, response_bytes)
    return tally


def flushed(batch: LocustBatch) -> dict[str, object]:
    """What Locust's statistics hold once a batch is folded into them."""
    stats = RequestStats()
    batch.flush(stats)
    total = vars(stats.total)
    timed = {"last_request_timestamp", "start_time", "stats", "num_reqs_per_sec"}
    return {name: value for name, value in total.items() if name not in timed}


@given(REQUESTS, INSTANT_NS)
def test_seconds_are_those_of_a_window(requests: Requests, zero_ns: int) -> None:
    window = Window(zero_ns)
    for intended_ns, until_sent_ns, until_done_ns, response_bytes in requests:
        sent_ns = intended_ns + until_sent_ns
        window.record(
            Outcome("GET", "/", intended_ns, sent_ns, sent_ns + until_done_ns, response_bytes, None)
        )
    noted = tally_of(requests).seconds(zero_ns)
    seconds = window.take()
    assert [index for index, *_ in noted] == [second.index for second in seconds]
    for (_, count, size, response, service), second in zip(noted, seconds, strict=True):
        endpoint = second.endpoints["GET", "/"]
        assert (count, size) == (endpoint.requests, endpoint.response_bytes)
        assert Histogram.from_parts(*response) == endpoint.response
        assert Histogram.from_parts(*service) == endpoint.service


@given(REQUESTS)
def test_sums_are_those_of_locusts_batch(requests: Requests) -> None:
    one_by_one, summed = LocustBatch(), LocustBatch()
    for intended_ns, until_sent_ns, until_done_ns, response_bytes in requests:
        sent_ns = intended_ns + until_sent_ns
        one_by_one.add(
            Outcome("GET", "/", intended_ns, sent_ns, sent_ns + until_done_ns, response_bytes, None)
        )
    tally = tally_of(requests)
    if len(tally):
        summed.add_successes("GET", "/", *tally.sums())
    assert flushed(summed) == flushed(one_by_one)


def test_a_cleared_tally_is_empty() -> None:
    tally = tally_of([(0, 0, 0, 1)])
    tally.clear()
    assert (len(tally), tally.seconds(0), tally.sums()[0]) == (0, [], 0)
