"""The search for capacity against targets whose capacity is known."""

from collections.abc import Callable
from math import inf, log
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.judge.capacity import Capacity, CapacitySearch, Limit, Outcome

Target = Callable[[float], Outcome]


def target_of(capacity_tps: float, generator_tps: float = inf) -> Target:
    def run(tps: float) -> Outcome:
        if tps > generator_tps:
            return Outcome.INVALID
        return Outcome.PASS if tps <= capacity_tps else Outcome.FAIL

    return run


def find(search: CapacitySearch, run: Target) -> Capacity:
    while (tps := search.next_tps) is not None:
        search.record(run(tps))
    return search.result


@settings(deadline=None)
@given(st.floats(1, 1e7), st.floats(1, 1e7), st.sampled_from([0.01, 0.05, 0.2]))
def test_the_capacity_is_found_to_the_tolerance(
    capacity_tps: float, start_tps: float, tolerance: float
) -> None:
    found = find(CapacitySearch(start_tps, tolerance=tolerance, most_trials=200), target_of(capacity_tps))
    assert found.sustained_tps <= capacity_tps < found.exceeded_tps
    assert found.exceeded_tps <= found.sustained_tps * (1 + tolerance)
    assert found.limit is Limit.TARGET


@settings(deadline=None)
@given(st.floats(100, 1e6))
def test_a_search_is_short(capacity_tps: float) -> None:
    """Doublings to get there, then halvings of one octave down to 5 %, each failure twice."""
    found = find(CapacitySearch(100), target_of(capacity_tps))
    doublings = log(capacity_tps / 100, 2) + 2
    halvings = log(log(2) / log(1.05), 2) + 1
    assert found.trials <= doublings + 1 + 2 * halvings


@settings(deadline=None)
@given(st.floats(10, 1e5), st.integers(0, 10_000))
def test_stalls_do_not_lead_to_a_rate_that_cannot_be_sustained(capacity_tps: float, seed: int) -> None:
    random = Random(seed)
    truth = target_of(capacity_tps)
    found = find(
        CapacitySearch(10, most_trials=200), lambda tps: Outcome.FAIL if random.random() < 0.1 else truth(tps)
    )
    assert found.sustained_tps <= capacity_tps


def test_a_stall_now_and_then_hardly_moves_the_answer() -> None:
    """One run in ten fails for nothing; a rate is misjudged only if two in a row do."""
    answers = []
    for seed in range(200):
        random = Random(seed)
        truth = target_of(10_000)
        run = lambda tps, r=random, t=truth: Outcome.FAIL if r.random() < 0.1 else t(tps)  # noqa: E731
        answers.append(find(CapacitySearch(1000), run).sustained_tps)
    assert sum(answer >= 10_000 / 1.06 for answer in answers) >= 170


def test_a_failure_is_believed_only_at_the_second_time() -> None:
    search = CapacitySearch(100)
    search.record(Outcome.FAIL)
    assert search.next_tps == 100
    search.record(Outcome.PASS)
    assert search.next_tps == 200
    search.record(Outcome.FAIL)
    search.record(Outcome.FAIL)
    assert search.next_tps == pytest.approx(141.42, abs=0.01)


def test_a_generator_at_its_end_makes_the_answer_a_lower_bound() -> None:
    found = find(CapacitySearch(100), target_of(10_000, generator_tps=3000))
    assert found.limit is Limit.GENERATOR
    assert found.sustained_tps <= 3000 < found.exceeded_tps


@pytest.mark.parametrize("refusals", [(Outcome.INVALID, Outcome.FAIL), (Outcome.FAIL, Outcome.INVALID)])
def test_one_failure_beside_an_invalid_run_is_the_targets_word(refusals: tuple[Outcome, Outcome]) -> None:
    search = CapacitySearch(100, tolerance=2)
    for outcome in (Outcome.PASS, *refusals):
        search.record(outcome)
    assert search.next_tps is None
    assert search.result == Capacity(100, 200, Limit.TARGET, 3)


def test_a_ceiling_that_passes_ends_the_search() -> None:
    found = find(CapacitySearch(100, ceiling_tps=1000), target_of(5000))
    assert found == Capacity(1000, inf, Limit.CEILING, 5)


def test_a_floor_that_fails_ends_the_search() -> None:
    found = find(CapacitySearch(100, floor_tps=20), target_of(5))
    assert (found.sustained_tps, found.exceeded_tps, found.limit) == (0, 20, Limit.FLOOR)


def test_a_generator_that_fails_the_floor_is_not_the_targets_fault() -> None:
    assert find(CapacitySearch(100, floor_tps=20), target_of(1000, generator_tps=5)).limit is Limit.GENERATOR


def test_a_search_out_of_trials_says_so() -> None:
    found = find(CapacitySearch(100, most_trials=3), target_of(1e6))
    assert found == Capacity(400, inf, Limit.TRIALS, 3)


def test_history_keeps_every_run() -> None:
    search = CapacitySearch(100, most_trials=4)
    find(search, target_of(150))
    assert [(trial.tps, trial.outcome.value) for trial in search.history[:3]] == [
        (100, "pass"), (200, "fail"), (200, "fail")
    ]  # fmt: skip


@pytest.mark.parametrize(
    "settings",
    [
        {"start_tps": 0}, {"start_tps": float("nan")}, {"start_tps": 5, "floor_tps": 6},
        {"start_tps": 5, "ceiling_tps": 4}, {"start_tps": 5, "tolerance": 0}, {"start_tps": 5, "growth": 1},
        {"start_tps": 5, "attempts": 0}, {"start_tps": 5, "most_trials": 0},
    ],
)  # fmt: skip
def test_settings_that_make_no_search_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        CapacitySearch(**settings)  # type: ignore[arg-type]  # most_trials is an int in each case


def test_a_run_that_nobody_asked_for_is_refused() -> None:
    search = CapacitySearch(100, ceiling_tps=100)
    search.record(Outcome.PASS)
    with pytest.raises(ValueError, match="the search is over"):
        search.record(Outcome.PASS)
