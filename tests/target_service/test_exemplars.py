"""Exemplars in shared memory: whose trace they take, which survives, and what a torn record shows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_service.metrics import (
    RECORD_SLOTS,
    REQUEST_SECONDS,
    SECONDS,
    Exemplar,
    Records,
    SharedMetrics,
    newest,
)
from target_service.tags import sampled_trace

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACES = st.integers(1, 2**128 - 1).map(lambda number: f"{number:032x}")


def memory_of(records: int) -> "memoryview[float]":
    return memoryview(bytearray(records * RECORD_SLOTS * 8)).cast("d")


@pytest.mark.parametrize(
    "header", [f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-ff", f"cc-{TRACE}-{SPAN}-01-what.the-future-has"]
)
def test_a_request_whose_trace_is_recorded_gives_it(header: str) -> None:
    assert sampled_trace(header) == TRACE


@pytest.mark.parametrize(
    "header",
    [
        f"00-{TRACE}-{SPAN}-00",
        f"00-{TRACE}-{SPAN}-02",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01\n",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        '00-"} 1 # {',
        "",
    ],
)
def test_what_is_not_recorded_or_no_traceparent_gives_none(header: str) -> None:
    assert sampled_trace(header) is None


@given(st.text(max_size=80))
def test_no_header_gives_anything_but_a_trace_id(header: str) -> None:
    assert sampled_trace(header) is None


@given(st.lists(st.tuples(st.integers(0, 3), TRACES, st.floats(0, 1e4)), max_size=20))
def test_the_last_record_put_under_a_number_is_the_one_that_is_read(
    puts: list[tuple[int, str, float]],
) -> None:
    records = Records(memory_of(4))
    for number, trace_id, seconds in puts:
        records.put(number, trace_id, seconds)
    last = {number: (trace_id, seconds) for number, trace_id, seconds in puts}
    read = {number: (found.trace_id, found.seconds) for number, found in records.present().items()}
    assert read == last


@given(st.integers(0, RECORD_SLOTS * 8 - 1), st.integers(1, 255))
def test_a_record_that_is_only_half_written_is_left_out(place: int, change: int) -> None:
    memory = memory_of(1)
    Records(memory).put(0, TRACE, 0.25)
    memory.cast("B")[place] ^= change
    assert not Records(memory).present()


EXEMPLARS = st.builds(Exemplar, TRACES, st.floats(0, 10), st.integers(0, 5).map(float))


@given(st.lists(st.dictionaries(st.integers(0, 2), EXEMPLARS), max_size=4))
def test_the_newest_of_all_workers_stands_for_a_bucket(workers: list[dict[int, Exemplar]]) -> None:
    merged = newest(workers)
    assert merged.keys() == {number for worker in workers for number in worker}
    for number, kept in merged.items():
        there = [worker[number] for worker in workers if number in worker]
        assert kept in there
        assert kept.at_s == max(found.at_s for found in there)


@given(st.floats(0, 20))
def test_a_request_stands_for_the_bucket_that_it_falls_in(seconds: float) -> None:
    block = SharedMetrics.create(1).blocks[0]
    block.histogram(REQUEST_SECONDS, "pay_order", "shadow").exemplify(seconds, TRACE)
    found = {values: block.exemplars(REQUEST_SECONDS, *values) for values in REQUEST_SECONDS.values}
    assert [values for values, some in found.items() if some] == [("pay_order", "shadow")]
    [bucket] = found["pay_order", "shadow"]
    assert sum(bound < seconds for bound in SECONDS) == bucket
