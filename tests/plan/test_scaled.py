"""A scaled profile is the profile it is made of, at another height."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.plan.curve import Curve
from loadtest.plan.plan_file import Plan, Scenario
from loadtest.plan.profile import Piecewise, knots
from loadtest.plan.scaled import Scaled

rates = st.floats(0.01, 1000)


@st.composite
def profiles(draw: st.DrawFn) -> Piecewise:
    lasting = draw(st.lists(st.tuples(st.floats(0.01, 100), rates), min_size=1, max_size=8))
    points = [(0.0, draw(rates))]
    for each_s, rate in lasting:
        points.append((points[-1][0] + each_s, rate))
    return knots(points)


@given(profiles(), st.floats(0.001, 1000), st.floats(0, 1))
def test_it_tells_what_a_profile_with_scaled_segments_tells(
    whole: Piecewise, factor: float, share: float
) -> None:
    scaled, segments = Scaled(whole, factor), whole.scale(factor)
    at_s = share * whole.duration_s
    assert scaled.duration_s == segments.duration_s
    assert scaled.total == pytest.approx(segments.total)
    assert scaled.rate(at_s) == pytest.approx(segments.rate(at_s))
    assert scaled.cumulative(at_s) == pytest.approx(segments.cumulative(at_s))
    assert scaled.peak[1] == pytest.approx(segments.peak[1])


@given(profiles(), st.floats(0.001, 1000), st.lists(st.floats(0, 1), max_size=20))
def test_each_arrival_comes_where_the_cumulative_reaches_its_number(
    whole: Piecewise, factor: float, shares: list[float]
) -> None:
    scaled = Scaled(whole, factor)
    numbers = [share * scaled.total for share in sorted([*shares, 1.0])]
    instants_s = scaled.inverses(numbers)
    assert instants_s[-1] <= scaled.duration_s
    for n, at_s in zip(numbers, instants_s, strict=True):
        assert scaled.cumulative(at_s) == pytest.approx(n, rel=1e-6, abs=1e-6)


def test_an_arrival_beyond_the_total_never_comes() -> None:
    with pytest.raises(ValueError, match="never comes"):
        Scaled(knots([(0, 1), (10, 1)]), 2).inverses([20.5])


def test_all_scenarios_on_one_curve_share_its_segments() -> None:
    scenarios = tuple(Scenario(f"shop:Step{i}", per_transaction=i + 1, transaction=i == 0) for i in range(60))
    curve = Curve(knots=tuple((float(t), 1.0 + t % 7) for t in range(1000)))
    plan = Plan(name="log", peak_tps=10, duration_s=999, curve=curve, scenarios=scenarios)
    assert len({id(plan.scenario_profile(i).whole) for i in range(60)}) == 1
