"""One short real run with errors, scraped by a real Prometheus, that all tests of panels look at."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from dashboards.query import Source
from loadtest.measure.run_result import RunResult
from tests.dashboards.prometheus_server import SCRAPE_S, prometheus
from tests.required import program
from tests.system.locust_fleet import fleet
from tests.target_service.service_process import running

DURATION_S = 9
PEAK_TPS = 40
PLAN = f"""
name = "watched"
peak_tps = {PEAK_TPS}
duration = "{DURATION_S}s"
virtual_users = 50

[profile]
knots = [["0s", 0.2], ["2s", 1.0], ["{DURATION_S}s", 1.0]]
phases = [["0s", "2s", "ramp"], ["2s", "{DURATION_S}s", "steady"]]

[[scenario]]
user = "loadtest.scenarios.shop:OrderOnly"

[[scenario]]
user = "tests.dashboards.missing_page:MissingPage"
per_transaction = 0.2

[[slo]]
expr = "p99(POST /orders) < 1s"

[[slo]]
expr = "errors(POST /orders) < 1%"
"""


@dataclass(frozen=True)
class Watched:
    """The run's own result and the Prometheus that watched it."""

    result: RunResult
    source: Source


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    program("prometheus")
    folder = tmp_path_factory.mktemp("watched")
    (folder / "watched.toml").write_text(PLAN, encoding="utf-8")
    flags = ["--headless", "--plan", str(folder / "watched.toml")]
    with running(folder) as service, fleet(folder, service.url, *flags, workers=2) as ours:
        targets = {
            "loadtest": urlsplit(ours.metrics_url).netloc,
            "orders": urlsplit(service.admin_url).netloc,
        }
        with prometheus(folder, targets) as url:
            began_s = time.time()
            ours.wait(60)
            ended_s = time.time()
            [run_folder] = ours.folder.iterdir()
            result = RunResult.read(run_folder / "result.json")
            variables = {
                "run": result.run.id,
                "endpoint": [name for name in result.endpoints if not name.startswith("arrival ")],
                "traffic": ["live", "shadow"],
                "window": "4s",
            }
            yield Watched(result, Source(url, began_s, ended_s, 1.0, SCRAPE_S, variables))
