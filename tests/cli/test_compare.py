"""`singlesday compare`: what BASE and HEAD may be, real git repositories included, and how it ends."""

import os
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

from loadtest.cli.main import app
from loadtest.exit_codes import ExitCode
from loadtest.measure.run_result import RunResult
from tests.judge.test_compare import run as simulated


class Compared(NamedTuple):
    code: int
    output: str


def compare(*arguments: object) -> Compared:
    done = CliRunner().invoke(app, ["compare", *map(str, arguments)])
    return Compared(done.exit_code, " ".join(done.output.split()))


def write_run(folder: Path, seed: int, p99_factor: float = 1.0, **changes: str) -> Path:
    """A run folder with nothing but its record."""
    result = simulated(seed, p99_factor, seconds=int(changes.get("seconds", "60")))
    result.run.id = folder.name
    result.run.started_at = changes.get("started_at", f"2026-11-11T00:{seed:02d}:00+00:00")
    result.run.plan = changes.get("plan", "ramp")
    result.verdict = changes.get("verdict", "PASS")
    result.validity.verdict = changes.get("validity", "VALID")
    folder.mkdir(parents=True)
    result.write(folder / "result.json")
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def git(*arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@localhost")
    subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(here: Path) -> Path:
    """Two baselines are committed, on a branch of their own and tagged; the working tree has none of it."""
    git("init", "--initial-branch", "main")
    for seed in (1, 2):
        write_run(here / "baselines" / f"night-{seed}", seed)
    git("add", ".")
    git("commit", "-m", "Keep two nights")
    git("tag", "kept")
    git("rm", "-rq", "baselines")
    git("commit", "-m", "Forget them")
    return here


def test_a_run_folder_and_a_result_file_may_be_compared(here: Path) -> None:
    base, head = write_run(here / "a", 1), write_run(here / "b", 2)
    assert compare(base, head).code == ExitCode.PASS
    assert compare(base / "result.json", head / "result.json") == compare(base, head)


def test_the_worst_of_several_heads_decides(here: Path) -> None:
    base, same, worse = write_run(here / "a", 1), write_run(here / "b", 2), write_run(here / "c", 3, 1.5)
    ended = compare(base, worse, same, "--html", "both.html")
    assert ended.code == ExitCode.SLO_FAIL
    assert "HEAD is worse than BASE: response p99 +" in ended.output
    assert "Nothing changed beyond the noise." in ended.output
    assert (here / "both.html").read_text(encoding="utf-8").count("<h2>Shifts</h2>") == 2
    assert compare(base, same, same).code == ExitCode.PASS


def test_a_folder_of_runs_is_a_pool_of_the_latest_five_of_the_same_plan(here: Path) -> None:
    for seed in range(1, 8):
        write_run(here / "runs" / f"night-{seed}", seed)
    write_run(here / "runs" / "smoke", 30, plan="smoke")
    write_run(here / "runs" / "late", 31, validity="INVALID")
    head = write_run(here / "runs" / "now", 40)
    ended = compare("runs", head)
    assert ended.code == ExitCode.PASS
    assert "BASE night-7, night-6, night-5, night-4, night-3 HEAD now" in ended.output


def test_a_baseline_may_come_from_git(repository: Path) -> None:
    head = write_run(repository / "now", 9)
    for source in ("kept:baselines", "HEAD~1:baselines/"):
        assert "BASE night-2, night-1 HEAD now" in compare(source, head).output
    assert "BASE night-1 HEAD now" in compare("kept:baselines/night-1", head).output
    assert "BASE night-2 HEAD now" in compare("kept:baselines/night-2/result.json", head).output


def test_a_branch_of_nothing_but_baselines_is_a_pool(repository: Path) -> None:
    git("checkout", "--quiet", "--orphan", "nights")
    write_run(repository / "night-3", 3)
    git("add", "night-3")
    git("commit", "--quiet", "-m", "A night")
    git("checkout", "--quiet", "main")
    head = write_run(repository / "now", 9)
    assert "BASE night-3 HEAD now" in compare("nights:", head).output


def test_what_is_on_disk_wins_over_a_ref_of_that_name(repository: Path) -> None:
    write_run(repository / "kept:baselines", 5)
    assert "BASE kept:baselines HEAD" in compare("kept:baselines", write_run(repository / "now", 9)).output


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("nowhere", "nowhere: expected a run folder, a result.json, .* nothing of that name"),
        ("empty", "empty: expected .* there is no result.json in it"),
        ("broken", "broken/result.json: expected the result of a run"),
        ("nobody:baselines", "nobody:baselines: expected .* 'nobody'"),
        ("kept:elsewhere", "kept:elsewhere: expected .* 'elsewhere'"),
        ("HEAD:readme", "HEAD:readme: expected .* no result.json in it"),
        ("--output=x:y", "expected .*"),
    ],
)
def test_what_is_no_baseline_is_refused_with_what_was_expected(
    repository: Path, source: str, said: str
) -> None:
    (repository / "empty").mkdir()
    (repository / "broken").mkdir()
    (repository / "broken" / "result.json").write_text("{", encoding="utf-8")
    (repository / "readme").mkdir()
    (repository / "readme" / "text").write_text("hello", encoding="utf-8")
    git("add", "readme")
    git("commit", "--quiet", "-m", "Say hello")
    ended = compare("--", source, write_run(repository / "now", 9))
    assert ended.code == ExitCode.USAGE
    assert re.search(said, ended.output), ended.output
    assert not (repository / "x:y").exists()


def test_a_file_whose_name_has_a_tab_may_lie_beside_a_baseline(repository: Path) -> None:
    git("checkout", "--quiet", "-b", "tabs", "kept")
    (repository / "baselines" / "a\tb").write_text("hello", encoding="utf-8")
    git("add", ".")
    git("commit", "--quiet", "-m", "Name a file oddly")
    git("checkout", "--quiet", "main")
    ended = compare("tabs:baselines", write_run(repository / "now", 9))
    assert ended.code == ExitCode.PASS, ended.output
    assert "BASE night-2, night-1 HEAD now" in ended.output


def test_a_git_that_does_not_end_is_told_in_a_sentence(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "bin").mkdir()
    stuck = repository / "bin" / "git"
    stuck.write_text("#!/bin/sh\nexec sleep 60\n", encoding="utf-8")
    stuck.chmod(0o755)
    monkeypatch.setenv("PATH", f"{stuck.parent}:{os.environ['PATH']}")
    monkeypatch.setattr("loadtest.cli.run_sources.GIT_TIMEOUT_S", 0.05)
    ended = compare("kept:baselines", write_run(repository / "now", 9))
    assert ended.code == ExitCode.USAGE
    assert "kept:baselines: git rev-parse did not end in 0.05 s" in ended.output


def test_a_ref_outside_any_repository_is_refused(here: Path) -> None:
    ended = compare("main:baselines", write_run(here / "now", 9))
    assert ended.code == ExitCode.USAGE
    assert "not a git repository" in ended.output


def test_a_head_that_is_a_pool_is_refused(here: Path) -> None:
    for seed in (1, 2):
        write_run(here / "runs" / str(seed), seed)
    ended = compare("runs/1", "runs")
    assert ended.code == ExitCode.USAGE
    assert "runs: expected one run to judge, got a folder of 2" in ended.output


def test_a_pool_without_the_heads_plan_is_refused_naming_what_it_has(here: Path) -> None:
    for seed in (1, 2):
        write_run(here / "runs" / str(seed), seed, plan="smoke")
    ended = compare("runs", write_run(here / "now", 9))
    assert ended.code == ExitCode.USAGE
    assert "expected another run of plan ramp; there are runs of smoke" in ended.output


def test_the_first_night_lays_the_baseline_and_the_second_is_compared_with_it(here: Path) -> None:
    first = compare("baselines", write_run(here / "one", 1), "--save-baseline", "baselines")
    assert first.code == ExitCode.PASS
    assert "There is no baseline in baselines yet. kept baselines/one/result.json" in first.output
    second = compare("baselines", write_run(here / "two", 2), "--save-baseline", "baselines")
    assert "BASE one HEAD two" in second.output
    assert RunResult.read(here / "baselines" / "two" / "result.json").run.id == "two"


def test_what_is_worse_or_did_not_pass_is_not_kept(here: Path) -> None:
    base = write_run(here / "baselines" / "one", 1)
    ended = compare(base, write_run(here / "bad", 2, 1.5), "--save-baseline", "baselines")
    assert ended.code == ExitCode.SLO_FAIL
    assert "not kept as a baseline: bad, it is worse" in ended.output
    failed = compare(base, write_run(here / "failed", 3, verdict="FAIL"), "--save-baseline", "baselines")
    assert failed.code == ExitCode.PASS
    assert "not kept as a baseline: failed, its verdict is FAIL" in failed.output
    assert [path.name for path in (here / "baselines").iterdir()] == ["one"]


def test_a_forged_id_cannot_leave_the_folder_of_baselines(here: Path) -> None:
    head = write_run(here / "now", 9)
    forged = RunResult.read(head / "result.json")
    forged.run.id = "../../escaped"
    forged.write(head / "result.json")
    compare("kept", head, "--save-baseline", "kept")
    assert len(list((here / "kept").glob("*/result.json"))) == 1
    assert not list(here.parent.glob("escaped*"))


def test_a_page_that_cannot_be_written_is_refused(here: Path) -> None:
    head = write_run(here / "now", 9)
    ended = compare(write_run(here / "a", 1), head, "--html", "nowhere/page.html")
    assert ended.code == ExitCode.USAGE
    assert "nowhere/page.html" in ended.output


def test_too_little_data_is_11_with_the_reason_and_no_baseline(here: Path) -> None:
    short = write_run(here / "short", 2, seconds="3")
    ended = compare(write_run(here / "baselines" / "a", 1), short, "--save-baseline", "baselines")
    assert ended.code == ExitCode.INVALID
    assert "too little data to tell. BASE has 60 seconds with answers and HEAD 3" in ended.output
    assert "not kept as a baseline: short, there is too little data to judge it" in ended.output


def test_what_got_worse_outweighs_what_nothing_can_be_said_of(here: Path) -> None:
    base = write_run(here / "a", 1)
    short, worse = write_run(here / "short", 2, seconds="3"), write_run(here / "worse", 3, 1.5)
    assert compare(base, short, worse).code == ExitCode.SLO_FAIL
