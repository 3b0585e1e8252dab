"""One short real run with errors, scraped by a real Prometheus, that all tests of panels look at."""

from collections.abc import Iterator

import pytest

from tests.dashboards.watched_run import Watched, watched_run
from tests.required import program

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


ASKED = {"POST /orders", "GET /missing"}
MOST_RUNS = 3
"""A machine that is busy enough can let a run of nine seconds pass without a request."""


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    program("prometheus")
    for _ in range(MOST_RUNS):
        folder = tmp_path_factory.mktemp("watched")
        (folder / "watched.toml").write_text(PLAN, encoding="utf-8")
        with watched_run(folder, "--plan", str(folder / "watched.toml"), window="4s", most_s=60) as seen:
            if seen.result.endpoints.keys() >= ASKED:
                yield seen
                return
    pytest.fail(f"none of {MOST_RUNS} runs made a request of each kind; the last was {seen.result.verdict}")
