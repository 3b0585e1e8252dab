"""Metrics in shared memory, read back through the text a scrape gets."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from target_service.metrics import (
    COMMIT_SECONDS,
    CREATED,
    IN_FLIGHT,
    SECONDS,
    SharedMetrics,
    WorkerMetrics,
)
from target_service.metrics_page import registry_of


def scraped(shared: SharedMetrics) -> dict[tuple[str, str], float]:
    """Every sample by its name and the values of its labels."""
    text = generate_latest(registry_of(shared.blocks)).decode()
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_counts_of_all_workers_are_added_up() -> None:
    shared = SharedMetrics.create(3)
    for number, block in enumerate(shared.blocks):
        block.counter(CREATED, "live").add(number + 1)
    assert scraped(shared)["orders_created_total", "live"] == 6
    assert scraped(shared)["orders_created_total", "shadow"] == 0


def test_another_process_that_maps_the_memory_counts_in_the_same_place() -> None:
    shared = SharedMetrics.create(2)
    inherited = SharedMetrics(shared.descriptor, 2)
    inherited.blocks[1].counter(CREATED, "shadow").add()
    assert scraped(shared)["orders_created_total", "shadow"] == 1


def test_a_worker_that_is_gone_leaves_its_counts_but_not_its_gauges() -> None:
    shared = SharedMetrics.create(1)
    shared.blocks[0].counter(CREATED, "live").add(5)
    shared.blocks[0].counter(IN_FLIGHT).add(7)
    shared.blocks[0].clear_gauges()
    samples = scraped(shared)
    assert samples["orders_created_total", "live"] == 5
    assert samples["orders_in_flight", ""] == 0


@settings(max_examples=30)
@given(st.lists(st.floats(0, 20), max_size=50))
def test_a_histogram_counts_each_value_in_the_buckets_at_or_above_it(values: list[float]) -> None:
    shared = SharedMetrics.create(1)
    histogram = shared.blocks[0].histogram(COMMIT_SECONDS)
    for value in values:
        histogram.observe(value)
    samples = scraped(shared)
    for bound in SECONDS:
        expected = sum(value <= bound for value in values)
        assert samples["orders_commit_seconds_bucket", str(bound)] == expected
    assert samples["orders_commit_seconds_bucket", "+Inf"] == len(values)
    assert samples["orders_commit_seconds_count", ""] == len(values)
    assert samples["orders_commit_seconds_sum", ""] == pytest.approx(sum(values))


def test_the_series_are_few_and_named_as_in_the_design() -> None:
    samples = scraped(SharedMetrics.create(1))
    assert len(samples) < 500
    assert {name for name, _ in samples} >= {
        "orders_created_total",
        "orders_rejected_total",
        "orders_request_seconds_bucket",
        "orders_commit_seconds_bucket",
        "orders_commit_batch_size_bucket",
        "orders_in_flight",
        "orders_shed_total",
        "orders_store_errors_total",
        "orders_event_loop_lag_seconds_bucket",
        "orders_worker_restarts_total",
        "orders_memory_bytes",
    }


def test_the_store_is_counted_where_the_worker_counts() -> None:
    shared = SharedMetrics.create(1)
    worker = WorkerMetrics(shared.blocks[0])
    worker.committed(64, 0.002)
    worker.failed()
    worker.fault_met("hang")
    samples = scraped(shared)
    assert samples["orders_commit_batch_size_sum", ""] == 64
    assert samples["orders_store_errors_total", ""] == 1
    assert samples["orders_faults_total", "hang"] == 1
