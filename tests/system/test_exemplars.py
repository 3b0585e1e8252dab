"""From a traced request to Prometheus: `query_exemplars` returns the traces of slow requests of a real run."""

import re
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from tests.dashboards.prometheus_server import prometheus
from tests.system.locust_fleet import fleet, wait_until
from tests.target_service.service_process import ask, running

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def test_prometheus_stores_the_traces_that_stand_for_slow_requests(tmp_path: Path) -> None:
    with (
        running(tmp_path) as service,
        fleet(tmp_path, service.url, "--trace-fraction", "0.5") as ours,
        prometheus(
            tmp_path, {"loadtest": urlsplit(ours.metrics_url).netloc}, "--enable-feature=exemplar-storage"
        ) as url,
    ):
        assert ask(ours.web_url, "POST", "/swarm", "plan=smoke&peak_tps=20&duration=6s", FORM).json["success"]
        query = urlencode({
            "query": 'loadtest_response_seconds_bucket{endpoint="POST /orders"}', "start": 0, "end": 4e9
        })  # fmt: skip
        wait_until(lambda: ask(url, "GET", f"/api/v1/query_exemplars?{query}").json["data"], 40)
        found = ask(url, "GET", f"/api/v1/query_exemplars?{query}").json["data"]
        for series in found:
            for exemplar in series["exemplars"]:
                assert re.fullmatch("[0-9a-f]{32}", exemplar["labels"]["trace_id"])
                assert 0 < float(exemplar["value"]) <= float(series["seriesLabels"]["le"])
        wait_until(lambda: ask(ours.web_url, "GET", "/peak/live").json["state"] == "done", 40)
