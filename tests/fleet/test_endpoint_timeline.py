"""Endpoints over a run: nothing is lost, the worst stays, and memory is bounded."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from loadtest.fleet.endpoint_timeline import MAX_BINS, MAX_ENDPOINTS, EndpointTimeline, PackedEndpoints
from loadtest.measure.second import Second

KEY = ("GET", "/")


def second(index: int, *times_us: int, failures: int = 0) -> Second:
    made = Second(index)
    endpoint = made.endpoint(KEY)
    for time_us in times_us:
        endpoint.requests += 1
        endpoint.response.record_us(time_us)
    endpoint.failures = failures
    return made


@given(st.lists(st.integers(0, 100_000), max_size=60))
def test_every_request_is_in_one_bin_and_bins_are_few(indices: list[int]) -> None:
    timeline = EndpointTimeline()
    for index in indices:
        timeline.add(second(index, 1000))
    seen = timeline.over_time(KEY, [])
    assert (sum(seen.requests) if seen else 0) == len(indices)
    if seen:
        assert len(seen.t_s) <= MAX_BINS
        assert seen.t_s == sorted(set(seen.t_s))


def test_a_long_run_keeps_its_worst_second_and_counts_them_all() -> None:
    timeline = EndpointTimeline()
    for index in range(3 * MAX_BINS):
        timeline.add(second(index, 90_000 if index == 500 else 1000, failures=1))
    seen = timeline.over_time(KEY, [])
    assert seen is not None
    assert (seen.bin_s, sum(seen.failures)) == (4, 3 * MAX_BINS)
    assert 90 <= max(seen.p99_ms) < 91
    assert seen.t_s[seen.p99_ms.index(max(seen.p99_ms))] == 500


def test_seconds_that_are_still_whole_are_shown_and_not_kept() -> None:
    timeline = EndpointTimeline()
    timeline.add(second(0, 1000))
    for _ in range(2):
        seen = timeline.over_time(KEY, [second(1, 2000)])
        assert seen is not None
        assert seen.requests == [1, 1]


def test_a_script_that_puts_ids_into_names_fills_no_memory() -> None:
    timeline = EndpointTimeline()
    for number in range(2 * MAX_ENDPOINTS):
        made = Second(0)
        made.endpoint(("GET", f"/{number}")).requests = 1
        timeline.add(made)
    assert timeline.over_time(("GET", "/0"), []) is not None
    assert timeline.over_time(("GET", f"/{MAX_ENDPOINTS}"), []) is None


def test_a_checkpoint_brings_it_back() -> None:
    timeline = EndpointTimeline()
    for index in range(2 * MAX_BINS):
        timeline.add(second(index, 1000 + index))
    packed = msgspec.msgpack.decode(msgspec.msgpack.encode(timeline.pack()), type=PackedEndpoints)
    assert EndpointTimeline(packed).over_time(KEY, []) == timeline.over_time(KEY, [])
