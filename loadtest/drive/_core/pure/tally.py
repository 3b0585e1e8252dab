"""What went well at one endpoint, noted in one tuple a request and summed up in bulk: the twin of `tally.pxi`.

A tally is emptied once a second, when it is full, and before anybody reads what it is emptied into. Failures are not
noted here: they have more to say, and are counted one by one.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from loadtest.measure.histogram import MAX_US, MIN_US, bucket_of

SECOND_NS = 1_000_000_000
TENTH_MS_NS = 100_000
MOST_NOTED = 512
"""How many are summed up at once: a tenth of a millisecond, for which nothing else runs."""

Noted = tuple[int, int, int, int, int, int, int]
"""(intended, sent, done, response bytes, first byte, bytes sent, bytes received); instants in ns of the run clock."""
HistogramParts = tuple[Mapping[int, int], int, int, int, int, int]
"""(counts, sum_us, min_us, max_us, below, above) of `measure.histogram.Histogram`."""


class Tally(list[Noted]):
    """The successes of one endpoint since it was last emptied."""

    def __init__(self, method: str, name: str) -> None:
        super().__init__()
        self.method, self.name = method, name

    def add(  # noqa: PLR0917 - as the native one, for tests
        self,
        intended_ns: int,
        sent_ns: int,
        done_ns: int,
        response_bytes: int,
        first_ns: int = 0,
        sent_bytes: int = 0,
        received_bytes: int = 0,
    ) -> None:
        """Note one success."""
        self.append((intended_ns, sent_ns, done_ns, response_bytes, first_ns, sent_bytes, received_bytes))

    def sums(self) -> tuple[int, int, int, int, int, dict[int, int]]:
        """(count, sum of response times, least, greatest, bytes, {tenths of a millisecond: count}), in ns."""
        taken_ns = [one[2] - one[0] for one in self]
        tenths_ms = Counter([response_ns // TENTH_MS_NS for response_ns in taken_ns])
        size = sum([one[3] for one in self])
        return len(self), sum(taken_ns), min(taken_ns, default=0), max(taken_ns, default=0), size, tenths_ms

    def seconds(
        self, zero_ns: int
    ) -> list[tuple[int, tuple[int, int, int, int], HistogramParts, HistogramParts, HistogramParts | None]]:
        """For each second since `zero_ns` with an intent in it: (index, counts, response, service, first byte).

        Counts are requests and bytes: of bodies received, sent, received. First byte is None where every response
        came whole, so that its first byte came with its last.
        """
        of_second: dict[int, list[Noted]] = {}
        for one in self:
            of_second.setdefault((one[0] - zero_ns) // SECOND_NS, []).append(one)
        return [(index, *_summed_up(of_second[index])) for index in sorted(of_second)]


def _summed_up(
    noted: Sequence[Noted],
) -> tuple[tuple[int, int, int, int], HistogramParts, HistogramParts, HistogramParts | None]:
    intended, sent, done, sizes, first, sent_bytes, received_bytes = zip(*noted, strict=True)
    whole = not any(first) or all(not a or a == b for a, b in zip(first, done, strict=True))
    first_byte = (
        None if whole else _histogram([(a or b) - c for a, b, c in zip(first, done, sent, strict=True)])
    )
    return (
        (len(noted), sum(sizes), sum(sent_bytes), sum(received_bytes)),
        _histogram([b - a for a, b in zip(intended, done, strict=True)]),
        _histogram([b - a for a, b in zip(sent, done, strict=True)]),
        first_byte,
    )


def _histogram(spans_ns: Sequence[int]) -> HistogramParts:
    """The parts of a histogram of these values; see `Histogram.record_ns`."""
    values = Counter([(span_ns + 500) // 1000 for span_ns in spans_ns])
    below = above = total_us = 0
    counts: dict[int, int] = {}
    for value_us, count in values.items():
        if value_us < MIN_US:
            below += count
        elif value_us > MAX_US:
            above += count
        within_us = min(max(value_us, MIN_US), MAX_US)
        total_us += within_us * count
        bucket = bucket_of(within_us)
        counts[bucket] = counts.get(bucket, 0) + count
    least_us, most_us = (min(max(edge, MIN_US), MAX_US) for edge in (min(values), max(values)))
    return counts, total_us, least_us, most_us, below, above
