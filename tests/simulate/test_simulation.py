"""A plan played to many replicas, against what must be so."""

import numpy as np
import pytest

from loadtest.measure.histogram import Histogram
from loadtest.measure.run_result import Buckets
from loadtest.plan.plan_file import Plan
from loadtest.plan.profile import constant
from loadtest.simulate.arrivals import Curve
from loadtest.simulate.replica import Replica, ServiceTimes, calibrated
from loadtest.simulate.simulation import MOST_MOMENTS, Simulated, WhatIf, ZoneLoss, simulate

TPS = 1000.0


def times(median_us: float = 4000, spread: float = 0.3) -> ServiceTimes:
    histogram = Histogram()
    for value in np.random.default_rng(1).lognormal(np.log(median_us), spread, 2000):
        histogram.record_us(int(value))
    return ServiceTimes.of(histogram.buckets())


REPLICA = Replica(TPS, times())


def played(rate: float, what_if: WhatIf, duration_s: float = 20, replica: Replica = REPLICA) -> Simulated:
    return simulate(Curve(constant(rate, duration_s)), replica, what_if)


def test_every_arrival_of_the_plan_is_completed_refused_or_failed() -> None:
    profile = Plan.load("singles-day").with_overrides(peak_tps=5000).profile()
    for what_if in (WhatIf(4), WhatIf(6, slower=2.0), WhatIf(6, zone_loss=ZoneLoss(20.0))):
        found = simulate(Curve(profile), REPLICA, what_if)
        assert found.offered == found.completed + found.refused + found.failed
        assert found.offered == pytest.approx(profile.total, rel=0.01)
        assert sum(moment.offered_tps for moment in found.moments) == found.offered


def test_arrivals_follow_the_plans_curve() -> None:
    curve = Curve(Plan.load("singles-day").with_overrides(peak_tps=20_000).profile())
    instants = curve.arrivals(lambda t_s: np.full(len(t_s), 0.5), np.random.default_rng(3))
    seen = np.histogram(instants, bins=np.arange(0, 61))[0]
    expected = curve.per_second() / 2
    busy = expected > 1000
    assert seen[busy] == pytest.approx(expected[busy], rel=0.05)
    assert (np.diff(instants) >= 0).all()


def test_twice_the_replicas_do_twice_as_much_and_one_half_as_slow_does_half() -> None:
    one, two = played(4 * TPS, WhatIf(1)), played(4 * TPS, WhatIf(2))
    assert two.completed == pytest.approx(2 * one.completed, rel=0.03)
    slow = played(4 * TPS, WhatIf(1, slower=2.0))
    assert slow.completed == pytest.approx(one.completed / 2, rel=0.05)


def test_a_replica_that_is_offered_too_much_does_what_it_was_measured_to_do_less_its_refusals() -> None:
    found = played(3 * TPS, WhatIf(1))
    rate = np.mean([moment.completed_tps for moment in found.moments[5:-2]])
    assert 0.9 * TPS < rate < 1.03 * TPS
    assert found.p99_ms < 2 * 1000 * (REPLICA.queue_s + 0.02)


def test_below_its_capacity_nothing_is_refused() -> None:
    found = played(0.7 * TPS, WhatIf(1))
    assert found.goodput == 1.0
    assert found.refused == found.failed == 0


def test_a_lost_zone_fails_its_share_until_that_is_noticed_and_the_others_carry_on() -> None:
    loss = ZoneLoss(at_s=8.0, zones=3, noticed_after_s=4.0)
    found = played(3 * TPS, WhatIf(6, zone_loss=loss))
    assert all(moment.failed_tps == 0 for moment in found.moments[:7])
    assert found.moments[10].failed_tps == pytest.approx(TPS, rel=0.1)
    assert all(moment.failed_tps == 0 for moment in found.moments[13:])
    assert found.moments[15].completed_tps == pytest.approx(3 * TPS, rel=0.1)


def measured(replica: Replica, offered_tps: float) -> tuple[ServiceTimes, float, float]:
    """(response times, their median, their p99 in seconds) of a replica at a rate, as a run would measure them."""
    arrived = np.cumsum(np.random.default_rng(9).exponential(1 / offered_tps, int(20 * offered_tps)))
    served = replica.serve(arrived, np.random.default_rng(9))
    took_s = served.done_s - arrived[served.taken]
    histogram = Histogram()
    for value_s in took_s:
        histogram.record_us(round(value_s * 1e6))
    return ServiceTimes.of(histogram.buckets()), float(np.median(took_s)), float(np.quantile(took_s, 0.99))


@pytest.mark.slow(stays=["0.05", "0.8"])
@pytest.mark.parametrize("spread", [0.05, 0.3, 0.8])
def test_calibration_finds_the_commits_that_measured_response_times_came_from(spread: float) -> None:
    """A replica that is known is measured at 30 %; what is made of it has to be as fast and as slow at 70 %."""
    truth = Replica(TPS, times(spread=spread), scale=0.4)
    seen, p50_s, p99_s = measured(truth, 0.3 * TPS)
    found = calibrated(Replica(TPS, seen), 0.3 * TPS, p50_s, p99_s)
    for share in (0.3, 0.7):
        _, true_p50_s, true_p99_s = measured(truth, share * TPS)
        _, found_p50_s, found_p99_s = measured(found, share * TPS)
        assert found_p50_s == pytest.approx(true_p50_s, rel=0.08)
        assert found_p99_s == pytest.approx(true_p99_s, rel=0.2)


def test_a_rate_beyond_the_capacity_or_no_times_cannot_be_calibrated_by() -> None:
    with pytest.raises(ValueError, match="expected a rate below 1,000"):
        calibrated(REPLICA, 1000.0, 0.01, 0.02)
    with pytest.raises(ValueError, match="none were measured"):
        ServiceTimes.of(Buckets())


def test_a_pool_of_workers_takes_the_place_of_commits() -> None:
    pool = Replica(1e9, times(), servers=8)
    found = played(1500, WhatIf(1), replica=pool)  # 8 workers at some 4.2 ms: 75 % busy
    assert found.goodput == 1.0
    assert found.p50_ms == pytest.approx(4.6, rel=0.15)


def test_the_same_seed_gives_the_same_figures() -> None:
    one, two = (played(2 * TPS, WhatIf(2)) for _ in range(2))
    assert one.moments == two.moments


def steady(kind: str, tps: float = 100.0) -> Plan:
    return Plan.load("steady").with_overrides(arrivals=kind).at_rate(tps, 20.0)


@pytest.mark.parametrize("kind", ["uniform", "poisson"])
def test_one_replica_gets_the_very_instants_that_a_run_plays(kind: str) -> None:
    plan = steady(kind)
    arrived = Curve.of(plan).every_arrival()
    assert arrived is not None
    assert arrived * 1e9 == pytest.approx([t_ns for t_ns, _ in plan.mix().arrivals(0, 1)], abs=1)
    # Even arrivals that one worker could just serve never wait; a crowd's do.
    pool = Replica(101.0, ServiceTimes.always(1 / 101), servers=1)
    waited_ms = simulate(Curve.of(plan), pool, WhatIf(1)).p99_ms - 1000 / 101
    assert waited_ms < 0.2 if kind == "uniform" else waited_ms > 20


def test_even_arrivals_that_are_dealt_out_are_less_uneven_than_a_crowds() -> None:
    def unevenness(kind: str, share: float) -> float:
        noise = np.random.default_rng(5)
        gaps = np.diff(Curve.of(steady(kind, 2000.0)).arrivals(lambda t_s: np.full(len(t_s), share), noise))
        assert gaps.mean() == pytest.approx(1 / (2000.0 * share), rel=0.1)
        return float(gaps.std() / gaps.mean())

    assert unevenness("poisson", 0.5) == pytest.approx(1.0, rel=0.05)
    assert unevenness("uniform", 0.5) == pytest.approx(0.5**0.5, rel=0.05)
    assert unevenness("uniform", 0.02) == pytest.approx(1.0, rel=0.1)


def test_a_slow_store_does_what_its_commits_and_its_room_allow_and_refusals_cost_it_nothing() -> None:
    slow = Replica(640.0, ServiceTimes.always(0.05), under_way=64)
    found = simulate(Curve.of(steady("uniform", 6400.0)), slow, WhatIf(1))
    assert np.mean([moment.completed_tps for moment in found.moments[2:-2]]) == pytest.approx(640, rel=0.01)
    assert found.p99_ms < 101 * 1.011


def test_a_day_has_as_many_moments_as_fit_and_each_second_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A day of a sixtieth: 24 minutes, of which a sixtieth of the moments are kept."""
    day_s, most = 86_400.0 / 60, MOST_MOMENTS // 60
    monkeypatch.setattr("loadtest.simulate.simulation.MOST_MOMENTS", most)
    found = simulate(Curve(constant(2.0, day_s)), Replica(TPS, ServiceTimes.always(0.004)), WhatIf(1))
    assert len(found.moments) == day_s / 12 <= most
    assert [moment.t_s for moment in found.moments[:3]] == [0.0, 12.0, 24.0]
    assert sum(moment.offered_tps for moment in found.moments) * 12 == pytest.approx(found.offered)
    assert found.completed_peak_tps >= 6  # of a second, though a moment's rate is nearly 2
    assert max(moment.completed_tps for moment in found.moments) < 4
