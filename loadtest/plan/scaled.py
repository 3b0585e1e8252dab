"""A profile at a multiple of its height that shares the segments of the one it is made of.

The scenarios of a plan follow one curve at different heights. A log of a day has tens of thousands of segments and
some sixty scenarios: with segments of their own they would take seconds and hundreds of megabytes in every worker.
"""

from collections.abc import Sequence

from loadtest.plan.profile import Phase, Piecewise


class Scaled:
    """`factor` times as many arrivals per second as `whole` has, at the same times; a `Profile`."""

    def __init__(self, whole: Piecewise, factor: float) -> None:
        """`factor` is above 0."""
        self.whole = whole
        self.factor = factor
        self.duration_s = whole.duration_s
        self.total = whole.total * factor

    @property
    def phases(self) -> Sequence[Phase]:
        """Those of `whole`."""
        return self.whole.phases

    @property
    def peak(self) -> tuple[float, float]:
        """(seconds, arrivals per second) where the rate is highest, the first time."""
        at_s, rate = self.whole.peak
        return at_s, rate * self.factor

    def rate(self, t_s: float) -> float:
        """Arrivals per second at `t_s`; 0 outside the profile. At a jump, the rate after it."""
        return self.whole.rate(t_s) * self.factor

    def cumulative(self, t_s: float) -> float:
        """Arrivals in [0, t_s]. Constant outside the profile."""
        return self.whole.cumulative(t_s) * self.factor

    def inverse(self, n: float) -> float:
        """The smallest t_s with cumulative(t_s) >= n. Raises ValueError where n exceeds the total."""
        return self.inverses((n,))[0]

    def inverses(self, numbers: Sequence[float]) -> list[float]:
        """`inverse` of many ascending numbers at once. Raises ValueError where the last exceeds the total."""
        if numbers and numbers[-1] > self.total:
            raise ValueError(f"arrival {numbers[-1]:g} never comes: the profile has {self.total:g} arrivals")
        factor, most = self.factor, self.whole.total
        # min: the last number divided by the factor may be one rounding above the total.
        return self.whole.inverses([min(n / factor, most) for n in numbers])
