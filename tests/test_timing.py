"""The fixture `timing`: a time that was missed is a failure, unless the cores were taken."""

import fcntl
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil
import pytest

from loadtest.cli.children import wait_until
from loadtest.measure.run_result import RunResult, Validity
from tests import timing
from tests.publish.sample_result import an_empty_run
from tests.timing import (
    CoreTakenError,
    Others,
    Place,
    Timing,
    ended_well,
    taken_by_others,
    unless_ended,
    unless_taken,
)

TAKEN = "worker 1 sent requests 31 ms late (p99): other programs used its CPU 40% of the time"
OWN_FAULT = "worker 1 used 97% of its core for five seconds, more than 90%"


def a_run(verdict: str, *reasons: str) -> RunResult:
    return msgspec.structs.replace(
        an_empty_run(), verdict=verdict, validity=Validity(verdict=verdict, reasons=list(reasons))
    )


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Seconds of cores used, by all and by us, on a machine of two cores; and the time."""
    used = {"all": 0.0, "us": 0.0, "now": 0.0}
    monkeypatch.setattr(timing, "_used_by_all_s", lambda: used["all"])
    monkeypatch.setattr(timing, "_used_by_us_s", lambda: used["us"])
    monkeypatch.setattr("time.monotonic", lambda: used["now"])
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    return used


def test_what_others_used_is_what_all_used_and_we_did_not(used: dict[str, float]) -> None:
    others = Others()
    used.update(all=7.0, us=4.0, now=5.0)
    assert others.share() == pytest.approx(0.3)
    assert others.taken() == "others used 30% of the machine's cores meanwhile"


def test_a_machine_of_our_own_was_not_taken_however_busy_we_were(used: dict[str, float]) -> None:
    others = Others()
    used.update(all=10.0, us=9.9, now=5.0)
    assert others.taken() is None


def test_a_time_missed_on_our_own_cores_is_a_failure(used: dict[str, float]) -> None:
    judged = Timing(again=False)
    judged.heard(a_run("INVALID", OWN_FAULT))
    used.update(all=10.0, us=9.9, now=5.0)
    with pytest.raises(AssertionError, match="too late") as failed, judged:
        raise AssertionError("too late")
    assert failed.type is AssertionError


def test_a_time_missed_while_others_used_the_cores_is_the_machines(used: dict[str, float]) -> None:
    judged = Timing(again=False)
    used.update(all=10.0, us=2.0, now=5.0)
    with pytest.raises(CoreTakenError, match=r"others used 80% .*\(too late\)"), judged:
        raise AssertionError("too late")


def test_a_time_missed_in_a_run_that_says_its_core_was_taken_is_the_machines(used: dict[str, float]) -> None:
    judged = Timing(again=True)
    judged.heard(a_run("INVALID", OWN_FAULT))
    judged.heard(a_run("INVALID", OWN_FAULT, TAKEN))
    with pytest.raises(CoreTakenError, match="other programs used its CPU"), judged:
        raise AssertionError("too late")


def test_an_error_that_is_no_assertion_is_never_the_machines(used: dict[str, float]) -> None:
    judged = Timing(again=True)
    used.update(all=10.0, us=2.0, now=5.0)
    with pytest.raises(KeyError), judged:
        raise KeyError("missing")


def test_the_judges_own_words_for_a_taken_core_are_understood() -> None:
    from loadtest.judge.validity import _late_worker  # noqa: PLC0415

    worker = {"name": "worker 1", "dispatch_lag_p99_ms": 31.0, "cpu_max": 0.5, "cpu_wait_max": 0.4}
    assert taken_by_others(a_run("INVALID", _late_worker(worker))) is not None
    assert taken_by_others(a_run("INVALID", _late_worker(worker | {"cpu_wait_max": 0.0}))) is None


def test_a_run_is_used_unless_others_made_it_invalid() -> None:
    unless_taken(a_run("PASS"))
    unless_taken(a_run("INVALID", OWN_FAULT))
    unless_taken(a_run("SLO_FAIL", TAKEN))
    with pytest.raises(CoreTakenError, match="other programs used its CPU"):
        unless_taken(a_run("INVALID", OWN_FAULT, TAKEN))


def test_a_run_that_is_invalid_by_its_own_fault_is_used_unless_others_took_the_cores(
    used: dict[str, float],
) -> None:
    unless_taken(a_run("INVALID", OWN_FAULT), Others())
    others = Others()
    used.update(all=10.0, us=2.0, now=5.0)
    unless_taken(a_run("PASS"), others)
    with pytest.raises(CoreTakenError, match="others used 80%"):
        unless_taken(a_run("INVALID", OWN_FAULT), others)


def test_a_run_ended_well_unless_it_is_invalid_on_cores_of_its_own(used: dict[str, float]) -> None:
    others = Others()
    assert ended_well(a_run("PASS"), others)
    assert ended_well(a_run("INVALID", OWN_FAULT, TAKEN), others)
    assert not ended_well(a_run("INVALID", OWN_FAULT), others)
    assert not ended_well(a_run("SLO_FAIL", TAKEN), others)
    used.update(all=10.0, us=2.0, now=5.0)
    assert ended_well(a_run("INVALID", OWN_FAULT), others)
    assert not ended_well(a_run("ABORTED"), others)


def test_a_run_that_lost_its_last_worker_is_used_unless_others_took_the_cores(used: dict[str, float]) -> None:
    lost = a_run("ABORTED", f"the run was aborted: {timing.LAST_LOST}")
    others = Others()
    unless_taken(lost, others)
    unless_ended(lost, others)
    assert not ended_well(lost, others)
    used.update(all=10.0, us=2.0, now=5.0)
    unless_taken(lost)
    unless_taken(a_run("ABORTED", "stopped by SIGTERM"), others)
    unless_ended(a_run("INVALID", OWN_FAULT, TAKEN), others)
    for judged in (unless_taken, unless_ended, ended_well):
        with pytest.raises(CoreTakenError, match="others used 80%"):
            judged(lost, others)


def test_what_a_child_uses_is_ours() -> None:
    before_s = timing._used_by_us_s(), timing._used_by_all_s()
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-c", burn], check=True)
    assert timing._used_by_us_s() - before_s[0] >= 0.3
    assert timing._used_by_all_s() - before_s[1] >= 0.25  # counted in hundredths


def test_what_the_children_of_a_killed_child_used_is_ours() -> None:
    before_s = timing._used_by_us_s()
    burn = "import time\nwhile time.process_time() < 0.4: pass\nprint('done', flush=True)\ntime.sleep(300)"
    parent = (
        f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {burn!r}]); time.sleep(300)"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        [orphan] = psutil.Process(process.pid).children()
        timing.note_orphans(process.pid)
        process.kill()
    try:
        assert timing._used_by_us_s() - before_s >= 0.4
    finally:
        orphan.kill()


def test_a_worker_of_pytest_tells_at_once_that_a_test_begins(request: pytest.FixtureRequest) -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        pytest.skip("the tests have one process")
    told = request.config.failures_db.sock  # type: ignore[attr-defined]  # of pytest-rerunfailures
    assert told.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def taking(place: Place, *, alone: bool, then: Callable[[], None]) -> threading.Thread:
    """A thread that waits for a place."""

    def wait() -> None:
        place.take(alone=alone)
        then()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def is_locked(path: Path) -> bool:
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_who_waits_to_be_alone_gets_it_before_those_that_come_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "LOCKED", tmp_path)
    (tmp_path / timing.GATE).touch()
    first, second, single, late = (Place() for _ in range(4))
    first.take(alone=False)
    second.take(alone=False)  # beside it
    had: list[str] = []
    waiting = taking(single, alone=True, then=lambda: had.append("alone"))
    assert wait_until(lambda: is_locked(tmp_path / timing.GATE), 100)
    coming = taking(late, alone=False, then=lambda: had.append("late"))
    first.leave()
    assert had == []
    second.leave()
    waiting.join(100)
    assert had == ["alone"]
    single.leave()
    coming.join(100)
    assert had == ["alone", "late"]
    late.leave()


def test_one_that_plays_with_others_can_come_to_be_alone_though_they_want_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "LOCKED", tmp_path)
    (tmp_path / timing.GATE).touch()
    places = [Place() for _ in range(3)]
    for each in places:
        each.take(alone=False)
    threads = [taking(each, alone=True, then=each.leave) for each in places]
    for thread in threads:
        thread.join(100)
        assert not thread.is_alive()
