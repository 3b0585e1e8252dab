"""A real run of two workers at a real order service, scraped each second by a real Prometheus."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from dashboards.query import Source
from loadtest.measure.run_result import RunResult
from loadtest.records import is_request
from tests.dashboards.prometheus_server import SCRAPE_S, prometheus
from tests.system.locust_fleet import fleet
from tests.target_service.service_process import running


@dataclass(frozen=True)
class Watched:
    """The run's own result and the Prometheus that watched it."""

    result: RunResult
    source: Source


@contextmanager
def watched_run(folder: Path, *flags: str, window: str, most_s: float) -> Iterator[Watched]:
    """Play a run to its end, within `most_s` seconds; while this is open, its Prometheus can be asked."""
    with (
        running(folder) as service,
        fleet(folder, service.url, "--headless", *flags, workers=2) as ours,
        prometheus(
            folder,
            {"loadtest": urlsplit(ours.metrics_url).netloc, "orders": urlsplit(service.admin_url).netloc},
        ) as url,
    ):
        began_s = time.time()
        ours.wait(most_s)
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
