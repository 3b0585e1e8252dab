"""`make drill`: every drill at its full length, one after the other, with what was found.

`python -m tests.target_service.long_drills --only kills --rounds 100` plays one of them, shorter.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.contract.postgres_server import postgres_server
from tests.target_service.drills import Outcome, kill_drill, power_drill
from tests.target_service.fuzz_drill import fuzz_drill
from tests.target_service.postgres_drill import restart_drill
from tests.target_service.storm_drill import Storm, crowd_drill, duplicate_drill

READY_S = 1.0
UNITS = 1000
GROWTH_MB = 1.0
_SAY_EVERY_S = 10.0


class Drill(NamedTuple):
    """One drill: how long it is, and how it is played."""

    rounds: int
    play: Callable[[Path, int], bool]
    """(folder, rounds) -> whether everything promised was kept."""


def _kills(folder: Path, rounds: int) -> bool:
    outcome = kill_drill(folder, rounds, progress=_Progress(rounds))
    _say(f"{outcome}")
    return outcome.kept and outcome.ready_p99_s <= READY_S


def _power_cuts(folder: Path, rounds: int) -> bool:
    outcome = power_drill(folder, rounds, progress=_Progress(rounds))
    _say(f"{outcome}")
    return outcome.kept


def _postgres_restarts(folder: Path, rounds: int) -> bool:
    with postgres_server() as server:
        outcome = restart_drill(server, folder, rounds, progress=_Progress(rounds))
    _say(f"{outcome}")
    return outcome.kept


def _crowd(folder: Path, rounds: int) -> bool:
    storm = crowd_drill(folder, rounds, UNITS, _Progress(rounds))
    _say(f"{storm}, of {UNITS} units")
    return storm.created == storm.stored == UNITS


def _duplicates(folder: Path, rounds: int) -> bool:
    storm = duplicate_drill(folder, rounds, _Progress(rounds))
    _say(f"{storm}")
    return storm.stored == 1


def _bent_bodies(folder: Path, rounds: int) -> bool:
    fuzzed = fuzz_drill(folder, rounds)
    _say(f"{fuzzed}")
    return fuzzed.grown_mb <= GROWTH_MB


DRILLS = {
    "kills": Drill(1000, _kills),
    "power-cuts": Drill(200, _power_cuts),
    "postgres-restarts": Drill(200, _postgres_restarts),
    "crowd": Drill(100_000, _crowd),
    "duplicates": Drill(1_000_000, _duplicates),
    "bent-bodies": Drill(100_000, _bent_bodies),
}


class _Progress:
    """Says now and then how far a drill is."""

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds
        self._said_s = time.monotonic()

    def __call__(self, so_far: Outcome | Storm) -> None:
        now_s = time.monotonic()
        if now_s - self._said_s >= _SAY_EVERY_S:
            self._said_s = now_s
            done = so_far.rounds if isinstance(so_far, Outcome) else so_far.asked
            _say(f"  {done} of {self._rounds}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Play the drills; returns 1 if any promise was broken."""
    parser = argparse.ArgumentParser(prog="long_drills", description=__doc__)
    parser.add_argument("--only", choices=DRILLS, action="append", help="this drill; may be repeated")
    parser.add_argument(
        "--rounds", type=int, help="how many rounds, buyers or deliveries, instead of its own"
    )
    arguments = parser.parse_args()
    broken = []
    for name in arguments.only or DRILLS:
        drill = DRILLS[name]
        _say(f"{name}:")
        with tempfile.TemporaryDirectory(prefix="orders-drill-") as folder:
            if not drill.play(Path(folder), arguments.rounds or drill.rounds):
                broken.append(name)
    _say(f"broken: {', '.join(broken)}" if broken else "every promise was kept")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
