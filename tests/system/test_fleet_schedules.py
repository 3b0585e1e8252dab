"""Fleets whose workers are killed, stopped, joined and cut off at random: the books stay exact, the verdict right.

Each seed is a schedule. CI plays one; `FLEET_SCHEDULES=50 pytest tests/system/test_fleet_schedules.py` plays many.
"""

import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from loadtest.exit_codes import ExitCode
from loadtest.judge.validity import VALID
from tests.system.locust_process import LocustRun, Process, locust_run, target, write_plan
from tests.system.relay import Relay, relay
from tests.system.test_truth import identity_holds

SCHEDULES = int(os.environ.get("FLEET_SCHEDULES", "1"))
RATE, DURATION_S = 60, 8
LONGEST_S = 4.0
"""How long a worker is stopped or cut off at most."""


class Event(NamedTuple):
    """Something that happens to a fleet; `which` worker is counted round."""

    at_s: float
    what: str
    which: int
    lasts_s: float


def draw(seed: int) -> tuple[int, list[Event]]:
    """(workers, events) of a seed."""
    dice = random.Random(seed)
    events = [
        Event(
            dice.uniform(0.5, DURATION_S - 1.5),
            dice.choice(["kill", "stop", "join", "cut"]),
            dice.randrange(4),
            dice.uniform(0.3, LONGEST_S),
        )
        for _ in range(dice.randint(1, 4))
    ]
    return dice.randint(2, 3), sorted(events)


class Scene:
    """A fleet, of which the last worker and all that join are behind a link that can be cut."""

    def __init__(self, run: LocustRun, link: Relay) -> None:
        self._run, self._link = run, link
        self._due: list[tuple[float, str, Process | None]] = []

    def begin(self, event: Event, now_s: float) -> None:
        worker = self._run.workers[event.which % len(self._run.workers)]
        match event.what:
            case "kill":
                worker.kill()
            case "stop" if worker.poll() is None:
                worker.send_signal(signal.SIGSTOP)
                self._due.append((now_s + event.lasts_s, "wake", worker))
            case "join":
                self._run.add_worker(self._link.port)
            case "cut":
                self._link.cut()
                self._due.append((now_s + event.lasts_s, "heal", None))

    def go_on(self, now_s: float) -> None:
        """Wake and heal whoever has been away for long enough."""
        for due in [due for due in self._due if due[0] <= now_s]:
            self._due.remove(due)
            if due[2] is not None:
                due[2].send_signal(signal.SIGCONT)
            else:
                self._link.heal()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SCHEDULES))
def test_whatever_befalls_a_fleet_its_books_are_exact_and_nothing_is_left_running(
    seed: int, tmp_path: Path
) -> None:
    workers, events = draw(seed)
    plan = write_plan(tmp_path, rate=RATE, duration_s=DURATION_S, virtual_users=60)
    with (
        target() as aimed,
        locust_run(tmp_path, plan, aimed.url, workers=workers - 1, expects=workers) as run,
    ):
        with relay(run.port) as link:
            run.add_worker(link.port)
            aimed.await_first_request()
            scene, began_s = Scene(run, link), time.monotonic()
            while run.master.poll() is None:
                now_s = time.monotonic() - began_s
                while events and events[0].at_s <= now_s:
                    scene.begin(events.pop(0), now_s)
                scene.go_on(now_s)
                assert now_s < 120, run.log
                time.sleep(0.05)
            scene.go_on(float("inf"))
            code, result = run.finish()
            for worker in run.workers[workers - 1 :]:
                worker.terminate()  # who is cut off cannot know that it is over
            for worker in run.workers:
                assert ended(worker), "a worker outlived its master"
        seen = aimed.seen()
    arrivals, generator = result.arrivals, result.generator
    assert identity_holds(arrivals), arrivals
    assert code == result.exit_code
    asked = result.endpoints["POST /call"]
    in_doubt = arrivals.lost + arrivals.cancelled
    assert asked.requests - asked.unanswered <= seen.received <= asked.requests + in_doubt, arrivals
    lost_somebody = any("was lost" in note for note in generator.worker_notes)
    if lost_somebody or arrivals.lost:
        assert result.validity.verdict != VALID
    if code != ExitCode.ABORTED:
        assert arrivals.planned == RATE * DURATION_S
    else:
        assert any("the last worker was lost" in reason for reason in result.validity.reasons)
    if arrivals.lost > 0.01 * arrivals.planned:
        assert code in {ExitCode.INVALID, ExitCode.ABORTED}


def ended(worker: Process) -> bool:
    """Whether a worker ends by itself once its master has."""
    try:
        worker.wait(30)
    except subprocess.TimeoutExpired:
        return False
    return True
