"""A real run of two workers at a real order service, scraped each second by a real Prometheus."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote, urlsplit

from dashboards.query import Source
from loadtest.measure.run_result import RunResult
from loadtest.records import is_request
from tests.dashboards.prometheus_server import SCRAPE_S, prometheus
from tests.system.locust_fleet import fleet, wait_until
from tests.target_service.service_process import ask, running


@dataclass(frozen=True)
class Watched:
    """The run's own result and the Prometheus that watched it."""

    result: RunResult
    source: Source


def _knows_the_orders_of(prometheus_url: str, at_s: float) -> bool:
    """Whether it has scraped the service since then."""
    query = quote("min(timestamp(orders_created_total))")
    answer = ask(prometheus_url, "GET", f"/api/v1/query?query={query}").json["data"]["result"]
    return bool(answer) and float(answer[0]["value"][1]) > at_s


@contextmanager
def watched_run(folder: Path, *flags: str, window: str, most_s: float) -> Iterator[Watched]:
    """Play a run to its end, within `most_s` seconds; while this is open, its Prometheus can be asked."""
    with (
        running(folder, ORDERS_STORE_WAIT_S="60") as service,  # a disk that others use refuses no order
        fleet(folder, service.url, "--headless", *flags, workers=2) as ours,
        prometheus(
            folder,
            {"loadtest": urlsplit(ours.metrics_url).netloc, "orders": urlsplit(service.admin_url).netloc},
        ) as url,
    ):
        began_s = time.time()
        ours.wait(most_s)
        wait_until(partial(_knows_the_orders_of, url, time.time()))
        ended_s = time.time()
        [run_folder] = ours.folder.iterdir()
        result = RunResult.read(run_folder / "result.json")
        variables = {
            "run": result.run.id,
            "endpoint": [name for name in result.endpoints if is_request(name)],
            "traffic": ["live", "shadow"],
            "window": window,
        }
        yield Watched(result, Source(url, began_s, ended_s, 1.0, SCRAPE_S, variables))
