"""An endpoint in all its regions: one set of statistics, merged from the histograms of each region."""

from collections import Counter
from collections.abc import Iterable, Sequence

from loadtest.measure.histogram import Histogram
from loadtest.measure.run_result import Buckets, Endpoint


def together(parts: Sequence[Endpoint]) -> Endpoint:
    """One endpoint merged from those of its regions, exact to the width of a histogram's bucket."""
    errors: Counter[str] = Counter()
    for part in parts:
        errors.update(part.errors)
    response_ms, response_buckets = histogram_of(part.response_buckets for part in parts).drawn()
    service_ms, service_buckets = histogram_of(part.service_buckets for part in parts).drawn()
    return Endpoint(
        requests=sum(part.requests for part in parts),
        failures=sum(part.failures for part in parts),
        errors=dict(errors),
        response_bytes=sum(part.response_bytes for part in parts),
        response_ms=response_ms,
        service_ms=service_ms,
        response_buckets=response_buckets,
        service_buckets=service_buckets,
    )


def histogram_of(many: Iterable[Buckets]) -> Histogram:
    """One histogram of all these buckets."""
    histogram = Histogram()
    for buckets in many:
        for upper_us, count in zip(buckets.upper_us, buckets.counts, strict=True):
            histogram.record_many(upper_us, count)
    return histogram
