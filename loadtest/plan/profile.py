"""Profiles: how many arrivals a second, at every instant of a test.

A `Profile` is what a schedule needs to know of the traffic: its rate, its cumulative N(t), and the inverse of
N, which says when the n-th arrival is due. Anything with these few members is a profile. `Piecewise` is the
one we ship: a row of segments (see `loadtest.plan.segment`) built by the functions below and combined by its
methods, each of which returns a new profile:

    warm_up = ramp(0, 100, duration_s=30).named("warm-up")
    plan = warm_up.then(constant(100, duration_s=60).add(spike(0, 900, at_s=20, rise_s=1, hold_s=5, fall_s=10,
                                                              duration_s=60)))
    plan.scale(583).cut(60).inverse(1000.5)

Combining works on the segments, at once, so however a profile was put together an arrival costs one lookup of
its segment and one closed formula.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from math import isfinite
from typing import NamedTuple, Protocol

from loadtest.plan.segment import Decay, Linear, Segment, added

TOLERANCE = 1e-9
"""Durations that differ by less than this share are one and the same, but for their rounding."""


class Phase(NamedTuple):
    """A named period of a profile, in seconds from its start, `to_s` excluded."""

    from_s: float
    to_s: float
    name: str


class Profile(Protocol):
    """Arrivals per second over time. Times are seconds from 0 to `duration_s`; counts may be fractional."""

    @property
    def duration_s(self) -> float:
        """How long it lasts."""
        ...

    @property
    def phases(self) -> Sequence[Phase]:
        """Its phases, ascending: periods without a name are not listed."""
        ...

    def rate(self, t_s: float) -> float:
        """Arrivals per second at `t_s`; 0 outside the profile. At a jump, the rate after it."""
        ...

    def cumulative(self, t_s: float) -> float:
        """Arrivals in [0, t_s]: the integral of the rate. Constant outside the profile."""
        ...

    def inverse(self, n: float) -> float:
        """The smallest t_s with cumulative(t_s) >= n. Raises ValueError where n exceeds the total."""
        ...

    def inverses(self, numbers: Sequence[float]) -> list[float]:
        """`inverse` of many ascending numbers at once, which is how a schedule asks."""
        ...


class Piecewise:
    """A profile made of segments, one after the other."""

    def __init__(self, segments: Iterable[Segment], phases: Iterable[Phase] = ()) -> None:
        """Join `segments`; `phases` are in seconds from the start. Raises ValueError if no time passes."""
        self.segments = tuple(segment for segment in segments if segment.duration_s > 0)
        if not self.segments:
            raise ValueError("a profile must last: expected at least one segment with a duration above 0 s")
        if not all(isfinite(segment.duration_s) and isfinite(segment.total) for segment in self.segments):
            raise ValueError("a profile's rates and durations must be finite numbers")
        self.phases = tuple(phases)
        self._starts_s = _running_sums(segment.duration_s for segment in self.segments)
        self._counts = _running_sums(segment.total for segment in self.segments)
        self.duration_s = self._starts_s[-1]
        self.total = self._counts[-1]

    def rate(self, t_s: float) -> float:
        """Arrivals per second at `t_s`; 0 outside the profile. At a jump, the rate after it."""
        if not 0 <= t_s <= self.duration_s:
            return 0.0
        i = self._segment_at(t_s)
        return self.segments[i].rate(min(t_s - self._starts_s[i], self.segments[i].duration_s))

    def cumulative(self, t_s: float) -> float:
        """Arrivals in [0, t_s]. Constant outside the profile."""
        if t_s <= 0:
            return 0.0
        if t_s >= self.duration_s:
            return self.total
        i = self._segment_at(t_s)
        return min(
            self._counts[i] + self.segments[i].cumulative(t_s - self._starts_s[i]), self._counts[i + 1]
        )

    def between(self, from_s: float, to_s: float) -> float:
        """Arrivals between two instants."""
        return self.cumulative(to_s) - self.cumulative(from_s)

    def inverse(self, n: float) -> float:
        """The smallest t_s with cumulative(t_s) >= n. Raises ValueError where n exceeds the total."""
        return self.inverses((n,))[0]

    def inverses(self, numbers: Sequence[float]) -> list[float]:
        """`inverse` of many ascending numbers at once. Raises ValueError where the last exceeds the total."""
        if numbers and numbers[-1] > self.total:
            raise ValueError(f"arrival {numbers[-1]:g} never comes: the profile has {self.total:g} arrivals")
        done = bisect_right(numbers, 0.0)
        instants_s = [0.0] * done
        while done < len(numbers):
            # bisect_left: a number that falls on a boundary is reached at the end of the earlier segment, and
            # segments without arrivals, which begin and end at one count, are never chosen.
            i = bisect_left(self._counts, numbers[done]) - 1
            upto = bisect_right(numbers, self._counts[i + 1], lo=done)
            found_s = self.segments[i].inverses(numbers[done:upto], self._counts[i], self._starts_s[i])
            found_s[-1] = min(found_s[-1], self._starts_s[i + 1])
            instants_s += found_s
            done = upto
        return instants_s

    def _segment_at(self, t_s: float) -> int:
        return min(bisect_right(self._starts_s, t_s), len(self.segments)) - 1

    @cached_property
    def peak(self) -> tuple[float, float]:
        """(seconds, arrivals per second) where the rate is highest, the first time.

        Lines and decays bend upwards or not at all, so no segment is higher within than at one of its ends.
        """
        return max(self.outline(curve_points=1), key=lambda point: (point[1], -point[0]))

    def outline(self, curve_points: int = 32) -> list[tuple[float, float]]:
        """(seconds, arrivals per second) of a line that draws it; two points at one instant are a jump.

        Straight segments have two points, curved ones `curve_points` + 1. Repeated points are left out.
        """
        points: list[tuple[float, float]] = []
        for start_s, segment in zip(self._starts_s[:-1], self.segments, strict=True):
            steps = 1 if isinstance(segment, Linear) else curve_points
            for k in range(steps + 1):
                t_s = segment.duration_s * k / steps
                point = (start_s + t_s, segment.rate(t_s))
                if points[-1:] != [point]:
                    points.append(point)
        return points

    def scale(self, factor: float) -> "Piecewise":
        """The same shape with `factor` times the rate. Raises ValueError below 0."""
        _require(factor >= 0, "a profile is scaled by a factor of 0 or more", factor)
        return Piecewise((segment.scaled(factor) for segment in self.segments), self.phases)

    def stretch(self, factor: float) -> "Piecewise":
        """The same rates passed through in `factor` times the time. Raises ValueError at 0 and below.

        The height stays: a profile stretched by 0.1 lasts a tenth of the time and has a tenth of the
        arrivals.
        """
        _require(factor > 0, "a profile is stretched by a factor above 0", factor)
        phases = (Phase(a * factor, b * factor, name) for a, b, name in self.phases)
        return Piecewise((segment.stretched(factor) for segment in self.segments), phases)

    def then(self, following: "Piecewise") -> "Piecewise":
        """This profile, and the other one after it."""
        shifted = (Phase(a + self.duration_s, b + self.duration_s, name) for a, b, name in following.phases)
        return Piecewise(self.segments + following.segments, (*self.phases, *shifted))

    def repeat(self, times: int) -> "Piecewise":
        """This profile `times` times over. Raises ValueError below 1."""
        _require(times >= 1, "a profile is repeated at least once", times)
        shifts_s = [k * self.duration_s for k in range(times)]
        phases = (Phase(a + shift, b + shift, name) for shift in shifts_s for a, b, name in self.phases)
        return Piecewise(self.segments * times, phases)

    def add(self, other: "Piecewise", at_s: float = 0.0) -> "Piecewise":
        """Both at once, the other from `at_s` on; where only one has traffic, that one's. Phases of both."""
        _require(at_s >= 0, "a profile is added at 0 s or later", at_s)
        shifted = constant(0.0, at_s).then(other) if at_s > 0 else other
        duration_s = max(self.duration_s, shifted.duration_s)
        ours, theirs = self._padded(duration_s), shifted._padded(duration_s)
        edges_s = sorted({*ours._starts_s, *theirs._starts_s})
        segments = (added(ours._single(a, b), theirs._single(a, b)) for a, b in pairwise(edges_s))
        return Piecewise(segments, sorted({*self.phases, *shifted.phases}))

    def cut(self, duration_s: float, from_s: float = 0.0) -> "Piecewise":
        """The `duration_s` seconds from `from_s` on. Raises ValueError if it does not last so long."""
        to_s = from_s + duration_s
        _require(from_s >= 0 and duration_s > 0, "a cut starts at 0 s or later and lasts", duration_s)
        _require(to_s <= self.duration_s * (1 + TOLERANCE), f"a cut ends by {self.duration_s:g} s", to_s)
        edges_s = [from_s, *(s for s in self._starts_s if from_s < s < to_s), min(to_s, self.duration_s)]
        clipped = (Phase(max(a, from_s) - from_s, min(b, to_s) - from_s, name) for a, b, name in self.phases)
        return Piecewise(
            (self._single(a, b) for a, b in pairwise(edges_s)),
            (phase for phase in clipped if phase.from_s < phase.to_s),
        )

    def named(self, name: str) -> "Piecewise":
        """The same profile as one phase called `name`."""
        return Piecewise(self.segments, [Phase(0.0, self.duration_s, name)])

    def hold(self, duration_s: float) -> "Piecewise":
        """The same profile, its last rate (and phase) held until `duration_s` if it ends before."""
        if duration_s <= self.duration_s:
            return self
        longer = self.then(constant(self.rate(self.duration_s), duration_s - self.duration_s))
        last_s = self.duration_s * (1 - TOLERANCE)
        phases = (Phase(a, duration_s if b >= last_s else b, name) for a, b, name in self.phases)
        return Piecewise(longer.segments, phases)

    def _padded(self, duration_s: float) -> "Piecewise":
        return (
            self if duration_s == self.duration_s else self.then(constant(0.0, duration_s - self.duration_s))
        )

    def _single(self, from_s: float, to_s: float) -> Segment:
        """The part between two instants that no boundary of segments lies between."""
        i = self._segment_at(from_s)
        segment, start_s = self.segments[i], self._starts_s[i]
        if from_s == start_s and to_s == self._starts_s[i + 1]:
            return segment
        return segment.part(from_s - start_s, min(to_s - start_s, segment.duration_s))


def constant(rate: float, duration_s: float) -> Piecewise:
    """`rate` arrivals per second for `duration_s` seconds."""
    return ramp(rate, rate, duration_s)


def ramp(from_rate: float, to_rate: float, duration_s: float) -> Piecewise:
    """A rate that climbs or falls evenly. Raises ValueError for a negative rate or a duration up to 0."""
    return knots([(0.0, from_rate), (duration_s, to_rate)])


def steps(rates: Sequence[float], each_s: float) -> Piecewise:
    """A staircase: each of the rates for `each_s` seconds. Raises ValueError for a negative rate."""
    return knots([(t_s, r) for i, r in enumerate(rates) for t_s in (i * each_s, (i + 1) * each_s)])


def spike(
    base: float, peak: float, *, at_s: float, rise_s: float, hold_s: float, fall_s: float, duration_s: float
) -> Piecewise:
    """`base` arrivals per second, but `peak` for `hold_s`, from `rise_s` after `at_s`; back within `fall_s`.

    A rise or fall of 0 s is a jump. Raises ValueError for a negative rate or a spike that outlasts
    `duration_s`.
    """
    top_s, drop_s = at_s + rise_s, at_s + rise_s + hold_s
    return knots(
        [(0, base), (at_s, base), (top_s, peak), (drop_s, peak), (drop_s + fall_s, base), (duration_s, base)]
    )


def decay(from_rate: float, tau_s: float, duration_s: float) -> Piecewise:
    """An exponential decay, from_rate * exp(-t / tau_s). Raises ValueError below 0, and beyond 30 tau_s."""
    _require(from_rate >= 0, "a rate is 0 or more arrivals per second", from_rate)
    _require(tau_s > 0, "a time constant is above 0 s", tau_s)
    return Piecewise([Decay(duration_s, from_rate, tau_s)])


def knots(points: Sequence[tuple[float, float]]) -> Piecewise:
    """Straight lines from knot to knot, each (seconds, arrivals per second); two at one instant are a jump.

    Raises ValueError unless the first is at 0 s, instants ascend, the last is above 0 s, and no rate is
    negative.
    """
    for t_s, rate in points:
        _require(isfinite(t_s) and isfinite(rate), "knots are finite numbers", (t_s, rate))
        _require(rate >= 0, "a rate is 0 or more arrivals per second", rate)
    _require(bool(points) and points[0][0] == 0, "the first knot is at 0 s", points[:1])
    for (a, _), (b, _) in pairwise(points):
        _require(a <= b, f"knots ascend in time: one after {a:g} s comes no earlier", b)
    return Piecewise(Linear(b - a, r, q) for (a, r), (b, q) in pairwise(points) if b > a)


def sampled(rate: Callable[[float], float], duration_s: float, tolerance: float = 1e-4) -> Piecewise:
    """Knots that follow a formula without an inverse of its own, such as a stretched exponential.

    Halves each segment until the straight line is off by at most `tolerance` of the rate at its middle and
    quarters. Raises ValueError as `knots` does.
    """
    return knots([(0.0, rate(0.0)), *_follow(rate, 0.0, duration_s, tolerance)])


def _follow(
    rate: Callable[[float], float], from_s: float, to_s: float, tolerance: float
) -> list[tuple[float, float]]:
    """Knots after `from_s` up to `to_s`."""
    start, end = rate(from_s), rate(to_s)
    for share in (0.25, 0.5, 0.75):
        exact = rate(from_s + share * (to_s - from_s))
        if abs(start + share * (end - start) - exact) > tolerance * exact:
            middle_s = (from_s + to_s) / 2
            return _follow(rate, from_s, middle_s, tolerance) + _follow(rate, middle_s, to_s, tolerance)
    return [(to_s, end)]


def _running_sums(terms: Iterable[float]) -> list[float]:
    """0 and the sum after each term; each is rounded once, however many terms came before.

    Every float is a whole number of some power of two, so the sums are those of whole numbers, in units of the
    smallest; Python rounds their division correctly. `Fraction` would do the same in five times the time.
    """
    ratios = [term.as_integer_ratio() for term in map(float, terms)]
    unit = max((parts for _, parts in ratios), default=1)
    return [total / unit for total in accumulate((n * (unit // parts) for n, parts in ratios), initial=0)]


def _require(condition: bool, rule: str, got: object) -> None:
    if not condition:
        raise ValueError(f"{rule}; got {got}")
