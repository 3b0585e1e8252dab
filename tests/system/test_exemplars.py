"""From a traced request to Prometheus: `query_exemplars` returns the traces of requests of a real run.

The master shows what a request took from its intended instant, the service what of it was its own doing.
"""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from tests.dashboards.prometheus_server import prometheus
from tests.system.locust_fleet import fleet, wait_until
from tests.target_service.service_process import ask, running

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


STORING = "--enable-feature=exemplar-storage"
CALLERS_TRACES = [f"{number:032x}" for number in range(1, 41)]


def stored(prometheus_url: str, metric: str) -> list[dict[str, Any]]:
    """Every exemplar of a histogram's buckets, each with its bucket's `le` in words."""
    query = urlencode({"query": f"{metric}_bucket", "start": 0, "end": 4e9})
    found = ask(prometheus_url, "GET", f"/api/v1/query_exemplars?{query}").json["data"]
    return [{**exemplar, **series["seriesLabels"]} for series in found for exemplar in series["exemplars"]]


def assert_sound(exemplars: list[dict[str, Any]]) -> None:
    for exemplar in exemplars:
        assert re.fullmatch("[0-9a-f]{32}", exemplar["labels"]["trace_id"])
        assert 0 < float(exemplar["value"]) <= float(exemplar["le"])


def test_prometheus_stores_the_traces_that_stand_for_the_requests_of_a_run(tmp_path: Path) -> None:
    with (
        running(tmp_path) as service,
        fleet(tmp_path, service.url, "--trace-fraction", "0.5") as ours,
        prometheus(
            tmp_path,
            {"loadtest": urlsplit(ours.metrics_url).netloc, "orders": urlsplit(service.admin_url).netloc},
            STORING,
        ) as url,
    ):
        assert ask(ours.web_url, "POST", "/swarm", "plan=smoke&peak_tps=20&duration=6s", FORM).json["success"]
        for metric in ("loadtest_response_seconds", "orders_request_seconds"):
            wait_until(lambda metric=metric: stored(url, metric), 40)  # type: ignore[misc]  # a default
            assert_sound(stored(url, metric))
        assert {exemplar["traffic"] for exemplar in stored(url, "orders_request_seconds")} == {"shadow"}
        wait_until(lambda: ask(ours.web_url, "GET", "/peak/live").json["state"] == "done", 40)


@pytest.mark.slow(held_by="test_prometheus_stores_the_traces_that_stand_for_the_requests_of_a_run")
def test_prometheus_stores_a_callers_traces_of_any_of_the_services_workers(tmp_path: Path) -> None:
    with (
        running(tmp_path, "--workers", "2") as service,
        prometheus(tmp_path, {"orders": urlsplit(service.admin_url).netloc}, STORING) as url,
    ):
        for trace_id in CALLERS_TRACES:
            assert service.order(traceparent=f"00-{trace_id}-00f067aa0ba902b7-01").status == 201
        assert service.order(traceparent=f"00-{'f' * 32}-00f067aa0ba902b7-00").status == 201
        assert service.order().status == 201
        wait_until(lambda: stored(url, "orders_request_seconds"), 20)
        exemplars = stored(url, "orders_request_seconds")
    assert_sound(exemplars)
    assert {exemplar["labels"]["trace_id"] for exemplar in exemplars} <= set(CALLERS_TRACES)
    assert {(exemplar["route"], exemplar["traffic"]) for exemplar in exemplars} == {("create_order", "live")}
