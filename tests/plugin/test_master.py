"""The master's side of a run, where system tests cannot reach."""

from pathlib import Path

import gevent
import pytest
from locust.env import Environment

from loadtest.exit_codes import ExitCode
from loadtest.measure.run_result import RunResult
from loadtest.plan.plan_file import Plan
from loadtest.plugin.master import MasterRun


def test_a_defect_ends_the_run_and_its_books_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = Environment(host="http://127.0.0.1:1")
    run = MasterRun(
        environment,
        environment.create_local_runner(),
        Plan.load("smoke"),
        [],
        [],
        folder=tmp_path / "run",
        workers=1,
    )

    def broken() -> None:
        raise RuntimeError("a tick that cannot be")

    monkeypatch.setattr(run.coordinator, "tick", broken)
    with gevent.Timeout(5):
        while not run.over:
            gevent.sleep(0.01)
    written = RunResult.read(tmp_path / "run" / "result.json")
    assert written.exit_code == ExitCode.ABORTED
    assert "a tick that cannot be" in written.validity.reasons[0]
