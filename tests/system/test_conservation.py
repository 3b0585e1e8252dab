"""Conservation: whatever faults a short random run meets, nothing is lost or counted twice.

Each seed is a run: its rate, length, users, processes and the target's faults are drawn from it. CI plays five;
`CONSERVATION_RUNS=100 pytest tests/system/test_conservation.py` is the long version.
"""

import os
import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from loadtest.measure.run_result import RunResult
from loadtest.records import ARRIVAL
from tests.system.locust_process import LocustRun, locust_run, target, write_plan
from tests.system.truth_scenes import identity_holds
from tests.timing import Others, Timing, unless_ended

RUNS = int(os.environ.get("CONSERVATION_RUNS", "5"))
KINDS = ("Ours", "OursTwice", "LocustFast", "PlainSocket")


@dataclass(frozen=True)
class Drawn:
    """One random run."""

    rate: int
    duration_s: float
    users: tuple[str, ...]
    virtual_users: int
    patience_s: float
    workers: int
    error: float
    reset: float
    delay_ms: float
    stall_s: float
    act: str
    """What happens to a worker or the master on the way."""

    @property
    def flags(self) -> list[str]:
        """The target's."""
        faults = {"--error": self.error, "--reset": self.reset, "--delay-ms": self.delay_ms}
        stall = {"--stall-at": 1.0, "--stall": self.stall_s}
        return [str(part) for pair in (faults | stall).items() for part in pair]


def draw(seed: int) -> Drawn:
    """The run of a seed."""
    dice = random.Random(seed)
    workers = dice.choice([0, 1, 2])
    acts = ["nothing", "interrupt"] + (["kill", "stop"] if workers == 2 else [])
    # A socket that was reset stays so, and LocustFast repeats what was reset: only our client is asked to bear it.
    reset = dice.choice([0.0, 0.0, 0.05])
    users = ("Ours", "OursTwice") if reset else tuple(dice.sample(KINDS, dice.randint(1, 3)))
    return Drawn(
        rate=dice.randint(20, 150),
        duration_s=dice.randint(2, 4),
        users=users,
        virtual_users=dice.choice([5, 50, 200]),
        patience_s=dice.choice([0.3, 10.0]),
        workers=workers,
        error=dice.choice([0.0, 0.05]),
        reset=reset,
        delay_ms=dice.choice([0.0, 5.0, 60.0]),
        stall_s=dice.choice([0.0, 0.0, 0.7]),
        act=dice.choice(acts),
    )


def act(run: LocustRun, what: str) -> None:
    """Let it happen, a second into the run."""
    time.sleep(1)
    if what == "interrupt":
        run.master.send_signal(signal.SIGINT)
    elif what == "kill":
        run.workers[0].kill()
    elif what == "stop":
        run.workers[0].send_signal(signal.SIGSTOP)
        time.sleep(0.7)
        run.workers[0].send_signal(signal.SIGCONT)


def requests_of(result: RunResult) -> int:
    """Requests in the books; a journey as a whole is none."""
    return sum(e.requests for name, e in result.endpoints.items() if not name.startswith(f"{ARRIVAL} "))


@pytest.mark.slow(stays=["0"])
@pytest.mark.parametrize("seed", range(RUNS))
def test_every_arrival_and_every_request_is_in_the_books_exactly_once(
    seed: int, tmp_path: Path, timing: Timing
) -> None:
    drawn = draw(seed)
    plan = write_plan(
        tmp_path,
        rate=drawn.rate,
        duration_s=drawn.duration_s,
        users=drawn.users,
        virtual_users=drawn.virtual_users,
        patience_s=drawn.patience_s,
    )
    others = Others()
    with target(*drawn.flags) as aimed, locust_run(tmp_path, plan, aimed.url, workers=drawn.workers) as run:
        aimed.await_first_request()
        act(run, drawn.act)
        _, result = run.finish()
        unless_ended(result, others)  # the last worker was taken for lost
        seen = aimed.seen()
    arrivals = result.arrivals
    assert identity_holds(arrivals), (drawn, arrivals)
    requests = requests_of(result)
    unanswered = sum(endpoint.unanswered for endpoint in result.endpoints.values())
    in_doubt = 2 * (arrivals.cancelled + arrivals.lost)  # their requests may have been received, or not
    assert requests - unanswered <= seen.received <= requests + in_doubt, (drawn, arrivals)
    if drawn.act in {"nothing", "stop"}:
        with timing:  # no worker was taken for lost
            assert arrivals.lost == 0 or drawn.act == "stop"
        whole = drawn.rate * drawn.duration_s * len(drawn.users)
        assert arrivals.planned == pytest.approx(whole, abs=len(drawn.users))
    failed = sum(endpoint.failures for name, endpoint in result.endpoints.items() if ARRIVAL not in name)
    failed -= unanswered
    assert failed <= seen.refused + seen.reset <= failed + in_doubt, (drawn, result.endpoints)
