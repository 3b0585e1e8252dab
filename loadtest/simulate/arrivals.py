"""When arrivals reach one server of many: a load balancer deals out the plan's curve at random.

One server alone gets the plan's own instants, as a run with one worker plays them. A balancer that picks one of
several at random leaves a Poisson process one for each of them, at that server's share of the rate, and makes an even
schedule nearly one: between two of a server's arrivals come a geometric number of the plan's. Shares change with
time: while a zone is gone, the others get its part.

All is vectorised. The plan's cumulative is taken at every `GRID_S` (of a long plan, at `MOST_POINTS`); between two
of its points the rate is constant, so an arrival is off by less than the grid.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from loadtest.plan.plan_file import Plan
from loadtest.plan.profile import Profile

GRID_S, MOST_POINTS = 0.01, 1_000_000
"""Of a plan longer than three hours the grid is coarser: a day's is 0.09 s."""
NS = 1e-9

Floats = np.ndarray[Any, np.dtype[np.float64]]


class Curve:
    """A plan's arrivals a second, on a grid. Times are seconds from its beginning."""

    def __init__(self, profile: Profile, plan: Plan | None = None) -> None:
        """Of any profile, with Poisson arrivals; with a `plan`, arrivals as the plan has them."""
        self._plan = plan
        points = max(2, min(round(profile.duration_s / GRID_S), MOST_POINTS) + 1)
        self.duration_s = profile.duration_s
        self.t_s: Floats = np.linspace(0.0, profile.duration_s, points)
        cumulative = np.fromiter(map(profile.cumulative, self.t_s.tolist()), dtype=np.float64)
        self._steps: Floats = np.diff(cumulative)

    @property
    def total(self) -> float:
        """Arrivals in all."""
        return float(self._steps.sum())

    def per_second(self) -> Floats:
        """Arrivals in each whole second."""
        seconds = np.minimum(self.t_s[:-1].astype(np.int64), max(0, int(np.ceil(self.duration_s)) - 1))
        return np.asarray(np.bincount(seconds, weights=self._steps), dtype=np.float64)

    @classmethod
    def of(cls, plan: Plan) -> "Curve":
        """The curve of a plan's transactions."""
        return cls(plan.profile(), plan)

    def every_arrival(self) -> Floats | None:
        """The instants of the plan's transactions as one worker plays them; None where there is but a curve."""
        if self._plan is None:
            return None
        plan = self._plan
        schedules = [plan.schedule(place) for place, one in enumerate(plan.scenarios) if one.transaction]
        chunks = [np.array(chunk, dtype=np.float64) for one in schedules for chunk in one.chunks(0, 1)]
        instants_s: Floats = np.sort(np.concatenate(chunks)) * NS if chunks else np.zeros(0)
        return instants_s

    def arrivals(self, share: Callable[[Floats], Floats], noise: np.random.Generator) -> Floats:
        """Ascending instants, in seconds, of a server that gets the share `share(t)` of all arrivals."""
        shares = share(self.t_s[:-1])
        expected = np.concatenate([[0.0], np.cumsum(self._steps * shares)])
        total = expected[-1]
        count = int(total + 8 * np.sqrt(total) + 16)
        if self._plan is not None and self._plan.arrivals == "uniform":
            first = float(shares[0])
            numbers: Any = (np.cumsum(noise.geometric(first, count)) - 0.5) * first
        else:
            numbers = np.cumsum(noise.standard_exponential(count))
        instants_s: Floats = np.interp(numbers[: int(np.searchsorted(numbers, total))], expected, self.t_s)
        return instants_s
