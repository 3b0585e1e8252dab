"""A run second by second, as `observed_locustfile` writes it down and a paired benchmark reads it."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from loadtest.measure import codec
from loadtest.measure.histogram import Histogram

FILE = "seconds.jsonl"


class ZeroLine(msgspec.Struct):
    """The first line: when the plan's time zero is."""

    zero_wall_s: float
    """Seconds since 1970."""


class SecondLine(msgspec.Struct):
    """Any other line: a second of the run."""

    index: int
    """Whole seconds since time zero."""
    latencies: dict[str, bytes]
    """By metric, as `loadtest.measure.codec` writes a histogram; each in the second it was intended in."""


def zero_wall_s(folder: Path) -> float | None:
    """When time zero of a run is, in seconds since 1970; None while that is not known."""
    path = folder / FILE
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    whole = lines and lines[0].endswith(b"\n")
    return msgspec.json.decode(lines[0], type=ZeroLine).zero_wall_s if whole else None


def read_seconds(folder: Path) -> dict[int, SecondLine]:
    """Every second of a run that has ended, by its index."""
    lines = (folder / FILE).read_bytes().splitlines()[1:]
    seconds = (msgspec.json.decode(line, type=SecondLine) for line in lines)
    return {second.index: second for second in seconds}


def added_up(seconds: Sequence[SecondLine]) -> dict[str, bytes]:
    """Some seconds as one, by metric."""
    totals: dict[str, Histogram] = {}
    for second in seconds:
        for metric, data in second.latencies.items():
            codec.merge_into(totals.setdefault(metric, Histogram()), data)
    return {metric: codec.encode(total) for metric, total in totals.items()}
