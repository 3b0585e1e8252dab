"""The Singles' Day curves against the milestones they were fitted to."""

from math import exp

import pytest

from loadtest.plan.curve import CURVES
from loadtest.plan.profile import Piecewise
from loadtest.plan.singles_day import (
    BEFORE,
    DAY_MEAN,
    FIRST_HOUR_MEAN,
    day,
    midnight_orders,
    midnight_payments,
    rehearsal,
)


def mean(curve: Piecewise, from_s: float, to_s: float) -> float:
    return (curve.cumulative(to_s) - curve.cumulative(from_s)) / (to_s - from_s)


def test_orders_pass_through_the_known_points() -> None:
    curve = midnight_orders(lead_in_s=10)
    points = [(0, BEFORE), (9.9, BEFORE), (15, 0.85), (36, 1.0), (106, 0.9)]
    for t_s, level in points:
        assert curve.rate(t_s) == pytest.approx(level)
    assert curve.duration_s == 3610


def test_orders_peak_at_26_seconds_past_midnight() -> None:
    curve = midnight_orders(lead_in_s=0)
    assert max(range(3600), key=curve.rate) == 26


@pytest.mark.parametrize(
    ("from_s", "to_s", "level"), [(96, 769, 0.529), (769, 1785, 0.179), (1785, 3600, 0.069), (0, 3600, 0.209)]
)
def test_orders_have_the_means_of_the_fit(from_s: float, to_s: float, level: float) -> None:
    """The table in docs/traffic.md gives three decimals; the knots must not move the third."""
    assert mean(midnight_orders(lead_in_s=0), from_s, to_s) == pytest.approx(level, abs=0.0005)


def test_knots_of_the_tail_follow_its_formula() -> None:
    """To well under 0.1 %, against the formula's integral by Simpson's rule on a fine grid."""

    def rate(t_s: float) -> float:
        return 0.05 + 0.85 * exp(-((t_s / 550) ** 0.9))

    step_s = 0.5
    for a, b in ((0, 1), (0, 100), (100, 1000), (1000, 3504)):
        n = int((b - a) / step_s)
        exact = sum(
            (rate(a + i * step_s) + 4 * rate(a + (i + 0.5) * step_s) + rate(a + (i + 1) * step_s))
            / 6
            * step_s
            for i in range(n)
        )
        curve = midnight_orders(lead_in_s=0)
        assert curve.cumulative(96 + b) - curve.cumulative(96 + a) == pytest.approx(exact, rel=2e-4)


def test_orders_phases_cover_the_curve() -> None:
    phases = midnight_orders(lead_in_s=10).phases
    assert [phase.name for phase in phases] == ["before", "opening", "spike", "after", "tail"]
    assert [phase.from_s for phase in phases] == [0, 10, 15, 36, 106]
    assert phases[-1].to_s == 3610


def test_payments_follow_the_known_milestones() -> None:
    curve = midnight_payments(lead_in_s=0)
    assert mean(curve, 0, 443) == pytest.approx(0.88, abs=0.0005)
    assert max(range(1, 3600), key=curve.rate) == 322
    wave = 0.59 * 240 / (3600 - 443)
    assert mean(curve, 443, 3600) - wave == pytest.approx(0.33, abs=0.0005)
    assert curve.rate(1801) - curve.rate(1799) == pytest.approx(0.59, abs=0.001)


def test_a_day_adds_up() -> None:
    curve = day()
    assert curve.duration_s == 86400
    assert mean(curve, 0, 86400) == pytest.approx(DAY_MEAN, rel=0.005)
    assert curve.cumulative(3600) / curve.total == pytest.approx(0.313, rel=0.01)
    assert mean(curve, 3600, 7200) == pytest.approx(0.137 * 24 * DAY_MEAN)


def test_a_rehearsal_has_its_area_and_length() -> None:
    """About 621 peak-seconds without the overload (docs/traffic.md); ours is 619."""
    curve = rehearsal()
    overload_s = 60 * (
        1.2 - 0.9536
    )  # above the plateau, whose mean from 94 s to 154 s of its 214 s is 0.9536
    assert curve.duration_s == 1800
    assert curve.total - overload_s == pytest.approx(621, rel=0.005)
    assert curve.rate(1700) == FIRST_HOUR_MEAN
    assert curve.rate(630) == 1.2


@pytest.mark.parametrize("name", sorted(CURVES))
def test_curves_have_ascending_named_phases(name: str) -> None:
    phases = CURVES[name]().phases
    assert phases
    assert list(phases) == sorted(phases)


@pytest.mark.parametrize("lead_in_s", [-1, 601])
def test_an_unknown_time_before_midnight_is_refused(lead_in_s: float) -> None:
    with pytest.raises(ValueError, match="expected a lead-in of 0 to 600 s"):
        midnight_orders(lead_in_s)
