"""Drills: the service is killed, or loses power, again and again under load; then its books are read.

`make drill` plays the long version of what the system tests do with a few rounds (`long_drills`).
"""

import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path

from tests.target_service.buyers import Buyers, stored_keys, unbalanced_products, wait_until
from tests.target_service.service_process import running

POWER_SOURCE = Path(__file__).parents[1] / "system" / "power.c"
BUYERS = 4


@dataclass
class Outcome:
    """What was promised, and what was kept."""

    rounds: int = 0
    acknowledged: dict[str, str] = field(default_factory=dict)
    ready_s: list[float] = field(default_factory=list)
    """From each start to `ready`, in seconds."""
    lost: list[tuple[str, str]] = field(default_factory=list)
    duplicated: int = 0
    unbalanced: list[tuple[int, int, int]] = field(default_factory=list)

    @property
    def ready_p99_s(self) -> float:
        """From a start to `ready`: 99 of 100 took no longer. Seconds."""
        return sorted(self.ready_s)[max(0, ceil(len(self.ready_s) * 0.99) - 1)]

    @property
    def kept(self) -> bool:
        """Whether every acknowledged order is stored, once, and stock agrees with orders."""
        return bool(self.acknowledged) and not (self.lost or self.duplicated or self.unbalanced)

    def audit(self, folder: Path) -> None:
        """Compare what was acknowledged with what the SQLite file in `folder` holds."""
        self.compare(stored_keys(folder), unbalanced_products(folder))

    def compare(self, stored: list[tuple[str, str]], unbalanced: list[tuple[int, int, int]]) -> None:
        """Compare what was acknowledged with what is stored: (key, order) rows, products that do not add up."""
        self.duplicated = len(stored) - len({key for key, _ in stored})
        self.lost = sorted(set(self.acknowledged.items()) - set(stored))
        self.unbalanced = unbalanced

    def __str__(self) -> str:
        return (
            f"{self.rounds} rounds, {len(self.acknowledged)} acknowledged, {len(self.lost)} lost,"
            f" {self.duplicated} duplicated, {len(self.unbalanced)} unbalanced, ready p99 {self.ready_p99_s:.2f} s"
        )


def kill_drill(
    folder: Path,
    rounds: int,
    seed: int = 0,
    *,
    after_kill: Callable[[Path], None] = lambda _: None,
    store: str | None = None,
    progress: Callable[[Outcome], None] = lambda _: None,
    **environment: str,
) -> Outcome:
    """Kill the whole service under load `rounds` times at random moments; returns what was found then."""
    outcome = Outcome()
    dice = random.Random(seed)
    for number in range(rounds):
        began = time.monotonic()
        with running(folder, store=store, **environment) as service:
            outcome.ready_s.append(time.monotonic() - began)
            with Buyers(service, BUYERS, name=f"round-{number}") as buyers:
                wait_until(lambda: buyers.acknowledged)
                time.sleep(dice.uniform(0, 0.1))
                service.process.send_signal(signal.SIGKILL)
                service.process.wait()
        after_kill(folder)
        outcome.rounds += 1
        outcome.acknowledged |= buyers.acknowledged
        progress(outcome)
    with running(folder, store=store, **environment) as service:
        assert service.order("after").status == 201
        service.stop()
    outcome.audit(folder)
    return outcome


def power_shim(folder: Path) -> Path:
    """Compile the shim that forgets what was not synced."""
    library = folder / "power.so"
    command = [
        "cc",
        "-O2",
        "-Wall",
        "-Werror",
        "-shared",
        "-fPIC",
        "-o",
        str(library),
        str(POWER_SOURCE),
        "-ldl",
    ]
    subprocess.run(command, check=True)
    return library


def cut_power(folder: Path) -> None:
    """Put what was synced in the place of what was written."""
    for name in ("orders.db", "orders.db-wal"):
        durable = folder / f"{name}.durable"
        if durable.exists():
            shutil.copyfile(durable, folder / name)
        else:
            (folder / name).unlink(missing_ok=True)
    (folder / "orders.db-shm").unlink(missing_ok=True)


def power_drill(
    folder: Path,
    rounds: int,
    seed: int = 0,
    synchronous: str = "FULL",
    progress: Callable[[Outcome], None] = lambda _: None,
) -> Outcome:
    """Cut the power under load `rounds` times; returns what was found then."""
    shim = power_shim(folder)
    return kill_drill(
        folder,
        rounds,
        seed,
        after_kill=cut_power,
        store=f"sqlite:///{folder}/orders.db?synchronous={synchronous}",
        progress=progress,
        LD_PRELOAD=str(shim),
        POWER_PREFIX=f"{folder}/orders.db",
    )
