"""Fleets to which anything happens at random moments: exact books, right verdicts, nobody left running.

Each seed is a schedule. CI plays one; with `FLEET_SCHEDULES=50` pytest plays the first fifty of this file, with
`FLEET_SCHEDULES=100-150` those from 100 to 149.
"""

import contextlib
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from loadtest.cli.recover import recover_folder
from loadtest.exit_codes import ExitCode
from loadtest.judge.validity import VALID
from loadtest.measure.run_result import Endpoint, Quantiles, RunResult
from tests.system.locust_process import LocustRun, Process, Seen, locust_run, target, write_plan
from tests.system.relay import Relay, relay
from tests.system.small_disk import fill, small_disk
from tests.system.truth_scenes import identity_holds

FIRST, _, END = os.environ.get("FLEET_SCHEDULES", "1").rpartition("-")
RATE, DURATION_S = 40, 5
LONGEST_S = 3.5
"""How long a worker or the master is away at most: longer than a lease."""
ALL_IS_OVER_S = 4.0
"""Longer than the lease that a master gives, which is how long workers go on after its death."""
NOBODY_ASKED = Endpoint(requests=0, failures=0, response_ms=Quantiles(), service_ms=Quantiles())
HARMLESS = ("join", "step", "noise", "rival")
KINDS = ("kill", "stop", "cut", "join", "join", "step", "noise", "freeze", "fill", "rival", "behead")
"""`freeze` stops the master, `behead` kills it, `rival` is a second one on its port, `noise` are bytes that are no
message, `step` sets every worker's wall clock, `fill` leaves no room in the run's folder."""
CLOCK = """
import os, time
right = time.time_ns
def wrong():
    try:
        return right() + round(float(open(os.environ["CLOCK_STEP"]).read() or 0) * 1e9)
    except OSError:
        return right()
time.time_ns = wrong
time.time = lambda: wrong() / 1e9
"""
"""A `sitecustomize` by which the wall clock of a process is off by what stands in a file."""


class Event(NamedTuple):
    """Something that happens to a fleet; `which` worker is counted round."""

    at_s: float
    what: str
    which: int
    lasts_s: float


def draw(seed: int) -> tuple[int, list[Event]]:
    """(workers, events) of a seed. Every third run loses its master."""
    dice = random.Random(seed)
    kinds = [dice.choice(KINDS[:-1]) for _ in range(dice.randint(1, 4))]
    kinds += ["behead"] if dice.random() < 1 / 3 else []
    events = [
        Event(dice.uniform(0.1, DURATION_S + 0.5), kind, dice.randrange(4), dice.uniform(0.3, LONGEST_S))
        for kind in kinds
    ]
    return dice.randint(2, 3), sorted(events)


class Scene:
    """A fleet, of which the last worker and all that join are behind a link that can be cut."""

    def __init__(self, run: LocustRun, link: Relay, disk: Path, clock: Path) -> None:
        self.happened: list[str] = []
        self.died_ns = 0
        self._run, self._link, self._disk, self._clock = run, link, disk, clock
        self._due: list[tuple[float, str, Process | None]] = []

    def begin(self, event: Event, now_s: float) -> None:  # noqa: C901 - one line for each kind
        self.happened.append(event.what)
        worker = self._run.workers[event.which % len(self._run.workers)]
        until_s = now_s + event.lasts_s
        match event.what:
            case "kill":
                worker.kill()
            case "stop" if worker.poll() is None:
                worker.send_signal(signal.SIGSTOP)
                self._due.append((until_s, "wake", worker))
            case "freeze":
                self._run.master.send_signal(signal.SIGSTOP)
                self._due.append((until_s, "wake", self._run.master))
            case "behead":
                self._run.master.kill()
            case "join":
                self._run.add_worker(self._link.port)
            case "cut":
                self._link.cut()
                self._due.append((until_s, "heal", None))
            case "step":
                self._clock.write_text(str((event.lasts_s - 2) * 100))
            case "noise":
                # A master that was killed does not listen.
                with (
                    contextlib.suppress(OSError),
                    socket.create_connection(("127.0.0.1", self._run.port)) as stranger,
                ):
                    stranger.sendall(b"\xc1\xc1\xc1" * 50)
            case "fill" if self._disk.is_mount():
                fill(self._disk)
                self._due.append((until_s, "room", None))
            case "rival":
                self._run.rival()

    def go_on(self, now_s: float) -> None:
        """Wake, heal and make room for whatever has been away for long enough."""
        for due in [due for due in self._due if due[0] <= now_s]:
            self._due.remove(due)
            match due:
                case (_, "room", _):
                    (self._disk / "ballast").unlink(missing_ok=True)
                case (_, "heal", _):
                    self._link.heal()
                case (_, _, subprocess.Popen() as process):
                    process.send_signal(signal.SIGCONT)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB of its own for the run's folder; any folder where only root may mount one."""
    with small_disk(tmp_path / "disk", 24):
        yield tmp_path / "disk"


def seeds() -> list[int]:
    first = int(FIRST or 0)
    return list(range(first, int(END)))


@pytest.mark.parametrize("seed", seeds())
def test_whatever_befalls_a_fleet_its_books_are_exact_and_nothing_is_left_running(
    seed: int, tmp_path: Path, disk: Path
) -> None:
    workers, events = draw(seed)
    plan = write_plan(tmp_path, rate=RATE, duration_s=DURATION_S, virtual_users=40)
    clock, elsewhere = tmp_path / "clock", tmp_path / "elsewhere"
    for place in (clock, elsewhere):
        place.mkdir()
    (clock / "sitecustomize.py").write_text(CLOCK)
    variables = {
        "PYTHONPATH": str(clock),
        "CLOCK_STEP": str(clock / "step"),
        "TMPDIR": str(elsewhere),
        "LOCUST_CHECKPOINT": "1s",
    }
    with (
        target() as aimed,
        locust_run(
            tmp_path,
            plan,
            aimed.url,
            workers=workers - 1,
            expects=workers,
            prefix=["env", *(f"{name}={value}" for name, value in variables.items())],
            run_folder=disk / "run",
        ) as run,
    ):
        with relay(run.port) as link:
            run.add_worker(link.port)
            aimed.await_first_request()
            scene = Scene(run, link, disk, clock / "step")
            play(scene, events, run)
            beheaded = "behead" in scene.happened
            if beheaded:
                time.sleep(ALL_IS_OVER_S)
            for worker in run.workers[0 if beheaded else workers - 1 :]:
                worker.terminate()  # who is cut off cannot know that it is over
            for process in run.workers:
                assert ended(process), "a worker outlived its master"
            for rival in run.rivals:
                assert rival.poll() != 0, "two masters on one port"
        died_ns = scene.died_ns
        seen = aimed.seen()
    if beheaded:
        check_what_is_left(disk / "run", scene, seen, died_ns)
        return
    code = run.master.returncode
    result = RunResult.read(found_in(disk / "run", elsewhere, code, run))
    check_books(result, scene, seen)
    check_verdict(result, scene, code)


def play(scene: Scene, events: list[Event], run: LocustRun) -> None:
    """Have everything happen until the master has ended."""
    began_s = time.monotonic()
    while run.master.poll() is None:
        now_s = time.monotonic() - began_s
        while events and events[0].at_s <= now_s:
            scene.begin(events.pop(0), now_s)
        scene.go_on(now_s)
        assert now_s < 120, run.log
        time.sleep(0.05)
    scene.died_ns = time.monotonic_ns()
    scene.go_on(float("inf"))


def found_in(folder: Path, elsewhere: Path, code: int, run: LocustRun) -> Path:
    """Where the result is: in the run's folder, or elsewhere where that had no room."""
    if code != ExitCode.INTERNAL_ERROR:
        return folder / "result.json"
    assert "the result was kept in" in run.log, run.log
    (kept,) = elsewhere.glob("*/result.json")
    return kept


def check_what_is_left(folder: Path, scene: Scene, seen: Seen, died_ns: int) -> None:
    """A master that was killed: what it saved and what its workers kept add up, and load has ended."""
    assert all(at_ns < died_ns + ALL_IS_OVER_S * 1e9 for at_ns in seen.received_ns)
    if not (folder / "checkpoint.bin").exists():  # it was killed as it was saved for the first time
        return
    assert "singlesday resume" in recover_folder(folder)
    result = RunResult.read(folder / "result.json")
    assert result.exit_code == ExitCode.ABORTED
    assert any("killed" in reason for reason in result.validity.reasons), result.validity
    check_books(result, scene, seen)


def check_books(result: RunResult, scene: Scene, seen: Seen) -> None:
    arrivals, generator = result.arrivals, result.generator
    assert identity_holds(arrivals), arrivals
    asked = result.endpoints.get("POST /call", NOBODY_ASKED)
    in_doubt = arrivals.lost + arrivals.cancelled
    assert asked.requests - asked.unanswered <= seen.received, (arrivals, scene.happened)
    if not (
        "behead" in scene.happened and {"kill", "fill"} & set(scene.happened)
    ):  # nobody knows what it served last
        assert seen.received <= asked.requests + in_doubt, (arrivals, scene.happened)
    assert sum(worker["started"] for worker in generator.per_worker) == arrivals.started
    for name in ("scheduled", "started", "dropped"):
        told = sum(getattr(point, name) for point in result.timeline)
        assert told == getattr(arrivals, name), (name, told, arrivals)


def check_verdict(result: RunResult, scene: Scene, code: int) -> None:
    arrivals, notes = result.arrivals, result.generator.worker_notes
    lost_somebody = any("was lost" in note for note in notes)
    if code != ExitCode.INTERNAL_ERROR:
        assert code == result.exit_code
    if lost_somebody or arrivals.lost:
        assert result.validity.verdict != VALID
    if set(scene.happened) <= set(HARMLESS):
        assert not arrivals.lost, notes
    if result.exit_code != ExitCode.ABORTED:
        assert arrivals.planned == RATE * DURATION_S
    else:
        assert any("the last worker was lost" in reason for reason in result.validity.reasons)
    if arrivals.lost > 0.01 * arrivals.planned:
        assert result.exit_code in {ExitCode.INVALID, ExitCode.ABORTED}


def ended(worker: Process) -> bool:
    """Whether a process ends by itself once its master has."""
    try:
        worker.wait(30)
    except subprocess.TimeoutExpired:
        return False
    return True
