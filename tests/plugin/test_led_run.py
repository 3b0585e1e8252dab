"""A run as its leader sees it, where system tests cannot reach."""

from pathlib import Path

import gevent
import msgspec
import pytest
from gevent.event import Event
from locust import log
from locust.env import Environment

from loadtest.configuration.run_config import RunConfig
from loadtest.exit_codes import ExitCode
from loadtest.fleet.build import build_of
from loadtest.fleet.checkpoint import CHECKPOINT
from loadtest.fleet.messages import Hello, Trouble
from loadtest.measure.run_result import RunResult
from loadtest.pauses import Pause, Pauses
from loadtest.plan.plan_file import Plan
from loadtest.plugin.habits import LISTENER_RAISED, forget_listeners_error
from loadtest.plugin.led_run import LedRun
from loadtest.plugin.observe import Observer
from loadtest.plugin.states import LEADER, LeaderState, States
from tests.fleet.sample_report import report, second


def led_run(folder: Path) -> LedRun:
    environment = Environment(host="http://127.0.0.1:1")
    runner = environment.create_local_runner()
    config = RunConfig(plan=Plan.load("smoke"), plan_name="smoke", folder=str(folder))
    return LedRun(environment, runner, States("leader", LeaderState.CHECKED, LEADER), config, [])


def await_result(run: LedRun) -> RunResult:
    with gevent.Timeout(60):
        while not run.over:
            gevent.sleep(0.01)
    return RunResult.read(run.folder / "result.json")


def test_a_worker_in_trouble_ends_the_run_and_says_why(tmp_path: Path) -> None:
    run = led_run(tmp_path / "run")
    run.on_message("w1", Trouble("another run", "nothing to do with this one"))
    run.on_message(
        "w1", Trouble(run.info.id, "its ledger of orders cannot be written: No space left on device")
    )
    written = await_result(run)
    assert written.exit_code == ExitCode.ABORTED
    assert "its ledger of orders cannot be written: No space left on device" in written.validity.reasons[0]


def test_nothing_is_planned_any_more_once_a_run_is_over(tmp_path: Path) -> None:
    run = led_run(tmp_path / "run")
    run.coordinator.abort("enough")
    await_result(run)
    monitored = Observer(lambda: run, lambda _: False).reading()
    assert monitored is not None
    assert monitored.planned_tps == 0


def test_what_is_noted_afterwards_leaves_the_saved_books_as_they_are(tmp_path: Path) -> None:
    run = led_run(tmp_path / "run")
    run.coordinator.abort("enough")
    await_result(run)
    run._ticker.join(60)
    saved = run.folder / CHECKPOINT
    inode = saved.stat().st_ino
    run.delivery.note("the last values could not be pushed")
    assert saved.stat().st_ino == inode
    assert RunResult.read(run.folder / "result.json").notes == ["the last values could not be pushed"]


def test_what_would_be_told_of_a_killed_run_does_not_contradict_itself_over_arrivals_under_way(
    tmp_path: Path,
) -> None:
    run = led_run(tmp_path / "run")
    waiting = second(0)
    waiting.scheduled += 1
    run.coordinator.merge.fold("w1", report(0, waiting))
    told = run._checkpointer._result()
    assert (told.arrivals.scheduled, told.arrivals.lost, told.timeline[0].scheduled) == (1, 1, 2)
    assert not [reason for reason in told.validity.reasons if "defect" in reason]


def test_a_defect_ends_the_run_and_its_books_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = led_run(tmp_path / "run")

    def broken() -> None:
        raise RuntimeError("a tick that cannot be")

    monkeypatch.setattr(run.coordinator, "tick", broken)
    written = await_result(run)
    assert written.exit_code == ExitCode.ABORTED
    assert "a tick that cannot be" in written.validity.reasons[0]


def test_a_result_that_cannot_be_drawn_ends_the_run_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = led_run(tmp_path / "run")

    def broken() -> RunResult:
        raise RuntimeError("figures that cannot be")

    monkeypatch.setattr(run, "live", broken)
    run.coordinator.abort("enough")
    with gevent.Timeout(60):
        while not run.over:
            gevent.sleep(0.01)
    assert run.delivery.exit_code == ExitCode.INTERNAL_ERROR
    assert run.states.now is LeaderState.DELIVERED


def test_a_stop_while_the_faults_of_a_run_that_is_over_come_to_their_end_delivers_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = led_run(tmp_path / "run")
    waiting, both = [], Event()

    def close(*, complete: bool) -> None:
        waiting.append(complete)
        if len(waiting) == 2:
            both.set()
        both.wait(60)

    monkeypatch.setattr(run.faults, "close", close)
    run.coordinator.abort("enough")
    stopped = gevent.spawn(run.stop, "it was stopped")
    assert await_result(run).validity.reasons[0].endswith("enough")
    assert waiting == [False, False]
    stopped.get(timeout=60)
    with gevent.Timeout(60):
        run._ticker.get()
    assert run.states.now is LeaderState.DELIVERED


def test_a_listener_that_raised_before_the_start_ends_the_run_before_any_traffic(tmp_path: Path) -> None:
    run = led_run(tmp_path / "run")
    log.unhandled_greenlet_exception = True
    try:
        written = await_result(run)
    finally:
        forget_listeners_error()
    assert (written.exit_code, written.arrivals.started) == (ExitCode.ABORTED, 0)
    assert LISTENER_RAISED in written.validity.reasons[0]


def test_a_run_that_ends_while_it_is_judged_for_a_page_shows_its_end(tmp_path: Path) -> None:
    run = led_run(tmp_path / "run")
    judge = run.judged_so_far

    def judge_slowly(pause: Pause) -> RunResult:
        result = judge(pause)
        run.coordinator.abort("enough")
        await_result(run)
        return result

    run.judged_so_far = judge_slowly  # type: ignore[method-assign]  # the pause comes when the test wants it
    assert Observer(lambda: run, lambda _: False).judged(run) is run.result


def test_a_run_whose_judging_is_dear_is_judged_less_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = led_run(tmp_path / "run")
    judge, now_s, judged_at = run.judged_so_far, [0.0], []

    def judge_and_note(pause: Pause) -> RunResult:
        judged_at.append(now_s[0])
        return judge(pause)

    monkeypatch.setattr(run, "judged_so_far", judge_and_note)
    monkeypatch.setattr(Pauses, "worked_s", 0.03)  # what fifty endpoints take: a hundredth of a core in 3 s
    observer = Observer(lambda: run, lambda _: False, lambda: now_s[0])
    for look in range(10):
        now_s[0] = float(look)
        observer.judged(run)
    assert judged_at == [0, 3, 6, 9]


def test_a_worker_without_a_last_report_is_shown_as_lost_when_the_run_is_over(tmp_path: Path) -> None:
    run = led_run(tmp_path / "run")
    for worker, final in (("w1", True), ("w2", False)):
        run.on_message(worker, Hello(run.info.id, 1, True, build=build_of()))
        message = report(0, second(0), final=final)
        run.on_message(worker, msgspec.structs.replace(message, run_id=run.info.id))
    run.coordinator.abort("enough")
    await_result(run)
    shown = Observer(lambda: run, lambda _: False).view("", 0).workers
    assert [row.state for row in shown] == ["done", "lost"]


@pytest.mark.parametrize("written", [True, False], ids=["written", "no room"])
def test_workers_are_told_that_their_own_record_may_go_once_the_result_is_on_the_disk(
    written: bool, tmp_path: Path
) -> None:
    run = led_run(tmp_path / "run")
    run.on_message("w1", Hello(run.info.id, 1, True, build=build_of()))
    run.on_message("w1", msgspec.structs.replace(report(0, second(0), final=True), run_id=run.info.id))
    if not written:
        (run.folder / "result.json").mkdir(parents=True)
    assert not run.coordinator.saved
    run.coordinator.abort("enough")
    with gevent.Timeout(60):
        while not run.over:
            gevent.sleep(0.01)
    assert run.coordinator.saved == ({"w1": 1} if written else {})
