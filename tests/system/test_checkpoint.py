"""A run whose master is killed -9: the last checkpoint is a result like any other."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.cli.children import wait_until
from loadtest.cli.service import Service
from loadtest.exit_codes import ExitCode
from loadtest.measure.run_result import RunResult

LOCUSTFILE = Path(__file__).parents[2] / "loadtest" / "locustfile.py"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    running = Service(f"sqlite:///{tmp_path / 'orders.db'}", tmp_path / "service.log")
    yield running
    running.stop()


def checkpoint_in(folder: Path, after_s: float) -> bool:
    path = folder / "result.json"
    return path.exists() and RunResult.read(path).run.duration_s >= after_s


def killed_run(service: Service, folder: Path) -> RunResult:
    """Start `soak` under plain Locust, kill it after three seconds' checkpoint, and read what it left."""
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--plan=soak"]
    command += ["--peak-tps=600", "--checkpoint=1s", f"--host={service.url}", f"--run-dir={folder}"]
    command += [f"--service-metrics={service.metrics_url}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert wait_until(lambda: checkpoint_in(folder, 3), 40)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    return RunResult.read(folder / "result.json")


@pytest.mark.slow(held_by="test_a_run_killed_twice_is_one_run_over_the_whole_plan")
def test_a_killed_soak_leaves_a_report_up_to_its_last_checkpoint(service: Service, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    result = killed_run(service, folder)
    assert (result.verdict, result.exit_code) == ("ABORTED", ExitCode.ABORTED)
    assert "checkpoint" in result.validity.reasons[0]
    assert 3 <= result.run.duration_s < 30
    assert result.transactions.count > 0
    assert result.timeline
    arrivals = result.arrivals
    assert arrivals.planned == arrivals.scheduled + arrivals.lost
    assert arrivals.scheduled == arrivals.started + arrivals.dropped
    assert arrivals.started == arrivals.ok + arrivals.failed + arrivals.cancelled
    sampled = [value for _, value in result.gauges["service_memory_bytes"]]
    assert all(2**24 < value < 2**31 for value in sampled), "that is no memory of a Python process"

    drawn = singlesday("report", str(folder))
    assert drawn.returncode == 0, drawn.stderr
    assert "checkpoint" in (folder / "report.html").read_text()
    assert (folder / "junit.xml").exists()

    audited = singlesday("audit", str(folder), "--store", service.store)
    assert audited.returncode == ExitCode.ABORTED, audited.stdout


def singlesday(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "loadtest.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True)
