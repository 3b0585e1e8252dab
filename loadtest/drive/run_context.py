"""What a script may want to know of the run it is part of: its id, its seed, its ledger, and how near the peak is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from locust.env import Environment

from loadtest.measure.ledger import OF_REGION, Ledger

if TYPE_CHECKING:
    from loadtest.drive.tracing import Tracer


@dataclass(slots=True)
class RunContext:
    """One run, as a worker's scripts see it. The ledger is made by the first order that needs it."""

    run_id: str
    seed: int
    worker: int
    """This worker's number in the fleet, from 0."""
    ledger_name: str
    """Name of this worker's ledger, unique in the run."""
    folder: Path | None = None
    """The run folder; None keeps no ledger."""
    tracer: Tracer | None = None
    """Traces some of the requests; None traces none."""
    workers: int = 1
    """How many workers were expected as the run began; one with a higher number joined for another."""
    trouble: OSError | None = None
    """Why the ledger could not be opened, if so."""
    share_of_peak: Callable[[float], float] | None = None
    """The plan's rate of transactions, as a share of its peak, at a second of the plan; None without a plan."""
    zero_ns: int | None = None
    """The plan's time zero on this process's run clock, once it is known."""
    _ledgers: dict[str, Ledger] = field(default_factory=dict)

    @property
    def ledger(self) -> Ledger | None:
        """This worker's ledger, or None where the run keeps none. Raises `OSError` where it cannot be kept."""
        return self.ledger_of("")

    def ledger_of(self, region: str) -> Ledger | None:
        """The ledger of the orders that are placed in a region, so that the audit can tell where each belongs.

        None where the run keeps none. Raises `OSError` where it cannot be kept.
        """
        ledger = self._ledgers.get(region)
        if ledger is None and self.folder is not None:
            name = f"{region}{OF_REGION}{self.ledger_name}" if region else self.ledger_name
            try:
                ledger = self._ledgers[region] = Ledger(self.folder / "ledger", self.run_id, name)
            except OSError as error:
                self.trouble = error
                raise
        return ledger

    @property
    def why_no_ledger(self) -> str:
        """Why orders can no longer be noted, in words; empty while they can."""
        troubles = [self.trouble, *(ledger.trouble for ledger in self._ledgers.values())]
        trouble = next((trouble for trouble in troubles if trouble is not None), None)
        return f"its ledger of orders cannot be written: {trouble.strerror}" if trouble is not None else ""

    def level(self, instant_ns: int) -> float:
        """How high the plan is at an instant of the run clock, from 0 to 1, its peak; 0 without a plan."""
        if self.share_of_peak is None or self.zero_ns is None:
            return 0.0
        return self.share_of_peak((instant_ns - self.zero_ns) / 1e9)

    def random(self, purpose: str) -> Random:
        """Random numbers for one purpose: the same in every run with the same seed and number of workers."""
        return Random(f"{self.seed}/{self.worker}/{purpose}")  # noqa: S311 - traffic, not secrets

    def close(self) -> None:
        """Close the ledgers."""
        for ledger in self._ledgers.values():
            ledger.close()
        self._ledgers = {}


_contexts: dict[Environment, RunContext] = {}
_ADHOC = RunContext(run_id="adhoc", seed=1, worker=0, ledger_name="adhoc")


def run_context(environment: Environment) -> RunContext:
    """The run that an environment's users take part in; without a plan, one that keeps no ledger."""
    return _contexts.get(environment, _ADHOC)


def current_run() -> RunContext:
    """The run that this process takes part in, for what knows no environment; else one that keeps no ledger."""
    return next(reversed(_contexts.values()), _ADHOC)


def enter_run(environment: Environment, context: RunContext | None) -> None:
    """Let scripts see a run; None ends it and closes its ledger."""
    previous = _contexts.pop(environment, None)
    if previous is not None:
        previous.close()
    if context is not None:
        _contexts[environment] = context
