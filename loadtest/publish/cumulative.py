"""Our histograms as Prometheus has them: few fixed buckets, each counting all that is at most its bound."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import accumulate, repeat

from prometheus_client import samples

from loadtest.measure import exemplar
from loadtest.measure.histogram import BUCKETS, Histogram, upper_us


def with_exemplars(
    buckets: Sequence[tuple[str, float]], exemplars: Mapping[int, exemplar.Exemplar]
) -> list[tuple[str, float] | tuple[str, float, samples.Exemplar]]:
    """Buckets as prometheus-client takes them; those that a traced request stands for with its trace's id."""
    return [
        (*bucket, _drawn(exemplars[number])) if number in exemplars else bucket
        for number, bucket in enumerate(buckets)
    ]


def _drawn(chosen: exemplar.Exemplar) -> samples.Exemplar:
    return samples.Exemplar({"trace_id": chosen.trace_id}, chosen.response_us / 1e6, chosen.at_ms / 1e3)


def cumulative(histogram: Histogram, bounds_s: tuple[float, ...]) -> list[tuple[str, float]]:
    """(`le`, how many values are at most that) for each bound in seconds and +Inf."""
    places = _places(bounds_s)
    counts = [0] * (len(bounds_s) + 1)
    for bucket, n in histogram.counts.items():
        counts[places[bucket]] += n
    # The maximum is exact, the end of its bucket is not: nothing is above the first bound that it reaches.
    reached = bisect_left(_bounds_us(bounds_s), histogram.max_us)
    totals = [*accumulate(counts[:reached]), *repeat(histogram.count, len(counts) - reached)]
    names = [*(str(bound) for bound in bounds_s), "+Inf"]
    return list(zip(names, map(float, totals), strict=True))


@cache
def _places(bounds_s: tuple[float, ...]) -> list[int]:
    """For each bucket of ours, the first bound that none of its values exceeds; a search for each would cost more."""
    return [bisect_left(_bounds_us(bounds_s), upper_us(bucket)) for bucket in range(BUCKETS)]


@cache
def _bounds_us(bounds_s: tuple[float, ...]) -> list[int]:
    return [round(bound * 1e6) for bound in bounds_s]
