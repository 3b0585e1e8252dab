"""Regions put together again."""

import pytest

from loadtest.measure.histogram import Histogram
from loadtest.measure.regions import histogram_of, together
from loadtest.measure.run_result import Endpoint


def endpoint(values_us: list[int], errors: dict[str, int]) -> Endpoint:
    histogram = Histogram()
    for value in values_us:
        histogram.record_us(value)
    return Endpoint(
        requests=len(values_us),
        failures=sum(errors.values()),
        errors=errors,
        response_bytes=10 * len(values_us),
        response_ms=histogram.quantiles(),
        service_ms=histogram.quantiles(),
        response_buckets=histogram.buckets(),
        service_buckets=histogram.buckets(),
    )


def test_two_regions_together_are_what_one_histogram_would_have_seen() -> None:
    first, second = [100 * n for n in range(1, 200)], [5000 + 300 * n for n in range(300)]
    parts = [endpoint(first, {"refused": 2}), endpoint(second, {"refused": 1, "reset": 4})]
    both = together(parts)
    whole = endpoint(first + second, {"refused": 3, "reset": 4})
    assert (both.requests, both.failures, both.errors) == (whole.requests, whole.failures, whole.errors)
    assert both.response_bytes == whole.response_bytes
    assert both.response_buckets == whole.response_buckets
    for name in ("p50", "p99", "p99_9", "max", "mean"):
        assert getattr(both.response_ms, name) == pytest.approx(getattr(whole.response_ms, name), rel=0.009)


def test_no_buckets_are_an_empty_histogram() -> None:
    assert histogram_of([]).count == 0
