"""Profiles against the oracle: one table of shapes, one strategy of random ones, the same demands on all."""

from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from math import inf, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.plan import profile as ours
from loadtest.plan.curve import CURVES
from loadtest.plan.profile import Phase, Piecewise
from loadtest.plan.segment import Decay, Linear, Sum
from loadtest.records import RECORD_TPS
from tests.plan import oracle
from tests.plan.cases import SPIKE, STAIRS, Case, add, cut, decay, knots, profiles, ramp, then
from tests.plan.oracle import Oracle

NS = Decimal("1e-9")
ULPS = 8 / 2**53


CASES: dict[str, Callable[[], Case]] = {
    "constant": lambda: Case(ours.constant(7.3, 60), oracle.ramp(7.3, 7.3, 60)),
    "ramp up": lambda: ramp(0, 1000, 60),
    "ramp down to zero": lambda: ramp(1000, 0, 60),
    "gentle ramp": lambda: ramp(1000, 1000.000001, 3600),
    "steps with a pause": lambda: Case(ours.steps([10, 0, 40], each_s=3), oracle.knots(
        [(0, 10), (3, 10), (3, 0), (6, 0), (6, 40), (9, 40)])),
    "spike": lambda: Case(
        ours.spike(5, 900, at_s=10, rise_s=0.5, hold_s=2, fall_s=7.5, duration_s=30), oracle.knots(SPIKE)),
    "decay": lambda: decay(500, 20, 100),
    "knots": lambda: knots(STAIRS),
    "scaled": lambda: Case(knots(SPIKE).profile.scale(1 / 3), knots(SPIKE).oracle.scale(1 / 3)),
    "stretched": lambda: Case(knots(SPIKE).profile.stretch(0.1), knots(SPIKE).oracle.stretch(0.1)),
    "then": lambda: then(ramp(0, 100, 10), decay(100, 5, 30)),
    "repeated": lambda: Case(knots(STAIRS).profile.repeat(5), knots(STAIRS).oracle.repeat(5)),
    "lines added": lambda: add(knots(STAIRS), knots(SPIKE), at_s=2.5),
    "decay on a floor": lambda: add(ramp(50, 50, 60), decay(800, 10, 60)),
    "decays added": lambda: add(decay(300, 3, 40), decay(100, 30, 60), at_s=7),
    "cut": lambda: cut(knots(SPIKE), 9, from_s=4.25),
    "a second at full size": lambda: ramp(583_000, 524_700, 1),
}  # fmt: skip


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]()


def assert_instant_is_right(case: Case, n: float) -> None:
    """Within 1 ns of the truth, or of the truth for an arrival number a few roundings away.

    The second matters only where the rate is nearly 0, where the number itself does not say the instant to 1
    ns.
    """
    t_s = Decimal(case.profile.inverse(n))
    slack = Decimal(n) * Decimal(ULPS)
    total = case.oracle.cumulative(case.oracle.duration_s)
    earliest = case.oracle.inverse(Decimal(n) - slack)
    latest = case.oracle.inverse(min(Decimal(n) + slack, total))
    assert earliest - NS <= t_s <= latest + NS


def arrival_numbers(case: Case, at_most: int) -> list[float]:
    """The numbers n + 1/2 of arrivals, evenly thinned out, with the first and the last."""
    last = int(case.profile.total - 0.5)
    stride = max(1, last // at_most)
    return [n + 0.5 for n in [*range(0, last, stride), last]] if last >= 0 else []


def test_every_arrival_comes_within_a_nanosecond_of_the_truth(case: Case) -> None:
    for n in arrival_numbers(case, at_most=50):
        assert_instant_is_right(case, n)


def test_cumulative_is_the_integral(case: Case) -> None:
    for tenth in range(11):
        t_s = case.profile.duration_s * tenth / 10
        assert case.profile.cumulative(t_s) == pytest.approx(float(case.oracle.cumulative(t_s)), rel=1e-14)


def test_rate_is_the_slope_of_the_cumulative(case: Case) -> None:
    for share in (0.013, 0.27, 0.49, 0.71, 0.93):
        t_s, step_s = case.profile.duration_s * share, Decimal("1e-12")
        slope = (case.oracle.cumulative(Decimal(t_s) + step_s) - case.oracle.cumulative(t_s)) / step_s
        assert case.profile.rate(t_s) == pytest.approx(float(slope), rel=1e-6)


def test_many_at_once_are_the_same_as_one_by_one(case: Case) -> None:
    numbers = arrival_numbers(case, at_most=400)
    assert case.profile.inverses(numbers) == pytest.approx(
        [case.profile.inverse(n) for n in numbers], abs=1e-11
    )  # fmt: skip


def test_the_last_arrival_comes_by_the_end(case: Case) -> None:
    assert case.profile.inverse(case.profile.total) <= case.profile.duration_s
    assert case.profile.inverse(0) == 0


@settings(max_examples=150, deadline=None)
@given(case=profiles(), share=st.floats(0, 1))
def test_any_profile_places_any_arrival_within_a_nanosecond(case: Case, share: float) -> None:
    n = case.profile.total * share
    if n > 0:
        assert_instant_is_right(case, n)


@settings(max_examples=100, deadline=None)
@given(case=profiles())
def test_inverses_ascend_and_stay_within_any_profile(case: Case) -> None:
    total = case.profile.total
    instants_s = case.profile.inverses([min(total * k / 50, total) for k in range(51)])
    assert all(a <= b + 1e-12 for a, b in pairwise(instants_s))
    assert instants_s[0] >= 0
    assert instants_s[-1] <= case.profile.duration_s


@pytest.mark.parametrize("name", sorted(CURVES))
def test_shipped_curves_at_full_size_are_exact_to_a_nanosecond(name: str) -> None:
    """583,000 a second and, for the day, 1.4 billion arrivals: where floats might run out of digits."""
    curve = CURVES[name]().scale(RECORD_TPS)
    truth = Case(curve, oracle_of(curve))
    last = int(curve.total - 0.5)
    for n in [*range(0, last, last // 20), last]:
        assert abs(Decimal(curve.inverse(n + 0.5)) - truth.oracle.inverse(n + 0.5)) <= NS


def oracle_of(profile: Piecewise) -> Oracle:
    """The oracle's reading of a profile's segments, looked up so that 200 are bearable."""
    parts = [segment_oracle(segment) for segment in profile.segments]
    starts, counts = [Decimal(0)], [Decimal(0)]
    for part in parts:
        starts.append(starts[-1] + part.duration_s)
        counts.append(counts[-1] + part.cumulative(part.duration_s))

    def count(t: Decimal) -> Decimal:
        i = max(k for k in range(len(parts)) if starts[k] <= t)
        return counts[i] + parts[i].count(t - starts[i])

    return Oracle(starts[-1], count)


def segment_oracle(segment: object) -> Oracle:
    match segment:
        case Linear(duration_s, start, end):
            return oracle.ramp(start, end, duration_s)
        case Decay(duration_s, start, tau_s):
            return oracle.decay(start, tau_s, duration_s)
        case Sum(first, second):
            return segment_oracle(first).add(segment_oracle(second), 0)
        case _:
            raise TypeError(f"no oracle for {segment}")


def test_inverse_over_a_pause_is_the_instant_before_it() -> None:
    stairs = ours.knots(STAIRS)
    assert stairs.inverse(30) == 3.0
    assert stairs.inverse(30.0001) > 5.0


def test_rate_at_a_jump_is_the_one_after_it_and_zero_outside() -> None:
    stairs = ours.knots(STAIRS)
    assert [stairs.rate(t_s) for t_s in (-1, 0, 3, 4.9, 5, 8, 8.1)] == [0, 10, 0, 0, 40, 40, 0]


def test_cumulative_is_constant_outside_the_profile() -> None:
    stairs = ours.knots(STAIRS)
    assert [stairs.cumulative(t_s) for t_s in (-1, 0, 8, 99)] == [0, 0, 150, 150]


def test_arrivals_between_two_instants_are_those_that_the_cumulative_has_more() -> None:
    stairs = ours.knots(STAIRS)
    assert (stairs.between(0, 8), stairs.between(3, 4.9), stairs.between(8, 99)) == (150, 0, 0)


def test_an_arrival_beyond_the_total_is_refused() -> None:
    with pytest.raises(ValueError, match=r"arrival 11 never comes: the profile has 10 arrivals"):
        ours.constant(1, 10).inverse(11)


def test_phases_follow_their_profile() -> None:
    first, second = ours.constant(1, 10).named("a"), ours.constant(2, 5).named("b")
    both = first.then(second)
    assert both.phases == (Phase(0, 10, "a"), Phase(10, 15, "b"))
    assert both.stretch(2).phases == (Phase(0, 20, "a"), Phase(20, 30, "b"))
    assert both.cut(7, from_s=5).phases == (Phase(0, 5, "a"), Phase(5, 7, "b"))
    assert both.cut(10).phases == (Phase(0, 10, "a"),)
    assert both.repeat(2).phases[2:] == (Phase(15, 25, "a"), Phase(25, 30, "b"))
    assert first.add(second, at_s=3).phases == (Phase(0, 10, "a"), Phase(3, 8, "b"))
    assert both.hold(60).phases == (Phase(0, 10, "a"), Phase(10, 60, "b"))


def test_holding_goes_on_at_the_last_rate() -> None:
    held = ours.ramp(0, 10, 10).hold(20)
    assert (held.duration_s, held.total) == (20, 150)
    assert held.hold(5) is held


def test_sampling_follows_a_formula_to_its_tolerance() -> None:
    curve = ours.sampled(lambda t_s: 1 / (1 + t_s), 100, tolerance=1e-4)
    for t_s in (0, 0.37, 5.01, 77.7, 100):
        assert curve.rate(t_s) == pytest.approx(1 / (1 + t_s), rel=1.5e-4)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ours.constant(-1, 10), "a rate is 0 or more arrivals per second; got -1"),
        (lambda: ours.constant(1, 0), "a profile must last"),
        (lambda: ours.constant(inf, 1), "knots are finite numbers"),
        (lambda: ours.constant(nan, 1), "knots are finite numbers"),
        (lambda: ours.knots([]), "the first knot is at 0 s"),
        (lambda: ours.knots([(1, 1), (2, 1)]), "the first knot is at 0 s"),
        (lambda: ours.knots([(0, 1), (2, 1), (1, 1)]), "one after 2 s comes no earlier; got 1"),
        (lambda: ours.decay(1, 0, 1), "a time constant is above 0 s"),
        (lambda: ours.decay(1, 1, 31), "a decay may last 30 time constants"),
        (lambda: ours.decay(-1, 1, 1), "a rate is 0 or more"),
        (lambda: ours.constant(1, 1).scale(-1), "scaled by a factor of 0 or more"),
        (lambda: ours.constant(1, 1).scale(inf), "rates and durations must be finite"),
        (lambda: ours.constant(1, 1).stretch(0), "stretched by a factor above 0"),
        (lambda: ours.constant(1, 1).repeat(0), "repeated at least once"),
        (lambda: ours.constant(1, 1).cut(2), "a cut ends by 1 s; got 2"),
        (lambda: ours.constant(1, 1).add(ours.constant(1, 1), at_s=-1), "added at 0 s or later"),
    ],
)
def test_nonsense_is_refused_with_its_reason(build: Callable[[], Piecewise], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
