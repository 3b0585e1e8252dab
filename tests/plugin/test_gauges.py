"""The target's memory, read from its own Prometheus page."""

import pytest
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from loadtest.plugin.gauges import memory_bytes


def page(name: str, **values: float) -> str:
    registry = CollectorRegistry()
    gauge = Gauge(name, "Memory.", ["of"], registry=registry)
    for label, value in values.items():
        gauge.labels(label).set(value)
    return generate_latest(registry).decode()


@pytest.mark.parametrize("name", ["orders_memory_bytes", "process_resident_memory_bytes"])
def test_memory_is_summed_over_all_that_the_page_tells(name: str) -> None:
    assert memory_bytes(page(name, a=1e6, b=2e6)) == 3e6


def test_our_services_own_figure_goes_before_the_common_one() -> None:
    both = page("process_resident_memory_bytes", a=1.0) + page("orders_memory_bytes", a=2.0)
    assert memory_bytes(both) == 2.0


def test_a_page_without_memory_tells_none() -> None:
    assert memory_bytes(page("requests", a=1.0)) is None


def test_what_is_no_prometheus_page_is_refused() -> None:
    with pytest.raises(ValueError, match="html"):
        memory_bytes("<html>not found</html>")
