"""A master whose receiver of metrics is not there, or is none; `test_web_run.py` has one that is there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.measure.run_result import RunResult
from tests.ports import free_port
from tests.system.locust_fleet import fleet
from tests.target_service.service_process import ROOT, running

SHORT = ("--plan", "smoke", "--peak-tps", "20", "--duration", "4s")


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
