"""A master that pushes its metrics to a real Prometheus, and one whose receiver is not there."""

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from prometheus_client.parser import text_string_to_metric_families

from loadtest.measure.run_result import RunResult
from tests.dashboards.prometheus_server import prometheus
from tests.system.locust_fleet import fleet, free_port, wait_until
from tests.target_service.service_process import ROOT, ask, running

SHORT = ("--plan", "smoke", "--peak-tps", "20", "--duration", "4s")
ADDED = {"job", "instance"}
Values = dict[tuple[tuple[str, str], ...], float]


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


def stored(prometheus_url: str, run: str) -> Values:
    """The same as Prometheus answers it now, less the labels that the push adds."""
    query = quote(f'{{run="{run}", job="loadtest", instance!=""}}')
    found: Any = ask(prometheus_url, "GET", f"/api/v1/query?query={query}").json["data"]["result"]
    return {
        tuple(sorted((k, v) for k, v in series["metric"].items() if k not in ADDED)): float(
            series["value"][1]
        )
        for series in found
    }


def test_prometheus_has_the_last_values_of_a_run_that_nobody_scraped(tmp_path: Path) -> None:
    with (
        running(tmp_path) as service,
        prometheus(tmp_path, {}, "--web.enable-remote-write-receiver") as url,
        fleet(tmp_path, service.url, "--remote-write", f"{url}/api/v1/write") as ours,
    ):
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        started = ask(ours.web_url, "POST", "/swarm", "plan=smoke&peak_tps=20&duration=4s", form).json
        assert started["success"], started
        wait_until(lambda: ask(ours.web_url, "GET", "/peak/live").json["state"] == "done", 40)
        page = shown(ours.metrics_url)
        [run] = {value for series in page for name, value in series if name == "run"}
        wait_until(lambda: stored(url, run) == page)
        assert page[("__name__", "loadtest_transactions_total"), ("run", run), ("state", "ok")] > 0
        assert not any(math.isnan(value) for value in page.values())
        [result] = ours.folder.glob("*/result.json")
        assert RunResult.read(result).notes == []


@pytest.mark.slow(held_by="test_a_receiver_that_stays_away_costs_the_oldest_and_says_how_many")
def test_a_receiver_that_is_not_there_costs_the_run_a_note(tmp_path: Path) -> None:
    nobody = f"http://127.0.0.1:{free_port()}/api/v1/write"
    with (
        running(tmp_path) as service,
        fleet(tmp_path, service.url, "--headless", *SHORT, "--remote-write", nobody) as ours,
    ):
        assert ours.wait(60) in {0, 10, 11}  # whether this machine keeps the schedule is not the question
    [path] = ours.folder.glob("*/result.json")
    [note] = RunResult.read(path).notes
    assert "pushes were lost (ConnectionError" in note
    assert note in (path.parent / "summary.md").read_text().replace("\\", "")
    assert "--remote-write: a push failed" in (tmp_path / "master.log").read_text()


@pytest.mark.parametrize("url", ["nonsense", "http://ci:secret@127.0.0.1/write"])
def test_an_address_that_cannot_be_pushed_to_is_refused_before_anything_starts(
    url: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "loadtest.cli.main", "run", "smoke", "--out", str(tmp_path)]
    ended = subprocess.run(
        [*command, "--remote-write", url],
        cwd=ROOT, capture_output=True, text=True, timeout=60, env=os.environ | {"COLUMNS": "200"},
    )  # fmt: skip
    assert ended.returncode == 2
    assert "--remote-write: " in ended.stderr + ended.stdout
    assert "secret" not in ended.stderr + ended.stdout
    assert not list(tmp_path.iterdir())
