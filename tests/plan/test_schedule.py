"""Schedules: the slots together are the whole, whoever asks and whenever the plan is dealt out again."""

from collections import Counter
from decimal import Decimal
from itertools import pairwise
from math import exp

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.plan.profile import Piecewise, constant, decay, knots, ramp
from loadtest.plan.schedule import CHUNK, Poisson, Schedule, Uniform
from tests.plan import oracle
from tests.plan.cases import Case, profiles

S = 1_000_000_000

SHAPES: dict[str, Piecewise] = {
    "constant": constant(50, 20),
    "ramp": ramp(0, 100, 20),
    "pauses": knots(
        [(0, 0), (2, 0), (2, 300), (4, 300), (4, 0), (9, 0), (9, 80), (12, 80), (12, 0), (15, 0)]
    ),
    "decay": decay(200, 4, 20),
    "decay on a floor": constant(20, 20).add(decay(200, 4, 20)),
    "nearly nothing": constant(0.01, 20),
}


@pytest.fixture(params=SHAPES)
def profile(request: pytest.FixtureRequest) -> Piecewise:
    return SHAPES[request.param]


@pytest.fixture(params=["uniform", "poisson"])
def schedule(request: pytest.FixtureRequest, profile: Piecewise) -> Schedule:
    return Uniform(profile) if request.param == "uniform" else Poisson(profile, seed=7)


def test_uniform_arrivals_come_at_the_nearest_nanosecond_to_the_oracles() -> None:
    line = oracle.ramp(3, 1000, 10)
    instants_ns = list(Uniform(ramp(3, 1000, 10)).arrivals(0, 1))
    assert len(instants_ns) == 5015
    for n in range(0, 5015, 117):
        assert abs(Decimal(instants_ns[n]) / S - line.inverse(n + 0.5)) <= Decimal("0.51e-9")


@pytest.mark.parametrize("slots", [1, 2, 3, 7, 64])
def test_union_of_uniform_slots_is_the_global_schedule(profile: Piecewise, slots: int) -> None:
    schedule = Uniform(profile)
    union = sorted(t for slot in range(slots) for t in schedule.arrivals(slot, slots))
    assert union == list(schedule.arrivals(0, 1))
    assert len(union) == int(profile.total + 0.5)


def test_slots_take_turns() -> None:
    whole = list(Uniform(constant(100, 1)).arrivals(0, 1))
    assert list(Uniform(constant(100, 1)).arrivals(3, 10)) == whole[3::10]


def test_a_slot_keeps_its_numbers_from_any_instant_on() -> None:
    schedule = Uniform(constant(100, 1))
    whole = list(schedule.arrivals(3, 10))
    for from_ns in range(0, S, 77_000_000):
        assert list(schedule.arrivals(3, 10, from_ns)) == [t for t in whole if t >= from_ns]


@pytest.mark.parametrize("slots", [1, 4])
def test_count_is_how_many_arrive(schedule: Schedule, slots: int) -> None:
    for slot in range(slots):
        for from_ns, to_ns in (
            (0, None),
            (0, 5 * S),
            (3 * S, 4 * S),
            (4 * S, 9 * S),
            (7 * S, None),
            (30 * S, None),
        ):
            arrivals = list(schedule.arrivals(slot, slots, from_ns, to_ns))
            assert schedule.count(slot, slots, from_ns, to_ns) == len(arrivals)


def test_arrivals_ascend_within_their_interval(schedule: Schedule) -> None:
    arrivals = list(schedule.arrivals(0, 2, 3 * S, 11 * S))
    assert all(a <= b for a, b in pairwise(arrivals))
    assert all(3 * S <= t < 11 * S for t in arrivals)


def test_chunks_are_never_empty(schedule: Schedule) -> None:
    assert all(schedule.chunks(0, 2, 0, 10 * S))


def test_an_arrival_on_the_boundary_belongs_to_the_later_interval() -> None:
    schedule = Uniform(constant(1, 10))  # at 0.5 s, 1.5 s …
    edge_ns = 3_500_000_000
    assert list(schedule.arrivals(0, 1, 0, edge_ns)) == [500_000_000, 1_500_000_000, 2_500_000_000]
    assert next(schedule.arrivals(0, 1, edge_ns)) == edge_ns
    assert next(schedule.arrivals(0, 1, edge_ns + 1)) == edge_ns + S


@st.composite
def reslicings(draw: st.DrawFn) -> list[tuple[int, int | None, int]]:
    """Intervals that tile the plan, each (from_ns, to_ns, slots)."""
    edges = sorted(draw(st.sets(st.integers(1, 20 * S), max_size=6)))
    sizes = draw(st.lists(st.integers(1, 12), min_size=len(edges) + 1, max_size=len(edges) + 1))
    return list(zip([0, *edges], [*edges, None], sizes, strict=True))


@settings(max_examples=100, deadline=None)
@given(name=st.sampled_from(sorted(SHAPES)), intervals=reslicings())
def test_reslicing_leaves_no_gap_and_no_duplicate(
    name: str, intervals: list[tuple[int, int | None, int]]
) -> None:
    schedule = Uniform(SHAPES[name])
    dealt = [
        t
        for from_ns, to_ns, slots in intervals
        for slot in range(slots)
        for t in schedule.arrivals(slot, slots, from_ns, to_ns)
    ]
    assert Counter(dealt) == Counter(schedule.arrivals(0, 1))


@settings(max_examples=60, deadline=None)
@given(
    case=profiles(),
    arrivals=st.integers(0, 1000),
    shares=st.lists(st.floats(0, 1), max_size=4),
    data=st.data(),
)
def test_any_profile_can_be_dealt_out_again_at_any_instant(
    case: Case, arrivals: int, shares: list[float], data: st.DataObject
) -> None:
    if case.profile.total == 0:
        return
    profile = case.profile.scale((arrivals + 0.25) / case.profile.total)
    schedule = Uniform(profile)
    edges = sorted(int(share * profile.duration_s * S) for share in shares)
    dealt: list[int] = []
    for from_ns, to_ns in zip([0, *edges], [*edges, None], strict=True):
        slots = data.draw(st.integers(1, 9))
        for slot in range(slots):
            mine = list(schedule.arrivals(slot, slots, from_ns, to_ns))
            assert schedule.count(slot, slots, from_ns, to_ns) == len(mine)
            dealt += mine
    assert sorted(dealt) == list(schedule.arrivals(0, 1))
    assert len(dealt) == arrivals


@settings(max_examples=50, deadline=None)
@given(index=st.integers(0, 999), offset_ns=st.integers(-1, 1), slots=st.integers(1, 9))
def test_reslicing_at_an_arrival_itself_leaves_no_gap_and_no_duplicate(
    index: int, offset_ns: int, slots: int
) -> None:
    schedule = Uniform(SHAPES["ramp"])
    whole = list(schedule.arrivals(0, 1))
    edge_ns = whole[index] + offset_ns
    before = schedule.arrivals(0, 1, 0, edge_ns)
    after = [t for slot in range(slots) for t in schedule.arrivals(slot, slots, edge_ns)]
    assert [*before, *sorted(after)] == whole


def test_poisson_is_reproducible_from_its_seed() -> None:
    def arrivals(seed: int, slot: int, slots: int, from_ns: int = 0) -> list[int]:
        return list(Poisson(SHAPES["ramp"], seed).arrivals(slot, slots, from_ns))

    assert arrivals(1, 0, 2) == arrivals(1, 0, 2)
    streams = [
        arrivals(1, 0, 2),
        arrivals(2, 0, 2),
        arrivals(1, 1, 2),
        arrivals(1, 0, 3),
        arrivals(1, 0, 2, 1),
    ]
    assert len({tuple(stream) for stream in streams}) == len(streams)


def test_poisson_seed_means_the_same_on_every_machine() -> None:
    first = list(Poisson(constant(10, 10), seed=1).arrivals(0, 1))[:3]
    assert first == [142134244, 194184993, 195778286]


def test_a_poisson_stream_that_is_cut_is_a_beginning_of_the_whole(profile: Piecewise) -> None:
    schedule = Poisson(profile, seed=3)
    whole = list(schedule.arrivals(1, 2))
    for to_ns in (10 * S, *whole[5:8]):
        assert list(schedule.arrivals(1, 2, 0, to_ns)) == [t for t in whole if t < to_ns]


def test_poisson_slots_add_up_to_the_rate() -> None:
    """Mean of 100,000 arrivals within four standard deviations, with and without a re-slice."""
    rate, slots = constant(1000, 100), 5
    schedule = Poisson(rate, seed=11)
    whole = sum(schedule.count(slot, slots) for slot in range(slots))
    resliced = sum(schedule.count(slot, 3, 0, 40 * S) for slot in range(3)) + sum(
        schedule.count(slot, 7, 40 * S) for slot in range(7)
    )
    four_sigma = 4 * 100_000**0.5
    assert abs(whole - 100_000) < four_sigma
    assert abs(resliced - 100_000) < four_sigma


def test_poisson_gaps_are_exponential() -> None:
    """Kolmogorov-Smirnov: no gap's share may stray from 1 - exp(-x) by more than 1.63 / sqrt(n), at 99 %."""
    arrivals = list(Poisson(constant(1000, 30), seed=5).arrivals(0, 3))
    gaps = sorted((b - a) / S * 1000 / 3 for a, b in pairwise(arrivals))
    worst = max(abs((i + 0.5) / len(gaps) - (1 - exp(-gap))) for i, gap in enumerate(gaps))
    assert worst < 1.63 / len(gaps) ** 0.5


def test_poisson_counts_of_seconds_vary_as_they_should() -> None:
    """Variance over mean of the merged stream's counts is 1 for Poisson, and 0 for uniform arrivals."""
    schedule = Poisson(constant(100, 400), seed=2)
    seconds = Counter(t // S for slot in range(4) for t in schedule.arrivals(slot, 4))
    counts = [seconds[s] for s in range(400)]
    mean = sum(counts) / 400
    variance = sum((n - mean) ** 2 for n in counts) / 399
    assert 0.75 < variance / mean < 1.25


def test_more_than_one_chunk_is_seamless() -> None:
    schedule = Uniform(constant(CHUNK * 3.5, 1))
    gaps = {b - a for a, b in pairwise(schedule.arrivals(0, 1))}
    assert max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize(("slot", "slots"), [(2, 2), (-1, 2), (0, 0)])
def test_a_slot_outside_its_slots_is_refused(slot: int, slots: int) -> None:
    for schedule in (Uniform(constant(1, 1)), Poisson(constant(1, 1), seed=1)):
        with pytest.raises(ValueError, match=f"got slot {slot}"):
            list(schedule.arrivals(slot, slots))
