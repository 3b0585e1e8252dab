"""Histograms of latency: exact counts in log-linear buckets, so that merging loses nothing.

Values are integer microseconds from 1 us to 1 hour. Every octave [2^k, 2^(k+1)) is divided into 128 buckets
of equal width (values below 256 us have a bucket each), so a bucket's highest and lowest value differ by less
than 1/128 = 0.8 %: the scheme of HdrHistogram (hdrhistogram.org), with a precision between its two and three
digits. Buckets sit at fixed places, hence histograms of any workers and seconds merge by adding counts, and a
quantile of the merged one is a quantile of all their values together, to 0.8 %. Count, sum, minimum and
maximum are exact.

Counts are kept in a dict of the buckets that were hit, mostly a few dozen in a second, so that merging and
sending cost only those. A value out of range is counted at the range's end and in a counter of its own:
nothing is dropped.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import ceil

from loadtest.measure.run_result import Buckets, Quantiles

MIN_US = 1
MAX_US = 3_600_000_000
"""One hour."""

_SUB_BUCKET_BITS = 7
_LINEAR_US = 1 << (_SUB_BUCKET_BITS + 1)
"""Below this every value has a bucket of its own."""

_USUAL = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99_9": 0.999, "p99_99": 0.9999}
HEAT_BITS = 2
"""The heat map's coarse buckets: 2^2 = 4 to an octave."""


def bucket_of(value_us: int) -> int:
    """The index of the bucket a value in range falls in."""
    if value_us < _LINEAR_US:
        return value_us
    shift = value_us.bit_length() - (_SUB_BUCKET_BITS + 1)
    return (shift << _SUB_BUCKET_BITS) + (value_us >> shift)


def upper_us(bucket: int) -> int:
    """The highest value that falls in a bucket."""
    if bucket < _LINEAR_US:
        return bucket
    shift = (bucket >> _SUB_BUCKET_BITS) - 1
    return ((bucket - (shift << _SUB_BUCKET_BITS) + 1) << shift) - 1


BUCKETS = bucket_of(MAX_US) + 1
"""How many buckets there are: 3,287."""

_UPPER_US = [upper_us(bucket) for bucket in range(BUCKETS)]
"""`upper_us` of every bucket: a live result asks for thousands a second."""


class Histogram:
    """How often each latency occurred."""

    __slots__ = ("above", "below", "counts", "max_us", "min_us", "sum_us")

    def __init__(self) -> None:
        """Start empty."""
        self.counts: defaultdict[int, int] = defaultdict(int)
        """Values counted in each bucket that was hit, by `bucket_of`."""
        self.sum_us = 0
        self.min_us = MAX_US
        """The lowest value; the range's upper end while empty."""
        self.max_us = 0
        """The highest value; 0 while empty."""
        self.below = 0
        """How many of the values were under 1 us, and counted as 1 us."""
        self.above = 0
        """How many of the values were over one hour, and counted as one hour."""

    @classmethod
    def from_parts(  # noqa: PLR0917 - as the native core gives them
        cls, counts: Mapping[int, int], sum_us: int, min_us: int, max_us: int, below: int, above: int
    ) -> "Histogram":
        """A histogram of values that were counted elsewhere, by `bucket_of`."""
        made = cls()
        made.counts.update(counts)
        made.sum_us, made.min_us, made.max_us = sum_us, min_us, max_us
        made.below, made.above = below, above
        return made

    @property
    def count(self) -> int:
        """How many values were recorded."""
        return sum(self.counts.values())

    def record_ns(self, value_ns: int) -> None:
        """Count one value in nanoseconds, rounded to the nearest microsecond.

        The hot path: two calls a request. A value out of range is always a new minimum or maximum, or equal
        to one that was clamped, so only those branches need to look for it.
        """
        value_us = (value_ns + 500) // 1000
        if value_us < self.min_us:
            if value_us < MIN_US:
                value_us = MIN_US
                self.below += 1
            self.min_us = value_us
        if value_us > self.max_us:
            if value_us > MAX_US:
                value_us = MAX_US
                self.above += 1
            self.max_us = value_us
        self.sum_us += value_us
        if value_us < _LINEAR_US:
            self.counts[value_us] += 1
        else:  # bucket_of, without the call
            shift = value_us.bit_length() - 8
            self.counts[(shift << 7) + (value_us >> shift)] += 1

    def record_us(self, value_us: int) -> None:
        """Count one value in microseconds."""
        self.record_many(value_us, 1)

    def record_many(self, value_us: int, n: int) -> None:
        """Count a value in microseconds `n` times. Raises ValueError for a negative `n`."""
        if n < 0:
            raise ValueError(f"expected a count of 0 or more, got {n}")
        if n == 0:
            return
        self.below += n * (value_us < MIN_US)
        self.above += n * (value_us > MAX_US)
        value_us = min(max(value_us, MIN_US), MAX_US)
        self.min_us = min(self.min_us, value_us)
        self.max_us = max(self.max_us, value_us)
        self.sum_us += n * value_us
        self.counts[bucket_of(value_us)] += n

    def merge(self, other: "Histogram") -> None:
        """Count everything that `other` counted, which is left as it is."""
        counts = self.counts
        for bucket, n in other.counts.items():
            counts[bucket] += n
        self.sum_us += other.sum_us
        self.min_us = min(self.min_us, other.min_us)
        self.max_us = max(self.max_us, other.max_us)
        self.below += other.below
        self.above += other.above

    def without(self, other: "Histogram") -> "Histogram":
        """This histogram less `other`, which must be contained in it.

        Counts and sum are exact; minimum and maximum are as exact as buckets are, where they were `other`'s.
        """
        left = Histogram()
        for bucket, n in self.counts.items():
            rest = n - other.counts.get(bucket, 0)
            if rest > 0:
                left.counts[bucket] = rest
        if left.counts:
            lowest, highest = min(left.counts), max(left.counts)
            left.min_us = self.min_us if lowest == bucket_of(self.min_us) else upper_us(lowest)
            left.max_us = min(upper_us(highest), self.max_us)
            left.sum_us = max(self.sum_us - other.sum_us, left.count * left.min_us)
        left.below = max(0, self.below - other.below)
        left.above = max(0, self.above - other.above)
        return left

    def quantile(self, q: float) -> int:
        """The value, in microseconds, that a share `q` of all values does not exceed; 0 if empty.

        It is the value of rank ceil(q * count), at least rank 1, in ascending order, reported as the highest
        value of its bucket (at most the maximum): never too low, and less than 0.8 % too high. Raises
        ValueError unless 0 <= q <= 1.
        """
        return self.quantiles_us((q,))[0]

    def count_over(self, value_us: int) -> int:
        """How many values are in buckets above that of `value_us`."""
        bucket = bucket_of(value_us)
        return sum(n for other, n in self.counts.items() if other > bucket)

    def quantiles_us(self, ascending: tuple[float, ...]) -> list[int]:
        """`quantile` of each of several shares, ascending, in one pass."""
        if not all(0 <= q <= 1 for q in ascending):
            raise ValueError(f"expected quantiles from 0 to 1, got {ascending}")
        buckets = sorted(self.counts)
        reached = list(accumulate(map(self.counts.__getitem__, buckets)))
        upper = [min(_UPPER_US[bucket], self.max_us) for bucket in buckets]
        return [_at(q, upper, reached) for q in ascending]

    def quantiles(self) -> Quantiles:
        """Count, mean, maximum and the usual quantiles, in milliseconds."""
        return self.drawn()[0]

    def buckets(self) -> Buckets:
        """Every bucket that was hit, ascending."""
        return self.drawn()[1]

    def drawn(self) -> tuple[Quantiles, Buckets]:
        """`quantiles` and `buckets` together, because sorting, which costs most, is done once."""
        hit = sorted(self.counts)
        counts = [self.counts[bucket] for bucket in hit]
        upper = [_UPPER_US[bucket] for bucket in hit]
        if upper:
            upper[-1] = min(upper[-1], self.max_us)
        reached = list(accumulate(counts))
        total = reached[-1] if reached else 0
        quantiles = Quantiles(
            count=total,
            max=self.max_us / 1000,
            mean=self.sum_us / total / 1000 if total else 0.0,
            **{name: _at(q, upper, reached) / 1000 for name, q in _USUAL.items()},
        )
        return quantiles, Buckets(upper_us=upper, counts=counts)

    def heat(self) -> list[tuple[int, int]]:
        """(highest microsecond, count) of four coarse buckets to an octave, ascending, for a heat map."""
        coarse: defaultdict[int, int] = defaultdict(int)
        for bucket, n in self.counts.items():
            value_us = upper_us(bucket)
            shift = max(value_us.bit_length() - HEAT_BITS - 1, 0)
            coarse[(((value_us >> shift) + 1) << shift) - 1] += n
        return sorted(coarse.items())

    def __eq__(self, other: object) -> bool:
        """Whether both counted the same."""
        if not isinstance(other, Histogram):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]  # it changes, so it must not be a key

    def __repr__(self) -> str:
        """What a failing test shows."""
        return f"Histogram(count={self.count}, min_us={self.min_us}, max_us={self.max_us})"


def _at(quantile: float, upper_us: Sequence[int], reached: Sequence[int]) -> int:
    """The bound of the bucket that a share of all values reaches; `reached` counts them up to each."""
    if not reached:
        return 0
    # 0.07 * 100 is 7.000000000000001 in binary, and means rank 7.
    return upper_us[bisect_left(reached, max(1, ceil(round(quantile * reached[-1], 6))))]
