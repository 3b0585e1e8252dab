"""The worker processes on this machine: started together, and one that crashes is replaced while the run goes on.

Its replacement joins as any late worker does, so what the crashed one had not reported stays lost and counted.
Workers that crash again and again have a reason that another try does not mend: after `MOST_REPLACED` they are left
alone. So is one that ended with `USAGE`, having said what is wrong with its script or its settings, and one that has
lost its master.
"""

import signal
from collections.abc import Callable

from loadtest.cli.children import Child
from loadtest.environment import MASTER_LOST
from loadtest.exit_codes import ExitCode

MOST_REPLACED = 3
"""For each worker of the crew."""
FINAL = frozenset({ExitCode.PASS, ExitCode.USAGE, MASTER_LOST})
"""Exit codes after which nobody is replaced."""
ENDED_WELL = frozenset({ExitCode.PASS, MASTER_LOST})

Start = Callable[[str], Child]
"""Starts a worker of that name."""


class Crew:
    """The workers on this machine, replaced when they crash. `tell` is called with a sentence about each crash."""

    def __init__(self, size: int, start: Start, tell: Callable[[str], None]) -> None:
        self.workers: list[Child] = []
        self._start = start
        self._tell = tell
        self._left = MOST_REPLACED * size
        self._begun = 0
        for _ in range(size):
            self._begin()

    @property
    def running(self) -> bool:
        """Whether any is at work."""
        return any(worker.running for worker in self.workers)

    @property
    def failed(self) -> int:
        """How many have ended by an error and were not replaced, other than that their master was lost."""
        return len(self._ended_badly())

    def tend(self) -> None:
        """Replace whoever has crashed since the last look."""
        for worker in list(self.workers):
            if not worker.running and worker.process.returncode not in FINAL and self._left:
                self._left -= 1
                self.workers.remove(worker)
                worker.close()
                self._begin()
                self._tell(
                    f"{worker.name} crashed ({worker.ending()}; see {worker.log}); "
                    f"{self.workers[-1].name} takes its place"
                )

    def last_words(self) -> list[str]:
        """A sentence for each worker that ended by an error and was not replaced, with the last line of its log."""
        return [f"{worker.name}: {worker.ending()}: {worker.last_lines(1)}" for worker in self._ended_badly()]

    def _ended_badly(self) -> list[Child]:
        return [
            worker
            for worker in self.workers
            if not worker.running and worker.process.returncode not in ENDED_WELL
        ]

    def send(self, number: signal.Signals) -> None:
        """Send a signal to all."""
        for worker in self.workers:
            worker.send(number)

    def stop(self, timeout_s: float) -> list[int]:
        """End whoever is left, and return how each ended."""
        self.send(signal.SIGTERM)
        return [worker.stop(timeout_s) for worker in self.workers]

    def _begin(self) -> None:
        self._begun += 1
        self.workers.append(self._start(f"worker-{self._begun}"))
