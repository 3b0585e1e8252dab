"""The codec: what goes in comes out, and what never went in is refused."""

from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.measure.codec import CodecError, decode, encode, merge_into
from loadtest.measure.histogram import MAX_US, Histogram

few = st.tuples(st.integers(-10, 2 * MAX_US), st.integers(1, 300))
many = st.tuples(st.integers(1, 1_000_000), st.integers(1, 2**33))
entries = st.lists(st.one_of(few, many), max_size=40)


def histogram_of(values: list[tuple[int, int]]) -> Histogram:
    histogram = Histogram()
    for value_us, n in values:
        histogram.record_many(value_us, n)
    return histogram


@settings(deadline=None)
@given(entries)
def test_a_histogram_survives_the_journey(values: list[tuple[int, int]]) -> None:
    histogram = histogram_of(values)
    assert decode(encode(histogram)) == histogram


@pytest.mark.parametrize("n", [1, 255, 256, 2**32 - 1, 2**32])
def test_counts_of_every_width_survive_the_journey(n: int) -> None:
    histogram = histogram_of([(1, n), (2, 1)])
    assert decode(encode(histogram)) == histogram


@settings(deadline=None)
@given(st.lists(entries, max_size=5))
def test_merging_bytes_is_the_same_as_merging_histograms(parts: list[list[tuple[int, int]]]) -> None:
    from_bytes, direct = Histogram(), Histogram()
    for part in parts:
        merge_into(from_bytes, encode(histogram_of(part)))
        direct.merge(histogram_of(part))
    assert from_bytes == direct
    assert encode(from_bytes) == encode(direct)


def test_a_seconds_worth_is_small() -> None:
    histogram = histogram_of([(1000 + 50 * k, 3) for k in range(50)])
    assert len(encode(histogram)) == 44 + 3 * len(histogram.counts)


@settings(max_examples=300, deadline=None)
@given(entries, st.data())
def test_a_changed_byte_is_refused_or_still_a_consistent_histogram(
    values: list[tuple[int, int]], data: st.DataObject
) -> None:
    packed = bytearray(encode(histogram_of(values)))
    place = data.draw(st.integers(0, len(packed) - 1))
    packed[place] = data.draw(st.integers(0, 255))
    try:
        histogram = decode(bytes(packed))
    except CodecError:
        return
    if not histogram.count:
        assert histogram == Histogram()
        return
    assert histogram.count * histogram.min_us <= histogram.sum_us <= histogram.count * histogram.max_us
    assert 1 <= histogram.quantile(0) <= histogram.quantile(1) == histogram.max_us <= MAX_US


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(CodecError):
        decode(data)


def body(indexes: list[int], numbers: list[int]) -> bytes:
    return pack(f"<{len(indexes)}H", *indexes) + bytes(numbers)


def header(
    *, version: int = 1, width: int = 1, buckets: int = 2, min_us: int = 5, max_us: int = 9, count: int = 3,
    sum_us: int = 19, below: int = 0, above: int = 0,
) -> bytes:  # fmt: skip
    return pack("<BBHIIQQQQ", version, width, buckets, min_us, max_us, count, sum_us, below, above)


GOOD = body([5, 9], [2, 1])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "at least 44 bytes, got 0"),
        (header(version=2) + GOOD, "expected a histogram of version 1, got version 2"),
        (header(width=3) + GOOD, "width 3"),
        (header() + GOOD + b"\0", "a histogram of 2 buckets cannot have 51 bytes"),
        (header(buckets=60_000) + GOOD, "a histogram of 60000 buckets"),
        (header(count=4) + GOOD, "do not add up to its 4 values"),
        (header() + body([5, 9], [3, 0]), "do not add up"),
        (header(below=2, above=2) + GOOD, "do not add up"),
        (header() + body([9, 5], [2, 1]), "cannot hold values from 5 to 9 us"),
        (header(buckets=4) + body([5, 9, 6, 9], [1, 1, 0, 1]), "do not add up"),
        (header(buckets=3, sum_us=20) + body([5, 9, 9], [1, 1, 1]), None),
        (
            header(buckets=4, count=4, sum_us=24) + body([5, 8, 6, 9], [1, 1, 1, 1]),
            "buckets of a histogram ascend",
        ),
        (header(min_us=4) + GOOD, "cannot hold values from 4 to 9 us"),
        (header(max_us=2**32 - 1) + GOOD, "cannot hold values"),
        (header(sum_us=28) + GOOD, "cannot add up to 28 us"),
        (header(buckets=0, count=0), "an empty histogram has no"),
    ],
)
def test_bytes_that_contradict_themselves_are_refused(data: bytes, message: str | None) -> None:
    target = Histogram()
    if message is None:
        merge_into(target, data)
        assert target.count == 3
        return
    with pytest.raises(CodecError, match=message):
        merge_into(target, data)
    assert target == Histogram()


def test_a_histogram_beyond_64_bits_is_refused() -> None:
    histogram = Histogram()
    histogram.record_many(MAX_US, 2**40)
    with pytest.raises(CodecError, match="too large"):
        encode(histogram)
