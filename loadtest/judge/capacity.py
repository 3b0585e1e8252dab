"""The search for capacity: the highest rate that a target sustains, found by one run after another.

`CapacitySearch` performs no run. It says which rate to try (`next_tps`), is told what came of it (`record`),
and says when it knows enough; the command that drives it does the running. It doubles the rate until a run
does not pass, then halves the remaining range, by ratio, until highest pass and lowest failure are within the
tolerance.

Two errors are possible on a noisy machine, and they are not alike: a good rate fails for a stall that has
nothing to do with it, but nothing makes an overloaded service pass. So a rate that does not pass is tried
once more before it is believed. An INVALID run says nothing of the target: where the generator itself could
not keep up, the range ends just the same, but the answer is then "at least", and says so.
"""

from dataclasses import dataclass, field
from enum import Enum
from math import inf, sqrt
from typing import NamedTuple


class Outcome(Enum):
    """What came of a run."""

    PASS = "pass"  # noqa: S105 -- not a password
    FAIL = "fail"
    """An objective was missed: the target's doing."""
    INVALID = "invalid"
    """The generator could not do it; nothing is known of the target."""


class Limit(Enum):
    """What the capacity found is limited by."""

    TARGET = "target"
    GENERATOR = "generator"
    """The target may be capable of more."""
    CEILING = "ceiling"
    """The highest rate that was allowed passed."""
    FLOOR = "floor"
    """Not even the lowest rate that was allowed passed."""
    TRIALS = "trials"
    """The number of runs was used up before the tolerance was reached."""


class Trial(NamedTuple):
    """One run."""

    tps: float
    outcome: Outcome


class Capacity(NamedTuple):
    """What the search found."""

    sustained_tps: float
    """The highest rate that passed; 0 if none did."""
    exceeded_tps: float
    """The lowest rate that did not; infinite if none was tried."""
    limit: Limit
    trials: int


@dataclass
class CapacitySearch:
    """A search for the highest rate that passes. Rates are in transactions per second."""

    start_tps: float
    """The first rate tried."""
    floor_tps: float = 1.0
    ceiling_tps: float = inf
    """Rates below and above are not tried."""
    tolerance: float = 0.05
    """The search ends when the lowest failure is at most this share above the highest pass."""
    growth: float = 2.0
    """Factor from one rate to the next while none has failed, or none passed."""
    attempts: int = 2
    """How often in a row a rate must not pass to be given up."""
    most_trials: int = 40
    history: list[Trial] = field(default_factory=list, init=False)
    _low_tps: float = field(default=0.0, init=False)
    _high_tps: float = field(default=inf, init=False)
    _high_limit: Limit = field(default=Limit.TARGET, init=False)
    _tps: float = field(init=False)
    _refusals: list[Outcome] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        """Raise ValueError for settings that make no search."""
        if not 0 < self.floor_tps <= self.start_tps <= self.ceiling_tps:
            raise ValueError(
                f"expected 0 < floor <= start <= ceiling, got {self.floor_tps:g}, {self.start_tps:g}, "
                f"{self.ceiling_tps:g} TPS"
            )
        if not (self.tolerance > 0 and self.growth > 1 and self.attempts >= 1 and self.most_trials >= 1):
            raise ValueError("expected tolerance > 0, growth > 1, attempts >= 1 and most_trials >= 1")
        self._tps = self.start_tps

    @property
    def next_tps(self) -> float | None:
        """The rate to try next; None when the search is over."""
        return None if self._is_over() else self._tps

    def record(self, outcome: Outcome) -> None:
        """Tell what came of the run at `next_tps`. Raises ValueError when the search is over."""
        if self._is_over():
            raise ValueError("the search is over: no run was asked for")
        self.history.append(Trial(self._tps, outcome))
        if outcome is Outcome.PASS:
            self._low_tps = self._tps
        else:
            self._refusals.append(outcome)
            if len(self._refusals) < self.attempts:
                return
            self._high_tps = self._tps
            # A single failure is the target's word; only if every attempt was invalid is it the generator's.
            self._high_limit = Limit.TARGET if Outcome.FAIL in self._refusals else Limit.GENERATOR
        self._refusals = []
        self._tps = self._following()

    def _following(self) -> float:
        if self._high_tps == inf:
            return min(self._low_tps * self.growth, self.ceiling_tps)
        if self._low_tps == 0:
            return max(self._high_tps / self.growth, self.floor_tps)
        return sqrt(self._low_tps * self._high_tps)

    def _is_over(self) -> bool:
        return (
            len(self.history) >= self.most_trials
            or self._low_tps >= self.ceiling_tps
            or self._high_tps <= self.floor_tps
            or self._is_narrow()
        )

    def _is_narrow(self) -> bool:
        return self._low_tps > 0 and self._high_tps <= self._low_tps * (1 + self.tolerance)

    @property
    def result(self) -> Capacity:
        """What is known so far; final once `next_tps` is None."""
        return Capacity(self._low_tps, self._high_tps, self._limit(), len(self.history))

    def _limit(self) -> Limit:
        if self._low_tps >= self.ceiling_tps:
            return Limit.CEILING
        if self._high_tps <= self.floor_tps and self._high_limit is Limit.TARGET:
            return Limit.FLOOR
        if self._is_narrow() or self._high_tps <= self.floor_tps:
            return self._high_limit
        return Limit.TRIALS
