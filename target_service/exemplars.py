"""Which request stands for a bucket of durations: the newest whose trace can be looked up.

A caller that records a trace says so in `traceparent` (W3C Trace Context, sampled flag); the trace of a request that
carries none, or is not recorded, cannot be looked up and costs a look at the headers. Records lie in the workers'
shared memory beside the counts. A worker may be killed, or read, in the middle of writing one, so each carries its
checksum, and what does not add up is left out: that needs no lock and no word between the processes.
"""

import re
import struct
from collections.abc import Iterable, Mapping
from time import time
from typing import NamedTuple
from zlib import crc32

from multidict import istr

TRACEPARENT = istr("traceparent")

_TIMES = struct.Struct("<dd")
"""Seconds, and seconds since 1970, which follow the 16 bytes of the trace id."""
_CHECKED = struct.Struct(f"<{16 + _TIMES.size}sII")
"""Such a record, its CRC-32, and 1 where there is one."""
RECORD_SLOTS = _CHECKED.size // 8
"""Doubles that one record takes."""

_TRACEPARENT = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?"
)
_SAMPLED = 0x01


def sampled_trace(traceparent: str) -> str | None:
    """The trace that a request belongs to; None if it is not recorded, or the header is none (section 3.2)."""
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None or (found[1] == "00" and found[4] is not None) or not int(found[3], 16) & _SAMPLED:
        return None
    return found[2]


class Exemplar(NamedTuple):
    """The request that stands for a bucket."""

    trace_id: str
    seconds: float
    at_s: float
    """When it ended, in seconds since 1970."""


class Records:
    """One worker's exemplars, by number; one writer."""

    def __init__(self, memory: "memoryview[float]") -> None:
        """In the doubles of `memory`, `RECORD_SLOTS` each."""
        self._memory = memory.cast("B")

    def put(self, number: int, trace_id: str, seconds: float) -> None:
        """Make a request that ends now the exemplar of a bucket. `trace_id` has 32 hexadecimal digits."""
        record = bytes.fromhex(trace_id) + _TIMES.pack(seconds, round(time(), 3))
        _CHECKED.pack_into(self._memory, number * _CHECKED.size, record, crc32(record), 1)

    def present(self) -> dict[int, Exemplar]:
        """The exemplars by their number, without one that is being written."""
        memory = bytes(self._memory)
        if memory == bytes(len(memory)):  # no request is traced: spare the scrape the rest
            return {}
        return {
            number: Exemplar(record[:16].hex(), *_TIMES.unpack(record[16:]))
            for number, (record, checksum, is_there) in enumerate(_CHECKED.iter_unpack(memory))
            if is_there == 1 and crc32(record) == checksum
        }


def newest(workers: Iterable[Mapping[int, Exemplar]]) -> dict[int, Exemplar]:
    """The newest exemplar of all workers under each number."""
    kept: dict[int, Exemplar] = {}
    for exemplars in workers:
        for number, exemplar in exemplars.items():
            kept[number] = max(exemplar, kept.get(number, exemplar), key=lambda one: one.at_s)
    return kept
