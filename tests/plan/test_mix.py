"""Mixes: every schedule's arrivals, once each, in one ascending stream."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.plan.mix import Mix
from loadtest.plan.profile import constant, ramp
from loadtest.plan.schedule import Poisson, Schedule, Uniform

S = 1_000_000_000


@settings(max_examples=60, deadline=None)
@given(
    factors=st.lists(st.sampled_from([0.01, 0.2, 0.5, 1.0, 3.7]), min_size=1, max_size=4),
    poisson=st.booleans(),
    slots=st.integers(1, 4),
    from_ns=st.integers(0, 10 * S),
    length_ns=st.one_of(st.none(), st.integers(0, 10 * S)),
)
def test_a_mix_is_its_schedules_merged(
    factors: list[float], poisson: bool, slots: int, from_ns: int, length_ns: int | None
) -> None:
    profile = ramp(10, 200, 12)
    schedules: list[Schedule] = [
        Poisson(profile.scale(f), seed=i) if poisson else Uniform(profile.scale(f))
        for i, f in enumerate(factors)
    ]
    interval = (slots - 1, slots, from_ns, None if length_ns is None else from_ns + length_ns)
    merged = list(Mix(schedules).arrivals(*interval))
    instants_ns = [t for t, _ in merged]
    assert instants_ns == sorted(instants_ns)
    assert Counter(merged) == Counter((t, i) for i, s in enumerate(schedules) for t in s.arrivals(*interval))
    assert Mix(schedules).counts(*interval) == [
        sum(scenario == i for _, scenario in merged) for i in range(len(factors))
    ]


def test_scenarios_keep_their_proportions() -> None:
    rate = constant(1000, 10)
    assert Mix([Uniform(rate), Uniform(rate.scale(0.5)), Uniform(rate.scale(0.2))]).counts(0, 1) == [
        10000,
        5000,
        2000,
    ]


def test_a_mix_of_nothing_is_empty() -> None:
    assert list(Mix([]).arrivals(0, 1)) == []


def test_a_slot_outside_its_slots_is_refused() -> None:
    with pytest.raises(ValueError, match="got slot 5"):
        list(Mix([Uniform(constant(1, 1)), Uniform(constant(2, 1))]).arrivals(5, 5))
