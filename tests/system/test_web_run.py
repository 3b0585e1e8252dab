"""One run from the web UI of a fleet: its audit, and what Prometheus has of it, scraped and pushed to.

The master shows what a request took from its intended instant, the service what of it was its own doing.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest
from prometheus_client.parser import text_string_to_metric_families

from loadtest.measure.run_result import RunResult
from tests.dashboards.prometheus_server import prometheus
from tests.ports import free_port
from tests.system.locust_fleet import Fleet, fleet, wait_until
from tests.target_service.service_process import ask, running

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
STORING = "--enable-feature=exemplar-storage"
RECEIVING = "--web.enable-remote-write-receiver"
CALLERS_TRACES = [f"{number:032x}" for number in range(1, 41)]
PUSHED = "loadtest"
"""The job of what the master pushes; what is scraped here has other jobs."""
ADDED = {"job", "instance"}
Values = dict[tuple[tuple[str, str], ...], float]


@dataclass(frozen=True)
class WebRun:
    """A run that is done, whose master and Prometheus still answer."""

    fleet: Fleet
    prometheus_url: str

    @property
    def result(self) -> RunResult:
        [path] = self.fleet.folder.glob("*/result.json")
        return RunResult.read(path)

    def live(self) -> Any:
        return ask(self.fleet.web_url, "GET", "/peak/live").json


@pytest.fixture(scope="module")
def web_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebRun]:
    folder = tmp_path_factory.mktemp("web_run")
    at = free_port()
    flags = ("--trace-fraction", "0.5", "--remote-write", f"http://127.0.0.1:{at}/api/v1/write")
    store = f"sqlite:///{folder}/orders.db"
    with running(folder) as service, fleet(folder, service.url, *flags, LOADTEST_AUDIT_STORE=store) as ours:
        scraped = {
            "scraped": urlsplit(ours.metrics_url).netloc,
            "orders": urlsplit(service.admin_url).netloc,
        }
        with prometheus(folder, scraped, STORING, RECEIVING, port=at) as url:
            form = "plan=smoke&peak_tps=20&duration=5s"
            started = ask(ours.web_url, "POST", "/swarm", form, FORM).json
            assert started["success"], started
            run = WebRun(ours, url)
            wait_until(lambda: run.live()["finished"], 60)
            yield run


def test_a_run_from_the_web_ui_is_audited_as_it_ends(web_run: WebRun) -> None:
    result = web_run.result
    assert result.audit is not None
    assert result.audit.balanced
    assert result.audit.acknowledged == result.transactions.count > 0
    assert web_run.live()["audit"] == (
        f"Audit: passed: {result.audit.acknowledged} orders acknowledged, {result.audit.stored} stored."
    )


def shown(metrics_url: str) -> Values:
    """Every series of the master's page with its value; an empty label is none, as Prometheus has it."""
    text = ask(metrics_url, "GET", "/metrics").body.decode()
    return {
        tuple(
            sorted((k, v) for k, v in (sample.labels | {"__name__": sample.name}).items() if v)
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def pushed(prometheus_url: str, run: str) -> Values:
    """The same as Prometheus answers it now, less the labels that the push adds."""
    query = quote(f'{{run="{run}", job="{PUSHED}", instance!=""}}')
    found: Any = ask(prometheus_url, "GET", f"/api/v1/query?query={query}").json["data"]["result"]
    return {
        tuple(sorted((k, v) for k, v in series["metric"].items() if k not in ADDED)): float(
            series["value"][1]
        )
        for series in found
    }


def test_prometheus_has_the_last_values_of_a_run_that_was_pushed_to_it(web_run: WebRun) -> None:
    page = shown(web_run.fleet.metrics_url)
    [run] = {value for series in page for name, value in series if name == "run"}
    wait_until(lambda: pushed(web_run.prometheus_url, run) == page)
    assert page[("__name__", "loadtest_transactions_total"), ("run", run), ("state", "ok")] > 0
    assert not any(math.isnan(value) for value in page.values())
    assert web_run.result.notes == []


def stored(prometheus_url: str, metric: str) -> list[dict[str, Any]]:
    """Every exemplar of a histogram's buckets, each with its bucket's `le` in words."""
    query = urlencode({"query": f"{metric}_bucket", "start": 0, "end": 4e9})
    found = ask(prometheus_url, "GET", f"/api/v1/query_exemplars?{query}").json["data"]
    return [{**exemplar, **series["seriesLabels"]} for series in found for exemplar in series["exemplars"]]


def assert_sound(exemplars: list[dict[str, Any]]) -> None:
    for exemplar in exemplars:
        assert re.fullmatch("[0-9a-f]{32}", exemplar["labels"]["trace_id"])
        assert 0 < float(exemplar["value"]) <= float(exemplar["le"])


def test_prometheus_stores_the_traces_that_stand_for_the_requests_of_a_run(web_run: WebRun) -> None:
    for metric in ("loadtest_response_seconds", "orders_request_seconds"):
        wait_until(lambda metric=metric: stored(web_run.prometheus_url, metric), 40)  # type: ignore[misc]  # a default
        assert_sound(stored(web_run.prometheus_url, metric))
    exemplars = stored(web_run.prometheus_url, "orders_request_seconds")
    assert {exemplar["traffic"] for exemplar in exemplars} == {"shadow"}


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
