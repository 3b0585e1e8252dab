"""Histograms as bytes: what a worker sends to the master each second, for every endpoint.

The layout, all little-endian: a header of fixed size, then the buckets that were hit as an array of 16-bit
indexes in ascending order, then their counts as an array of 8-bit numbers (32 or 64 bits where one does not
fit). Arrays become bytes, and bytes arrays, in one call, so the master pays only for the buckets it adds.

Bytes come from another process, possibly a stranger's: every field is checked against the others before a
single count is added, and whatever does not fit is a `CodecError`.
"""

import sys
from array import array
from collections.abc import Iterable
from struct import Struct, error
from typing import NamedTuple

from loadtest.measure.histogram import BUCKETS, MAX_US, Histogram, bucket_of

VERSION = 1

_HEADER = Struct("<BBHIIQQQQ")
"""version, bytes a count, buckets, min_us, max_us, count, sum_us, below, above."""

_COUNT_TYPES = {1: "B", 4: "I", 8: "Q"}
_BIG_ENDIAN = sys.byteorder == "big"


class CodecError(ValueError):
    """These bytes are not an encoded histogram."""


def encode(histogram: Histogram) -> bytes:
    """The histogram as bytes: 44, and mostly three for each bucket hit. Raises CodecError beyond 64 bits."""
    items = sorted(histogram.counts.items())
    numbers = [n for _, n in items]
    highest = max(numbers, default=0)
    width = 1 if highest < 1 << 8 else 4 if highest < 1 << 32 else 8
    extremes = (histogram.min_us, histogram.max_us)
    sums = (sum(numbers), histogram.sum_us, histogram.below, histogram.above)
    try:
        header = _HEADER.pack(VERSION, width, len(items), *extremes, *sums)
    except error:
        raise CodecError(
            f"a histogram of {sums[0]} values and {sums[1]} us is too large for 64 bits"
        ) from None
    return header + _to_bytes("H", [bucket for bucket, _ in items]) + _to_bytes(_COUNT_TYPES[width], numbers)


def decode(data: bytes) -> Histogram:
    """The histogram that was encoded. Raises CodecError."""
    histogram = Histogram()
    merge_into(histogram, data)
    return histogram


def merge_into(histogram: Histogram, data: bytes) -> None:
    """Add an encoded histogram to another one, without building it. Raises CodecError, adding nothing."""
    add(histogram, parse(data))


class Parsed(NamedTuple):
    """An encoded histogram that has been checked: what `add` adds."""

    hit: list[int]
    """Buckets, ascending."""
    numbers: list[int]
    """How often each was hit."""
    min_us: int
    max_us: int
    sum_us: int
    below: int
    above: int


def parse(data: bytes) -> Parsed:
    """Check the bytes of a histogram completely. Raises CodecError."""
    if len(data) < _HEADER.size:
        raise CodecError(f"expected a histogram of at least {_HEADER.size} bytes, got {len(data)}")
    version, width, buckets, min_us, max_us, count, sum_us, below, above = _HEADER.unpack_from(data)
    if version != VERSION or width not in _COUNT_TYPES:
        raise CodecError(f"expected a histogram of version {VERSION}, got version {version}, width {width}")
    if buckets > BUCKETS or len(data) != _HEADER.size + buckets * (2 + width):
        raise CodecError(f"a histogram of {buckets} buckets cannot have {len(data)} bytes")
    split = _HEADER.size + 2 * buckets
    hit = _from_bytes("H", data[_HEADER.size : split])
    numbers = list(data[split:]) if width == 1 else _from_bytes(_COUNT_TYPES[width], data[split:])
    if sum(numbers) != count or 0 in numbers or below + above > count:
        raise CodecError(f"the counts of a histogram do not add up to its {count} values")
    if count:
        _check_range(hit, min_us, max_us)
        if not count * min_us <= sum_us <= count * max_us:
            raise CodecError(f"{count} values from {min_us} to {max_us} us cannot add up to {sum_us} us")
    elif (min_us, max_us, sum_us) != (MAX_US, 0, 0):
        raise CodecError("an empty histogram has no minimum, maximum and sum")
    return Parsed(hit, numbers, min_us, max_us, sum_us, below, above)


def add(histogram: Histogram, parsed: Parsed) -> None:
    """Count everything that a parsed histogram counted."""
    hit, numbers, min_us, max_us, sum_us, below, above = parsed
    counts = histogram.counts
    for bucket, n in zip(hit, numbers, strict=True):
        counts[bucket] += n
    histogram.sum_us += sum_us
    histogram.min_us = min(histogram.min_us, min_us)
    histogram.max_us = max(histogram.max_us, max_us)
    histogram.below += below
    histogram.above += above


def _check_range(hit: list[int], min_us: int, max_us: int) -> None:
    """Buckets ascend from the minimum's to the maximum's, which are in range."""
    if not 1 <= min_us <= max_us <= MAX_US or hit[0] != bucket_of(min_us) or hit[-1] != bucket_of(max_us):
        raise CodecError(f"buckets {hit[0]} to {hit[-1]} cannot hold values from {min_us} to {max_us} us")
    if sorted(hit) != hit:  # on a list that ascends already this costs one pass in C
        raise CodecError("the buckets of a histogram ascend")


def _to_bytes(typecode: str, values: Iterable[int]) -> bytes:
    packed = array(typecode, values)
    if _BIG_ENDIAN:
        packed.byteswap()
    return packed.tobytes()


def _from_bytes(typecode: str, data: bytes) -> list[int]:
    values = array(typecode)
    values.frombytes(data)
    if _BIG_ENDIAN:
        values.byteswap()
    return values.tolist()
