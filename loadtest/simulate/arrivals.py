"""When arrivals reach one server of many: the plan's curve, dealt out by a balancer that does not look.

A balancer that picks a server for each arrival at random turns any schedule into a Poisson process for each of them,
at that server's share of the rate. Shares change with time: while a zone is gone, the others get its part.

All is vectorised. The plan's cumulative is taken at every `GRID_S`; between two of its points the rate is constant,
so an arrival is off by less than the grid.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from loadtest.plan.profile import Profile

GRID_S = 0.01

Floats = np.ndarray[Any, np.dtype[np.float64]]


class Curve:
    """A plan's arrivals a second, on a grid. Times are seconds from its beginning."""

    def __init__(self, profile: Profile) -> None:
        points = max(2, round(profile.duration_s / GRID_S) + 1)
        self.duration_s = profile.duration_s
        self.t_s: Floats = np.linspace(0.0, profile.duration_s, points)
        cumulative = np.array([profile.cumulative(t_s) for t_s in self.t_s])
        self._steps: Floats = np.diff(cumulative)

    @property
    def total(self) -> float:
        """Arrivals in all."""
        return float(self._steps.sum())

    def per_second(self) -> Floats:
        """Arrivals in each whole second."""
        seconds = np.minimum(self.t_s[:-1].astype(np.int64), max(0, int(np.ceil(self.duration_s)) - 1))
        return np.asarray(np.bincount(seconds, weights=self._steps), dtype=np.float64)

    def arrivals(self, share: Callable[[Floats], Floats], noise: np.random.Generator) -> Floats:
        """The instants, ascending, at which a server is asked that gets `share` (of 1, by time) of all arrivals."""
        expected = np.concatenate([[0.0], np.cumsum(self._steps * share(self.t_s[:-1]))])
        total = expected[-1]
        gaps = noise.standard_exponential(int(total + 8 * np.sqrt(total) + 16))
        numbers = np.cumsum(gaps)
        within = numbers[: int(np.searchsorted(numbers, total))]
        return np.interp(within, expected, self.t_s)
