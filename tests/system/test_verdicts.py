"""Every way a run can end: the right exit code, and artefacts that are complete and valid, each time.

Other files hold what they share with these: a run that passes and signals while it runs (`test_run.py`), a
killed master (`test_checkpoint.py`), a killed run that is resumed (`test_resume.py`).
"""

import contextlib
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from loadtest.cli.service import Service
from loadtest.exit_codes import ExitCode
from loadtest.measure.run_result import RunResult
from tests.system.run_process import Ended, Run, assert_artefacts, calm, kill_tree, lasting, signalled
from tests.system.small_disk import disk_or_skip, fill
from tests.timing import Timing

ABORT = """
[abort]
unless = ["errors(*) < 50%"]
after = "1s"
"""
QUICK_ABORT_S = 2.0


@pytest.mark.slow(held_by="test_a_bad_run_never_ends_pass_and_says_what_was_bad")
def test_a_missed_objective_is_10(tmp_path: Path) -> None:
    ended = calm(lambda out: Run(out, "--peak-tps", "20", "--slo", "p99(POST /orders) < 1us").end(), tmp_path)
    assert ended.code == ExitCode.SLO_FAIL, ended.output
    assert_artefacts(ended)


@pytest.mark.slow(held_by="test_hogs_on_the_generators_core_make_the_run_invalid_and_it_says_why")
def test_a_worker_that_stood_still_makes_the_run_11(tmp_path: Path) -> None:
    run = Run(tmp_path, "--peak-tps", "20", "--workers", "2", plan=lasting(8))
    run.wait_until(lambda: run.reached(1.0))
    worker = run.child("--worker")
    assert worker is not None
    worker.suspend()
    time.sleep(1.2)  # the fault itself: shorter than the lease, so that nobody takes its place
    worker.resume()
    ended = run.end()
    assert ended.code == ExitCode.INVALID, ended.output
    assert_artefacts(ended)


def test_an_order_missing_from_the_database_is_13(tmp_path: Path) -> None:
    ended = calm(_run_that_loses_an_order, tmp_path)
    assert ended.code == ExitCode.AUDIT_MISMATCH, ended.output
    assert ended.result.audit is not None
    assert ended.result.audit.lost == 1
    assert_artefacts(ended)
    again = subprocess.run(
        [sys.executable, "-m", "loadtest.cli.main", "audit", str(ended.folder)], capture_output=True
    )
    assert again.returncode == ExitCode.AUDIT_MISMATCH


def _run_that_loses_an_order(out: Path) -> Ended:
    run = Run(out, "--peak-tps", "20", plan=lasting(8))
    run.wait_until(lambda: run.reached(1.5))
    with contextlib.closing(sqlite3.connect(run.folder / "orders.db", timeout=60)) as books, books:
        books.execute("DELETE FROM shadow_orders WHERE rowid = (SELECT min(rowid) FROM shadow_orders)")
    return run.end()


@pytest.fixture
def doomed(tmp_path: Path) -> Iterator[Service]:
    """A service that a test will kill."""
    service = Service(f"sqlite:///{tmp_path / 'orders.db'}", tmp_path / "service.log")
    yield service
    service.stop()


def kill(service: Service) -> None:
    """Kill a service and everything below it, as a crash of its machine would."""
    kill_tree(service.child.process)


@pytest.mark.slow(held_by="test_a_sustained_breach_aborts_the_run_within_two_seconds_12")
def test_a_target_that_dies_fails_the_run_and_does_not_end_it(doomed: Service, tmp_path: Path) -> None:
    plan = lasting(8)
    run = Run(tmp_path, "--peak-tps", "20", "--target", doomed.url, "--slo", "errors(*) < 1%", plan=plan)
    run.wait_until(lambda: run.reached(1.5))
    kill(doomed)
    ended = run.end()
    assert ended.code in (ExitCode.SLO_FAIL, ExitCode.INVALID), ended.output
    assert ended.result.arrivals.failed > 0
    assert_artefacts(ended)


def test_a_sustained_breach_aborts_the_run_within_two_seconds_12(
    doomed: Service, tmp_path: Path, timing: Timing
) -> None:
    plan = lasting(30) + ABORT
    run = Run(tmp_path, "--peak-tps", "20", "--target", doomed.url, plan=plan)
    run.wait_until(lambda: run.reached(1.5))
    kill(doomed)
    ended = run.end()
    assert ended.code == ExitCode.ABORTED, ended.output
    assert_artefacts(ended)
    failing = [point.t_s for point in ended.result.timeline if point.failures > point.requests / 2]
    (aborted_s,) = [t_s for t_s, what in ended.result.events if "abort" in what]
    sustained_s = min(failing) + 1
    assert sustained_s <= aborted_s
    with timing:
        assert aborted_s <= sustained_s + QUICK_ABORT_S


def test_a_signal_during_the_probe_ends_it_at_once_12(tmp_path: Path) -> None:
    run = Run(tmp_path, "--peak-tps", "auto")
    run.wait_until(lambda: run.child("loadtest.cli.probe"))
    ended = signalled(run, lambda: True)
    assert "At full speed" not in ended.output, "it waited for the probe"
    assert ended.code == ExitCode.ABORTED, ended.output
    assert_artefacts(ended)


@pytest.mark.slow(held_by="test_a_signal_during_the_probe_ends_it_at_once_12")
def test_a_signal_while_workers_are_awaited_is_12(tmp_path: Path) -> None:
    run = Run(tmp_path, "--peak-tps", "20")
    ended = signalled(run, lambda: run.child("--worker"))
    assert ended.code == ExitCode.ABORTED, ended.output
    assert_artefacts(ended)


RAMP = lasting(30).replace('curve = "constant"', 'knots = [["0s", 0.1], ["1.5s", 1.0], ["30s", 1.0]]')


@pytest.mark.slow(stays=["at the peak"])
@pytest.mark.parametrize("at_s", [0.5, 2.0], ids=["on the ramp", "at the peak"])
def test_a_signal_under_load_is_12_and_the_orders_until_then_are_audited(at_s: float, tmp_path: Path) -> None:
    run = Run(tmp_path, "--peak-tps", "40", plan=RAMP)
    ended = signalled(run, lambda: run.reached(at_s))
    assert ended.code == ExitCode.ABORTED, ended.output
    assert ended.result.audit is not None
    assert ended.result.audit.acknowledged == ended.result.audit.stored > 0
    assert_artefacts(ended)


@pytest.mark.slow(held_by="test_a_signal_under_load_is_12_and_the_orders_until_then_are_audited")
def test_a_signal_once_the_result_is_written_changes_no_verdict(tmp_path: Path) -> None:
    ended = calm(_signalled_at_the_end, tmp_path)
    assert ended.code == ExitCode.PASS, ended.output
    assert ended.result.audit is not None
    assert_artefacts(ended)


def _signalled_at_the_end(out: Path) -> Ended:
    run = Run(out, "--peak-tps", "20")
    return signalled(run, lambda: run.reached(0.5) and (run.folder / "junit.xml").exists())


@pytest.mark.slow(held_by="test_a_signal_under_load_is_12_and_the_orders_until_then_are_audited")
def test_a_signal_while_the_last_answers_are_awaited_is_12_and_cancels_them(
    doomed: Service, tmp_path: Path
) -> None:
    plan = lasting(8).replace("patience_s = 2", "patience_s = 60")
    run = Run(tmp_path, "--peak-tps", "20", "--target", doomed.url, plan=plan)
    run.wait_until(lambda: run.reached(1.5))
    with hanging(doomed):
        ended = signalled(run, lambda: run.reached(8.5))
    assert ended.code == ExitCode.ABORTED, ended.output
    assert ended.result.arrivals.cancelled > 0
    assert_artefacts(ended)


@contextlib.contextmanager
def hanging(service: Service) -> Iterator[None]:
    """Accepts, and answers nothing; nor does the supervisor put others in its workers' place."""
    supervisor = psutil.Process(service.child.process.pid)
    processes = [supervisor, *supervisor.children(recursive=True)]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MiB."""
    with disk_or_skip(tmp_path / "small", 16) as disk:
        yield disk


def test_a_disk_without_room_for_a_run_is_refused_before_any_traffic(disk: Path) -> None:
    fill(disk)
    command = [sys.executable, "-m", "loadtest.cli.main", "run", "smoke", "--out", str(disk / "runs")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == ExitCode.USAGE, done.stdout + done.stderr
    assert "MiB free for the files of a run with 1 worker, got 0.0 MiB" in done.stderr
    assert not (disk / "runs").exists()


def test_a_disk_that_fills_up_meanwhile_loses_nothing_and_is_no_pass(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setenv("TMPDIR", str(elsewhere))
    store = f"sqlite:///{tmp_path / 'orders.db'}"
    run = Run(disk, "--peak-tps", "20", "--store", store, plan=lasting(12))
    run.wait_until(lambda: run.reached(1.0))
    output, run._log = run.output, tmp_path / "unused"
    fill(disk)
    code = run.wait()
    assert code == ExitCode.INTERNAL_ERROR, output
    assert not list(disk.glob("runs/*/*.partial"))
    (kept,) = elsewhere.glob("*/result.json")
    assert RunResult.read(kept).transactions.count > 0


@pytest.mark.slow(held_by="test_a_disk_that_fills_up_meanwhile_loses_nothing_and_is_no_pass")
def test_a_disk_without_room_for_a_ledger_aborts_the_run_before_an_order_is_unrecorded(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setenv("TMPDIR", str(elsewhere))
    run = Run(disk, "--peak-tps", "20", "--store", f"sqlite:///{tmp_path / 'orders.db'}")
    run.wait_until(lambda: any("workers connected" in log.read_text() for log in master_logs(disk)))
    fill(disk)  # the file that takes what the run prints stands there too
    assert run.wait() == ExitCode.INTERNAL_ERROR
    kept = RunResult.read(next(elsewhere.glob("*/result.json")))
    assert any("its ledger of orders cannot be written" in reason for reason in kept.validity.reasons)
    assert kept.transactions.count == 0


def master_logs(disk: Path) -> list[Path]:
    return list(disk.glob("runs/*/master.log"))
