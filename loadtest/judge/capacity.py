"""The search for capacity: the highest rate that a target sustains, found by one step after another.

`CapacitySearch` plays nothing. It says which rate to try (`next_tps`), is told what came of it (`record`), and says
when it knows enough; whoever drives it does the playing. What it knows follows from its history alone:

* **Bracket.** It raises the rate until a step does not pass, or lowers it until one does.
* **Guess.** A target that was asked for too much still says how much it can do: what it completed meanwhile. The next
  rates are just below and just above that, which saves most of the halvings.
* **Narrowing**, until highest pass and lowest failure are within the tolerance. Where a step tells how far it was
  from its tightest objective, the knee is where a straight line says that the distance is nought, and the next rate
  is half a tolerance beyond it, on the side that is known worse: a right guess is bounded from both sides in two
  steps. Where it does not tell, or its guesses fall on one side twice, by halving.
* **Repetition.** A good rate fails for a stall that has nothing to do with it, but hardly anything makes an
  overloaded service pass. So both ends are tried again, the upper one first, and a rate that passed half of its tries
  has passed. An end that falls opens the range again. The answer is an interval whose ends were both seen twice.

An INVALID step says nothing of the target: where the generator itself could not keep up, the range ends just the
same, but the answer is then "at least", and says so.
"""

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from math import inf, sqrt
from typing import NamedTuple

BELOW, ABOVE = 0.95, 1.05
"""Shares of what an overloaded target completed that are tried next: most knees lie between them."""
NEAR = 2
"""Tolerances between both ends up to which a search that was cut short still says what limits the rate."""
LEAST_FALL = 0.8
"""Where a target tells what it completes, its knee is near that: no halving goes below this share of the upper
end."""


class Outcome(Enum):
    """What came of a step."""

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
    """The number of steps was used up before the tolerance was reached."""


class Trial(NamedTuple):
    """One step."""

    tps: float
    outcome: Outcome
    completed_tps: float = 0.0
    """What the target completed; 0 where nobody counted."""
    headroom: float | None = None
    """How far it was from its tightest objective: bound / observed - 1, below 0 where it was missed. For a queue
    whose delay grows as 1 / (1 - utilisation) that is a straight line over the rate. None where nothing tells."""


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
    """Factor from one rate to the next while none has failed, or none passed; its square from the third on."""
    repeats: int = 2
    """How often both ends of the answer are tried at least."""
    most_trials: int = 40
    history: list[Trial] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        """Raise ValueError for settings that make no search."""
        if not 0 < self.floor_tps <= self.start_tps <= self.ceiling_tps:
            raise ValueError(
                f"expected 0 < floor <= start <= ceiling, got {self.floor_tps:g}, {self.start_tps:g}, "
                f"{self.ceiling_tps:g} TPS"
            )
        if not (self.tolerance > 0 and self.growth > 1 and self.repeats >= 1 and self.most_trials >= 1):
            raise ValueError("expected tolerance > 0, growth > 1, repeats >= 1 and most_trials >= 1")

    @property
    def next_tps(self) -> float | None:
        """The rate to try next; None when the search is over."""
        if len(self.history) >= self.most_trials:
            return None
        if not self.history:
            return self.start_tps
        return self._next_of(*self._range())

    def record(self, outcome: Outcome, completed_tps: float = 0.0, headroom: float | None = None) -> None:
        """Tell what came of the step at `next_tps`. Raises ValueError when the search is over."""
        tps = self.next_tps
        if tps is None:
            raise ValueError("the search is over: no step was asked for")
        self.history.append(Trial(tps, outcome, completed_tps, headroom))

    @property
    def result(self) -> Capacity:
        """What is known so far; final once `next_tps` is None."""
        low, high = self._range()
        return Capacity(low, high, self._limit(low, high), len(self.history))

    def tries(self, tps: float) -> tuple[int, int]:
        """(steps at a rate that passed, steps there)."""
        outcomes = self._outcomes(tps)
        return outcomes[Outcome.PASS], outcomes.total()

    def _outcomes(self, tps: float) -> Counter[Outcome]:
        return Counter(trial.outcome for trial in self.history if trial.tps == tps)

    def _range(self) -> tuple[float, float]:
        """The highest rate that passed below the lowest that did not, and that one."""
        rates = {trial.tps for trial in self.history}
        passed = {tps for tps in rates if 2 * self.tries(tps)[0] >= self.tries(tps)[1]}
        high = min(rates - passed, default=inf)
        return max((tps for tps in passed if tps < high), default=0.0), high

    def _next_of(self, low: float, high: float) -> float | None:
        if high == inf:
            return None if low >= self.ceiling_tps else min(low * self._factor(), self.ceiling_tps)
        if low == 0 and high > self.floor_tps:
            return max(self._guess(low, high) or high / self._factor(), self.floor_tps)
        if low > 0 and not self._is_narrow(low, high):
            return self._guess(low, high) or self._crossing(low, high) or self._between(low, high)
        ends = (high, low) if low else (high,)
        return next((tps for tps in ends if self.tries(tps)[1] < self.repeats), None)

    def _factor(self) -> float:
        return self.growth if len(self.history) <= 2 else self.growth**2

    def _guess(self, low: float, high: float) -> float | None:
        """A rate beside what was completed by the last step that was too much, if it tells anything new."""
        last = next((trial for trial in reversed(self.history) if trial.outcome is not Outcome.PASS), None)
        if last is None or not 0 < last.completed_tps < last.tps:
            return None
        guesses = (last.completed_tps * share for share in (BELOW, ABOVE))
        margin = 1 + self.tolerance
        return next((tps for tps in guesses if low * margin < tps < high / margin), None)

    def _between(self, low: float, high: float) -> float:
        counted = any(trial.completed_tps for trial in self.history)
        return max(sqrt(low * high), LEAST_FALL * high if counted else 0.0)

    def _crossing(self, low: float, high: float) -> float | None:
        """A rate beside the one at which the headroom between both ends is used up; None if nothing tells."""
        above, below = self._headroom(low), self._headroom(high)
        if above is None or below is None or not above > 0 > below or self._is_one_sided():
            return None
        half = 1 + self.tolerance / 2
        knee = low + (high - low) * above / (above - below)
        beside = knee * half if high / knee > knee / low else knee / half
        return min(max(beside, low * half), high / half)

    def _headroom(self, tps: float) -> float | None:
        """The mean headroom of the steps at a rate, each at most 1: far from the knee it says no more than that."""
        told = [trial.headroom for trial in self.history if trial.tps == tps and trial.headroom is not None]
        return sum(max(-1.0, min(each, 1.0)) for each in told) / len(told) if told else None

    def _is_one_sided(self) -> bool:
        """Whether the last three steps came out alike: the line is no line."""
        return len(self.history) > 2 and len({trial.outcome for trial in self.history[-3:]}) == 1

    def _is_narrow(self, low: float, high: float) -> bool:
        return low > 0 and high <= low * (1 + self.tolerance)

    def _limit(self, low: float, high: float) -> Limit:
        if low >= self.ceiling_tps:
            return Limit.CEILING
        # A single failure is the target's word; only if no try failed otherwise is it the generator's.
        of_target = self._outcomes(high)[Outcome.FAIL] > 0
        if high <= self.floor_tps and of_target:
            return Limit.FLOOR
        near = low > 0 and high <= low * (1 + NEAR * self.tolerance)
        if near or high <= self.floor_tps:
            return Limit.TARGET if of_target else Limit.GENERATOR
        return Limit.TRIALS
