"""The job summary of GitHub Actions."""

import logging
from pathlib import Path

import pytest

from loadtest.publish.step_summary import append_step_summary
from loadtest.publish.summary import markdown
from tests.publish.sample_result import a_failed_run


def test_each_run_of_a_job_is_appended(tmp_path: Path) -> None:
    file = tmp_path / "summary.md"
    file.write_text("before\n")
    environment = {"GITHUB_STEP_SUMMARY": str(file)}
    result = a_failed_run()
    append_step_summary(result, environment)
    append_step_summary(result, environment)
    assert file.read_text() == "before\n" + 2 * (markdown(result) + "\n")


def test_elsewhere_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    append_step_summary(a_failed_run(), {})
    append_step_summary(a_failed_run(), {"GITHUB_STEP_SUMMARY": ""})
    assert list(tmp_path.iterdir()) == []


def test_a_summary_that_cannot_be_written_is_said_and_harms_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        append_step_summary(a_failed_run(), {"GITHUB_STEP_SUMMARY": str(tmp_path / "no" / "file")})
    assert "GITHUB_STEP_SUMMARY" in caplog.text
