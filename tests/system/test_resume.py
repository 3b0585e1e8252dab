"""Runs that are killed or stopped, and gone on with: real processes, a real database, one verdict over all of it."""

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from loadtest.cli.children import wait_until
from loadtest.cli.service import Service
from loadtest.exit_codes import ExitCode
from loadtest.fleet import checkpoint as checkpoints
from loadtest.measure.ledger import OrderState, read_ledgers
from tests.system.run_process import Ended, Resumed, Run, assert_artefacts, lasting
from tests.timing import Others, Timing, ended_well

DURATION_S = 10
"""Long enough for a kill that comes seconds late on a busy machine to hit a run that goes on."""
FIRST_S, SECOND_S = 2, 4
"""How far it has got when it is killed."""
TPS = 50
MOST_LOST = 0.3 * TPS
"""Arrivals of three tenths of a second, by two kills."""
LONGER = lasting(DURATION_S).replace("peak_tps = 20", f"peak_tps = {TPS}")
SAVED = ("--peak-tps", str(TPS), "--checkpoint", "1s", "--workers", "2")


def known_to_s(folder: Path) -> float:
    """Where the last checkpoint ends; 0 before there is one."""
    return checkpoints.read(folder).known_to_s if (folder / checkpoints.CHECKPOINT).exists() else 0.0


def killed(run: Run, after_s: float) -> Path:
    """The folder of a run whose whole tree was killed once a checkpoint had reached an offset."""
    run.wait_until(lambda: run.reached(0) and known_to_s(run.folder) >= after_s)
    folder = run.folder
    run.kill()
    return folder


def acknowledged(folder: Path) -> set[str]:
    run_id = checkpoints.read(folder).info.id
    return {
        entry.key
        for entry in read_ledgers(folder / "ledger", run_id)
        if entry.state is OrderState.ACKNOWLEDGED
    }


def killed_twice(out: Path) -> Ended:
    folder = killed(Run(out, *SAVED, plan=LONGER), FIRST_S)
    before = acknowledged(folder)
    (out / "matrix.toml").unlink()  # whatever became of the file: the run has its plan
    killed(Resumed(folder), SECOND_S)
    assert acknowledged(folder) > before
    (out / "before.json").write_text(json.dumps(sorted(before)))
    return Resumed(folder).end()


def test_a_run_killed_twice_is_one_run_over_the_whole_plan(tmp_path: Path, timing: Timing) -> None:
    others = Others()
    ended = killed_twice(tmp_path)
    assert ended_well(ended.result, others), ended.output
    assert_artefacts(ended)
    assert "resuming at 0:00:" in ended.output
    result = ended.result
    assert result.arrivals.planned == TPS * DURATION_S
    timing.heard(result)
    with timing:
        assert result.arrivals.lost + result.arrivals.cancelled <= MOST_LOST
    assert result.arrivals.ok == result.transactions.count
    first_s, second_s = result.run.resumed_s
    assert FIRST_S <= first_s <= second_s < DURATION_S
    assert second_s >= SECOND_S
    with timing:  # the first kill came at once
        assert first_s < SECOND_S + 1
    assert [point.t_s for point in result.timeline][:DURATION_S] == list(range(DURATION_S))
    with timing:
        scheduled = sum(point.scheduled for point in result.timeline)
        assert scheduled == pytest.approx(TPS * DURATION_S, abs=MOST_LOST)
    assert result.validity.verdict == ("DEGRADED" if ended.code == ExitCode.PASS else "INVALID")
    notes = [text for _, text in result.events if "resumed" in text]
    assert len(notes) == 2
    assert "played again" in notes[0]
    with timing:  # no worker was taken for lost, which joins again under another name
        names = [worker["name"] for worker in result.generator.per_worker]
        assert names == [f"worker {n}" for n in range(1, 7)]
    assert result.audit is not None
    assert result.audit.balanced
    assert result.audit.acknowledged > result.transactions.count, "what nobody measured is in the audit too"
    before = set(json.loads((ended.folder.parent.parent / "before.json").read_text()))
    with closing(sqlite3.connect(ended.folder / "orders.db")) as books:
        stored = {key for (key,) in books.execute("SELECT idempotency_key FROM shadow_orders")}
    assert before <= stored, "an order acknowledged before the first kill is gone"
    assert not (ended.folder / checkpoints.CHECKPOINT).exists()


def stopped(out: Path) -> Ended:
    run = Run(out, *SAVED, plan=LONGER)
    run.wait_until(lambda: run.reached(3))
    run.process.send_signal(signal.SIGTERM)
    ended = run.end()
    assert ended.code == ExitCode.ABORTED, ended.output
    assert_artefacts(ended)
    return Resumed(ended.folder).end()


@pytest.mark.slow(held_by="test_a_run_killed_twice_is_one_run_over_the_whole_plan")
def test_a_run_that_was_stopped_by_a_signal_goes_on_where_it_was_stopped(
    tmp_path: Path, timing: Timing
) -> None:
    others = Others()
    ended = stopped(tmp_path)
    assert ended_well(ended.result, others), ended.output
    assert_artefacts(ended)
    result = ended.result
    assert result.arrivals.planned == TPS * DURATION_S
    timing.heard(result)
    with timing:  # no worker was taken for lost
        assert result.arrivals.lost == 0
    assert any("SIGTERM" in text for _, text in result.events)
    assert result.audit is not None
    assert result.audit.balanced
    assert result.audit.acknowledged == result.transactions.count, "nothing was played twice"


@pytest.mark.slow(held_by="test_a_run_killed_twice_is_one_run_over_the_whole_plan")
def test_a_run_whose_parent_was_killed_leaves_no_process_and_goes_on(tmp_path: Path) -> None:
    run = Run(tmp_path, *SAVED, plan=LONGER)
    run.wait_until(lambda: run.reached(2))
    children = psutil.Process(run.process.pid).children(recursive=True)
    folder = run.folder
    children[0].suspend()  # so that one of them is still there, whatever the others do
    run.process.kill()
    run.process.wait()
    early = Resumed(folder).end()
    assert early.code == ExitCode.USAGE, early.output
    assert "still going on" in early.output
    children[0].resume()
    assert wait_until(lambda: not any(child.is_running() for child in children), 90)
    ended = Resumed(folder).end()
    assert ended.code in (ExitCode.PASS, ExitCode.INVALID), ended.output
    assert ended.result.arrivals.planned == TPS * DURATION_S
    assert ended.result.audit is not None
    assert ended.result.audit.balanced


@pytest.mark.slow(held_by="test_a_run_killed_twice_is_one_run_over_the_whole_plan")
def test_a_resumed_run_that_is_stopped_before_it_begins_keeps_what_it_had(tmp_path: Path) -> None:
    folder = killed(Run(tmp_path, *SAVED, plan=LONGER), 3)
    had = (folder / "result.json").read_bytes()
    resumed = Resumed(folder)
    resumed.wait_until(lambda: resumed.child("target_service"))
    resumed.process.send_signal(signal.SIGTERM)
    ended = resumed.end()
    assert ended.code == ExitCode.ABORTED, ended.output
    assert ended.result.transactions.count >= json.loads(had)["transactions"]["count"] > 0
    assert known_to_s(folder) >= 3
    assert_artefacts(ended)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    running = Service(f"sqlite:///{tmp_path / 'orders.db'}", tmp_path / "service.log")
    yield running
    running.stop()


@pytest.mark.slow(held_by="test_what_cannot_be_gone_on_with_is_refused_as_usage")
def test_a_run_against_a_target_goes_on_against_the_same_and_only_if_it_answers(
    service: Service, tmp_path: Path
) -> None:
    folder = killed(Run(tmp_path / "run", *SAVED, "--target", service.url, plan=LONGER), 4)
    ended = Resumed(folder).end()
    assert ended.code in (ExitCode.PASS, ExitCode.INVALID), ended.output
    assert ended.result.run.targets == [service.url]
    assert ended.result.arrivals.planned == TPS * DURATION_S

    folder = killed(Run(tmp_path / "other", *SAVED, "--target", service.url, plan=LONGER), 1)
    service.stop()
    before = sorted(folder.iterdir())
    refused = subprocess.run(
        [sys.executable, "-m", "loadtest.cli.main", "resume", str(folder)], capture_output=True, text=True
    )
    assert refused.returncode == ExitCode.USAGE
    assert "nothing answers" in refused.stderr
    assert sorted(folder.iterdir()) == before
