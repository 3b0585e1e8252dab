"""The simulated queues against the formulas of queueing theory."""

from itertools import repeat
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.simulate.queues import Commits, Housekeeping, commits, pool

ARRIVALS = 200_000
RATE = 1000.0


def poisson(rate: float, count: int = ARRIVALS, seed: int = 1) -> np.ndarray:
    return np.cumsum(np.random.default_rng(seed).exponential(1 / rate, count))


@pytest.mark.parametrize("utilisation", [0.3, 0.6, 0.8])
def test_one_server_with_random_work_waits_as_m_m_1(utilisation: float) -> None:
    """Mean time in the system: s / (1 - u); its quantiles are those of an exponential distribution with that mean."""
    arrived = poisson(RATE)
    mean_s = utilisation / RATE
    took = pool(arrived, np.random.default_rng(2).exponential(mean_s, ARRIVALS), 1).done_s - arrived
    expected_s = mean_s / (1 - utilisation)
    assert took.mean() == pytest.approx(expected_s, rel=0.05)
    assert np.quantile(took, 0.99) == pytest.approx(expected_s * np.log(100), rel=0.1)


@pytest.mark.slow(stays=["0.8"])
@pytest.mark.parametrize("utilisation", [0.3, 0.6, 0.8])
def test_one_server_with_equal_work_waits_as_m_d_1(utilisation: float) -> None:
    """Pollaczek and Khinchine: mean wait s u / (2 (1 - u)); both kinds of server have to agree."""
    arrived = poisson(RATE)
    each_s = utilisation / RATE
    expected_s = each_s + each_s * utilisation / (2 * (1 - utilisation))
    alone = pool(arrived, np.full(ARRIVALS, each_s), 1)
    one_by_one = commits(arrived, repeat(0.0), Commits(each_s, largest=1))
    assert (alone.done_s - arrived).mean() == pytest.approx(expected_s, rel=0.04)
    assert one_by_one.done_s == pytest.approx(alone.done_s)


@pytest.mark.parametrize(("servers", "utilisation"), [(2, 0.7), (8, 0.8), (32, 0.8)])
def test_a_pool_waits_as_erlang_says(servers: int, utilisation: float) -> None:
    """Erlang C: the share that waits, and the mean wait C s / (c (1 - u)); the mean of four simulations."""
    mean_s, load = utilisation * servers / RATE, utilisation * servers
    last = load**servers / factorial(servers) / (1 - utilisation)
    erlang_c = last / (sum(load**k / factorial(k) for k in range(servers)) + last)
    waits = []
    for seed in range(4):
        arrived = poisson(RATE, seed=seed)
        service = np.random.default_rng(100 + seed).exponential(mean_s, ARRIVALS)
        waits.append(pool(arrived, service, servers).done_s - arrived - service)
    waited = np.concatenate(waits)
    assert (waited > 1e-9).mean() == pytest.approx(erlang_c, rel=0.06)
    assert waited.mean() == pytest.approx(erlang_c * mean_s / (servers * (1 - utilisation)), rel=0.12)


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.floats(0, 10), min_size=1, max_size=60),
    st.integers(1, 5),
    st.integers(1, 8) | st.none(),
    st.sampled_from([0.0, 0.05, 0.3]),
)
def test_every_arrival_is_served_once_after_it_came_or_refused(
    instants: list[float], largest: int, most: int | None, fixed_s: float
) -> None:
    arrived = np.array(sorted(instants))
    served = commits(arrived, repeat(fixed_s), Commits(0.02, largest, most, refusal_s=0.001))
    assert sorted([*served.taken, *served.refused]) == list(range(len(arrived)))
    assert (served.done_s >= arrived[served.taken] + fixed_s).all()
    assert (np.diff(served.done_s) >= 0).all()
    if most is None:
        assert not len(served.refused)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0, 5), min_size=1, max_size=80), st.integers(1, 6))
def test_no_more_are_under_way_than_may_be(instants: list[float], most: int) -> None:
    arrived = np.array(sorted(instants))
    served = commits(arrived, repeat(0.2), Commits(0.01, most_waiting=most))
    for came in arrived:
        under_way = ((arrived[served.taken] <= came) & (served.done_s > came)).sum()
        assert under_way <= most


def test_what_waits_is_written_together() -> None:
    arrived = np.array([0.0, 0.1, 0.2, 5.0])
    served = commits(arrived, repeat(1.0), Commits(each_s=0.0))
    assert served.done_s.tolist() == [1.0, 2.0, 2.0, 6.0]
    assert (served.batches, served.busy_s) == (3, 3.0)


def test_beyond_its_capacity_a_bounded_server_goes_on_at_its_capacity_and_its_delay_has_a_bound() -> None:
    how = Commits(each_s=1 / RATE, most_waiting=200, refusal_s=25e-6, refusal_share=0.05)
    arrived = poisson(10 * RATE, 100_000)
    served = commits(arrived, repeat(0.005), how)
    rate = len(served.taken) / arrived[-1]
    assert 0.9 * RATE < rate < RATE
    assert (served.done_s - arrived[served.taken]).max() < 2 * (200 / RATE + 0.005) * 1.06


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.floats(0, 5), st.floats(0.01, 1)), min_size=1, max_size=80),
    st.integers(1, 4),
    st.integers(0, 5),
)
def test_a_pool_with_room_serves_in_order_and_never_has_more_than_that(
    came: list[tuple[float, float]], servers: int, waiting: int
) -> None:
    arrived = np.array(sorted(at for at, _ in came))
    service = np.array([each for _, each in came])
    served = pool(arrived, service, servers, servers + waiting)
    assert sorted([*served.taken, *served.refused]) == list(range(len(arrived)))
    assert (served.done_s >= arrived[served.taken] + service[served.taken] - 1e-12).all()
    for number in range(len(arrived)):
        before = served.taken < number
        others = (served.done_s[before] > arrived[number]).sum()
        assert (number in served.taken) == (others < servers + waiting)


def test_a_pool_with_room_for_all_is_the_pool_without_a_bound() -> None:
    arrived = poisson(RATE, 5000)
    service = np.random.default_rng(2).exponential(3.5 / RATE, 5000)
    assert pool(arrived, service, 4, 5000).done_s.tolist() == pool(arrived, service, 4).done_s.tolist()


def test_housekeeping_takes_its_turns_between_the_commits_of_others() -> None:
    own = Housekeeping(every_s=10.0, commits=2, first_s=0.5)
    arrived = np.array([0.0, 0.1, 0.2, 1.1, 4.0])
    served = commits(arrived, repeat(1.0), Commits(each_s=0.0, housekeeping=own))
    # At 1.0 a commit of its own; at 2.0 all that waited, which includes 1.1; at 3.0 the other one of its own.
    assert served.done_s.tolist() == [1.0, 3.0, 3.0, 3.0, 5.0]
    # While nobody waits it is made at its time, and whoever comes in the midst of it waits for its end.
    idle = commits(np.array([0.9]), repeat(1.0), Commits(each_s=0.0, housekeeping=own._replace(commits=1)))
    assert idle.done_s.tolist() == [2.5]


def test_refusing_takes_nothing_from_a_server_that_waits_for_its_disk_meanwhile() -> None:
    arrived = np.arange(0, 5, 0.001)
    how = Commits(each_s=0.0, most_waiting=64, refusal_s=25e-6, refusal_share=0.05)
    slow, free = (commits(arrived, repeat(0.1), each) for each in (how, how._replace(refusal_s=0.0)))
    assert slow.done_s.tolist() == free.done_s.tolist()
    busy = commits(arrived, repeat(0.0), how._replace(each_s=0.01))
    without = commits(arrived, repeat(0.0), how._replace(each_s=0.01, refusal_s=0.0))
    assert busy.busy_s > 1.005 * without.busy_s
