"""The whole day's curves against docs/traffic.md: interval means, the funnel by time, a billion parcels.

Everything is arithmetic on schedules; nothing is played.
"""

from itertools import pairwise

import pytest

from loadtest.plan import whole_day
from loadtest.plan.plan_file import Plan
from loadtest.plan.profile import Piecewise

MIDNIGHT_S = whole_day.LEAD_IN_S
SPIKE, NORMAL = (5, 96), (3600, 86_400)
"""Seconds from midnight: from the opening's end until orders decay, and every hour but the first."""
DAY = Plan.load("day")
SCENARIOS = [scenario.user.partition(":")[2] for scenario in DAY.scenarios]
S = 1_000_000_000


def mean(curve: Piecewise, from_s: float, to_s: float) -> float:
    """Between two seconds from midnight."""
    sums = [curve.cumulative(MIDNIGHT_S + t_s) for t_s in (from_s, to_s)]
    return (sums[1] - sums[0]) / (to_s - from_s)


def arrivals(plan: Plan, from_s: float, to_s: float) -> dict[str, int]:
    """How many arrivals each scenario of a plan of the day has between two seconds from midnight, exactly."""
    edges = (round((MIDNIGHT_S + t_s) * plan.time_scale * S) for t_s in (from_s, to_s))
    return dict(zip(SCENARIOS, plan.mix().counts(0, 1, *edges), strict=True))


@pytest.mark.parametrize(
    ("from_s", "to_s", "target"),
    [
        (-600, 0, 0.0082),
        (96, 769, 0.529),
        (769, 1785, 0.179),
        (1785, 3600, 0.069),
        (0, 3600, 0.209),
        (0, 86_400, 0.0275),
    ],
)
def test_orders_have_the_interval_means_of_the_table(from_s: float, to_s: float, target: float) -> None:
    """Within 2 % of the means of the fit, which is itself up to 2.9 % off the milestones of 2019."""
    assert mean(whole_day.orders(), from_s, to_s) == pytest.approx(target, rel=0.02)


@pytest.mark.parametrize(
    ("from_s", "to_s", "percent"),
    [
        (0, 1, 31.3),
        (1, 2, 13.7),
        (2, 6, 4 * 1.4),
        (6, 9, 3 * 2.8),
        (9, 12, 3 * 3.27),
        (12, 16.5, 4.5 * 2.38),
        (16.5, 21, 4.5 * 2.16),
        (21, 24, 3 * 3.57),
    ],
)
def test_each_stretch_of_the_day_has_its_share_of_the_orders(
    from_s: float, to_s: float, percent: float
) -> None:
    curve = whole_day.orders()
    day = mean(curve, 0, 86_400) * 24
    assert 100 * mean(curve, from_s * 3600, to_s * 3600) * (to_s - from_s) / day == pytest.approx(
        percent, rel=0.02
    )


def test_pages_climb_before_midnight() -> None:
    curve = whole_day.pages()
    assert (curve.rate(0), curve.rate(MIDNIGHT_S - 1e-9)) == pytest.approx((0.25, 0.8))
    rates = [curve.rate(t_s) for t_s in range(0, 601, 60)]
    assert all(a < b for a, b in pairwise(rates))
    assert curve.peak == pytest.approx((MIDNIGHT_S + 26, 1.0))


@pytest.mark.parametrize(
    ("from_s", "to_s", "target"),
    [(-600, 0, 0.0082), (0, 443, 0.88), (443, 3600, 0.33 + 0.59 * 240 / 3157)],
)
def test_payments_are_a_plateau(from_s: float, to_s: float, target: float) -> None:
    curve = whole_day.payments()
    assert mean(curve, from_s, to_s) == pytest.approx(target, rel=0.02)
    assert curve.peak[0] - MIDNIGHT_S == pytest.approx(322)


def test_payments_have_a_second_wave_half_an_hour_after_midnight() -> None:
    curve = whole_day.payments()
    around = (mean(curve, 1560, 1800) + mean(curve, 2040, 2280)) / 2
    assert mean(curve, 1800, 2040) - around == pytest.approx(0.59, rel=0.02)


@pytest.mark.parametrize("scale", [1.0, 30 / 87_000])
@pytest.mark.parametrize(
    ("stretch", "funnel"),
    [
        (SPIKE, {"Browse": 6.0, "SubmitAgain": 0.3, "Cart": 6 * 2.74 / 44.5}),
        (NORMAL, {"Browse": 44.5, "SubmitAgain": 0.0, "Cart": 2.74, "Payment": 0.92}),
    ],
    ids=["midnight", "normal"],
)
def test_the_funnel_differs_by_time(
    stretch: tuple[float, float], funnel: dict[str, float], scale: float
) -> None:
    """In arrivals that are counted to the last one; at half a minute with a peak that leaves enough of them."""
    plan = DAY.with_overrides(time_scale=scale, peak_tps=200 / scale, arrivals="uniform")
    counted = arrivals(plan, *stretch)
    for scenario, ratio in funnel.items():
        assert counted[scenario] / counted["Checkout"] == pytest.approx(ratio, rel=0.02), scenario


def test_the_payment_peak_is_that_of_2017() -> None:
    _, payments_tps = DAY.scenario_profile(SCENARIOS.index("Payment")).peak
    assert payments_tps / DAY.peak_tps == pytest.approx(256_000 / 325_000, rel=0.01)


def test_the_shipped_day_has_the_ratios_of_its_curves() -> None:
    shares = dict(zip(SCENARIOS, (s.per_transaction for s in DAY.scenarios), strict=True))
    assert shares["Browse"] == whole_day.PAGES_PER_ORDER_AT_PEAK
    assert shares["Cart"] == pytest.approx(6 * 2.74 / 44.5, rel=1e-4)
    assert shares["SubmitAgain"] == 0.3


def test_a_day_of_parcels_is_a_billion() -> None:
    plan = Plan.load("parcels")
    assert plan.profile().total == pytest.approx(1e9, rel=1e-6)
    assert plan.peak_tps == pytest.approx(3 * 1e9 / 86_400)
    assert plan.peak_tps == pytest.approx(3 * 1e9 / 86_400, rel=1e-4)
    curve = whole_day.parcels()
    assert curve.total / curve.duration_s == pytest.approx(1 / 3)
    assert curve.cumulative(4 * 3600) < 0.05 * curve.total, "parcels lag the orders by hours"
