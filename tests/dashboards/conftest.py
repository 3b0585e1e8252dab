"""One short real run with errors, scraped by a real Prometheus, that all tests of panels look at."""

from collections.abc import Iterator

import pytest

from tests.dashboards.watched_run import Watched, watched_run
from tests.required import program
from tests.timing import CoreTakenError, Others

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


spoilt: list[str] = []
"""Why no run could be watched, each time that it was tried: those that come later need not."""


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    program("prometheus")
    if len(spoilt) > 1:
        raise CoreTakenError(spoilt[-1])
    others = Others()
    for _ in range(MOST_RUNS):
        folder = tmp_path_factory.mktemp("watched")
        (folder / "watched.toml").write_text(PLAN, encoding="utf-8")
        with watched_run(folder, "--plan", str(folder / "watched.toml"), window="4s", most_s=150) as seen:
            lacks = what_is_missing(seen)
            if not lacks:
                yield seen
                return
    if taken := others.taken():
        spoilt.append(f"{taken}: {lacks}")
        raise CoreTakenError(spoilt[-1])
    pytest.fail(f"none of {MOST_RUNS} runs can be judged; of the last, a {seen.result.verdict}, {lacks}")


def what_is_missing(seen: Watched) -> str:
    """What a busy machine can keep a run, or who watches it, from: a request, a scrape, the last of them."""
    if missing := ASKED - seen.result.endpoints.keys():
        return f"there is no request {sorted(missing)}"
    run = seen.result.run.id
    counted = value(seen, f'sum(last_over_time(loadtest_transactions_total{{run="{run}",state="ok"}}[1m]))')
    if counted != seen.result.transactions.count:
        return f"Prometheus has {counted} of {seen.result.transactions.count} transactions"
    for job in ("loadtest", "orders"):
        scrapes = value(seen, f'sum(sum_over_time(up{{job="{job}"}}[1m]))')
        if scrapes < DURATION_S / 2:
            return f"Prometheus has {scrapes} scrapes of {job}"
    return ""


def value(seen: Watched, expr: str) -> float:
    """The one value of an expression at the run's end; 0 if there is none."""
    answer = seen.source.ask("query", query=expr, time=seen.source.to_s)["result"]
    return float(answer[0]["value"][1]) if answer else 0.0
