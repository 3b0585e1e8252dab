"""`singlesday audit` and `report`: verdict, files and exit code agree afterwards."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console
from typer.testing import CliRunner

from loadtest.cli.main import app
from loadtest.cli.run import _audit
from loadtest.cli.run_session import Session
from loadtest.configuration.run_config import RunConfig
from loadtest.measure.run_result import RunResult, SloResult
from loadtest.plan.plan_file import Plan
from tests.audit.test_run_audit import damaged, run_of, stored, unreadable


def folder_of(tmp_path: Path, *, missed: bool = False) -> Path:
    """A run that created two orders, both in its books; perhaps it missed an objective."""
    folder = run_of(tmp_path, 2, 2)
    result = RunResult.read(folder / "result.json")
    result.run.started_at = "2026-11-11T00:00:00Z"
    result.slo = [SloResult(expr="p99(*) < 1s", observed=2.0 if missed else 0.5, passed=not missed)]
    result.write(folder / "result.json")
    return folder


def assert_all_agree(folder: Path, verdict: str, code: int) -> None:
    written = json.loads((folder / "result.json").read_text())
    assert (written["verdict"], written["exit_code"]) == (verdict, code)
    assert re.search(rf'<p class="word">{verdict}</p>', (folder / "report.html").read_text())
    assert (folder / "summary.md").read_text().startswith(f"## {verdict}:")
    suites = ET.parse(folder / "junit.xml").getroot()  # noqa: S314  # our own output
    assert (int(suites.get("failures", "0")) > 0) == (code != 0)


@pytest.mark.parametrize(
    ("kept", "missed", "verdict", "code"),
    [
        ((0, 1), False, "PASS", 0),
        ((0, 1), True, "FAIL", 10),
        ((0,), False, "AUDIT", 13),
        ((0,), True, "AUDIT", 13),
    ],
)
def test_after_an_audit_verdict_files_and_exit_code_agree(
    kept: tuple[int, ...], missed: bool, verdict: str, code: int, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path, missed=missed)
    done = CliRunner().invoke(app, ["audit", str(folder), "--store", stored(tmp_path, *kept)])
    assert done.exit_code == code, done.output
    assert f"verdict {verdict}" in done.output
    assert_all_agree(folder, verdict, code)
    assert CliRunner().invoke(app, ["report", str(folder)]).exit_code == 0
    assert_all_agree(folder, verdict, code)


def test_a_missing_ledger_is_asked_for_and_its_orders_are_not_called_invented(tmp_path: Path) -> None:
    folder = run_of(tmp_path, 2, 1)
    before = (folder / "result.json").read_bytes()
    done = CliRunner().invoke(app, ["audit", str(folder), "--store", stored(tmp_path, 0, 1)])
    assert done.exit_code == 2
    assert "list 1 orders of 2; copy the ledgers" in " ".join(done.output.split())
    assert (folder / "result.json").read_bytes() == before


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (damaged, "not checked: .*b.ledger has a byte 9, which is no state"),
        (unreadable, r"not checked: .*c.ledger: cannot be read \(Is a directory\)"),
    ],
)
def test_a_ledger_that_cannot_be_used_is_named_and_changes_no_verdict(
    spoil: Callable[[Path], Path], said: str, tmp_path: Path
) -> None:
    folder = spoil(folder_of(tmp_path))
    before = (folder / "result.json").read_bytes()
    done = CliRunner().invoke(app, ["audit", str(folder), "--store", stored(tmp_path, 0, 1)])
    assert done.exit_code == 2, done.exception
    assert re.search(said, done.output.replace("\n", ""))
    assert (folder / "result.json").read_bytes() == before


@pytest.mark.parametrize("spoil", [damaged, unreadable])
def test_a_run_whose_ledger_cannot_be_used_is_not_audited_and_says_why(
    spoil: Callable[[Path], Path], tmp_path: Path
) -> None:
    folder = spoil(folder_of(tmp_path))
    result = RunResult.read(folder / "result.json")
    session = Session(
        RunConfig(plan=Plan.load("smoke"), plan_name="smoke", conducted=True), Console(quiet=True)
    )
    session.service = SimpleNamespace(store=stored(tmp_path, 0, 1))  # type: ignore[assignment]  # only that is asked
    _audit(session, result, folder)
    assert result.audit is None
    assert ".ledger" in result.unaudited


def test_orders_that_nobody_sent_are_13_where_every_ledger_is_there(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    done = CliRunner().invoke(app, ["audit", str(folder), "--store", stored(tmp_path, 0, 1, 2)])
    assert done.exit_code == 13, done.output


def test_a_result_stands_for_its_folder(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, missed=False)
    named = str(folder / "result.json")
    assert CliRunner().invoke(app, ["audit", named, "--store", stored(tmp_path, 0, 1)]).exit_code == 0
    assert CliRunner().invoke(app, ["report", named]).exit_code == 0
    done = CliRunner().invoke(app, ["resume", named])
    assert done.exit_code == 2
    assert "result.json/" not in done.output


@pytest.mark.parametrize("command", ["audit", "report"])
@pytest.mark.parametrize("text", ["{", "[]", '{"schema": 1}', ""])
def test_a_folder_without_the_result_of_a_run_is_refused_in_a_sentence(
    command: str, text: str, tmp_path: Path
) -> None:
    (tmp_path / "result.json").write_text(text)
    done = CliRunner().invoke(app, [command, str(tmp_path)])
    assert done.exit_code == 2
    assert "expected the result of a run" in " ".join(done.output.split())
