"""The search for capacity against targets whose capacity is known."""

from collections.abc import Callable
from math import exp, inf, log
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.judge.capacity import Capacity, CapacitySearch, Limit, Outcome

Told = tuple[Outcome, float, float | None]
Target = Callable[[float], Told]
BOUND_MS, IDLE_MS = 100.0, 8.0


def target_of(capacity_tps: float, generator_tps: float = inf) -> Target:
    """A target that tells nothing but whether a rate passed."""

    def play(tps: float) -> Told:
        if tps > generator_tps:
            return Outcome.INVALID, 0.0, None
        return (Outcome.PASS if tps <= capacity_tps else Outcome.FAIL), 0.0, None

    return play


def noisy_queue(knee_tps: float, seed: int, generator_tps: float = inf) -> Target:
    """A queue whose p99 meets its bound up to `knee_tps`; p99 is off by 10 %, throughput by 1 %."""
    random = Random(seed)
    saturated_tps = knee_tps / (1 - IDLE_MS / BOUND_MS)

    def play(tps: float) -> Told:
        completed_tps = min(tps, saturated_tps) * random.gauss(1, 0.01)
        if tps > generator_tps * random.gauss(1, 0.005):
            return Outcome.INVALID, min(completed_tps, generator_tps), None
        p99_ms = IDLE_MS / (1 - tps / saturated_tps) if tps < saturated_tps else inf
        p99_ms *= exp(random.gauss(0, 0.1))
        outcome = Outcome.PASS if p99_ms <= BOUND_MS else Outcome.FAIL
        return outcome, completed_tps, BOUND_MS / p99_ms - 1

    return play


def find(search: CapacitySearch, play: Target) -> Capacity:
    while (tps := search.next_tps) is not None:
        search.record(*play(tps))
    return search.result


@pytest.mark.parametrize("seed", range(20))
def test_a_known_knee_is_found_within_2_percent_in_10_steps(seed: int) -> None:
    random = Random(1000 + seed)
    knee_tps = 10 ** random.uniform(1.5, 5.5)
    start_tps = knee_tps * random.uniform(0.3, 1.3)
    found = find(CapacitySearch(start_tps, tolerance=0.015, most_trials=10), noisy_queue(knee_tps, seed))
    assert found.sustained_tps == pytest.approx(knee_tps, rel=0.02)
    assert found.trials <= 10
    assert found.limit is Limit.TARGET


@pytest.mark.parametrize("seed", range(20))
def test_a_generator_that_runs_out_first_is_found_out_as_closely(seed: int) -> None:
    random = Random(1000 + seed)
    knee_tps = 10 ** random.uniform(1.5, 5.5)
    generator_tps = knee_tps * random.uniform(0.4, 0.9)
    play = noisy_queue(knee_tps, seed, generator_tps)
    start_tps = generator_tps * random.uniform(0.3, 1.3)
    found = find(CapacitySearch(start_tps, tolerance=0.015, most_trials=10), play)
    assert found.sustained_tps == pytest.approx(generator_tps, rel=0.02)
    assert found.limit is Limit.GENERATOR


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
def test_a_search_that_is_told_little_is_short_all_the_same(capacity_tps: float) -> None:
    """Growth to get there, then halvings of what it jumped over, and both ends once more."""
    found = find(CapacitySearch(100, most_trials=200), target_of(capacity_tps))
    growths = log(capacity_tps / 100, 4) + 3
    halvings = log(log(4) / log(1.05), 2) + 2
    assert found.trials <= growths + halvings + 2


@settings(deadline=None)
@given(st.floats(10, 1e5), st.integers(0, 10_000))
def test_stalls_do_not_lead_to_a_rate_that_cannot_be_sustained(capacity_tps: float, seed: int) -> None:
    random = Random(seed)
    truth = target_of(capacity_tps)
    search = CapacitySearch(10, most_trials=200)
    found = find(search, lambda tps: (Outcome.FAIL, 0.0, None) if random.random() < 0.1 else truth(tps))
    assert found.sustained_tps <= capacity_tps


def test_a_stall_now_and_then_hardly_moves_the_answer() -> None:
    """One step in ten fails for nothing; a rate is misjudged only if two in a row do."""
    answers = []
    for seed in range(200):
        random = Random(seed)
        truth = target_of(10_000)

        def play(tps: float, random: Random = random, truth: Target = truth) -> Told:
            return (Outcome.FAIL, 0.0, None) if random.random() < 0.1 else truth(tps)

        answers.append(find(CapacitySearch(1000), play).sustained_tps)
    assert sum(answer >= 10_000 / 1.06 for answer in answers) >= 170


def test_an_overloaded_target_says_where_to_look() -> None:
    search = CapacitySearch(1000)
    search.record(Outcome.FAIL, completed_tps=400)
    assert search.next_tps == pytest.approx(380)
    search.record(Outcome.PASS, completed_tps=380)
    assert search.next_tps == pytest.approx(420)


def test_both_ends_of_the_answer_are_tried_twice() -> None:
    search = CapacitySearch(100)
    found = find(search, target_of(150))
    assert search.tries(found.sustained_tps) == (2, 2)
    assert search.tries(found.exceeded_tps) == (0, 2)


def test_a_rate_that_failed_once_and_then_passed_was_good() -> None:
    search = CapacitySearch(100, tolerance=2.1)
    for outcome in (Outcome.PASS, Outcome.FAIL, Outcome.PASS):
        search.record(outcome)
    assert search.result.sustained_tps == 200
    assert search.next_tps == 800, "the range is open again"


def test_a_generator_at_its_end_makes_the_answer_a_lower_bound() -> None:
    found = find(CapacitySearch(100), target_of(10_000, generator_tps=3000))
    assert found.limit is Limit.GENERATOR
    assert found.sustained_tps <= 3000 < found.exceeded_tps


@pytest.mark.parametrize("refusals", [(Outcome.INVALID, Outcome.FAIL), (Outcome.FAIL, Outcome.INVALID)])
def test_one_failure_beside_an_invalid_step_is_the_targets_word(refusals: tuple[Outcome, Outcome]) -> None:
    search = CapacitySearch(100, tolerance=2)
    for outcome in (Outcome.PASS, *refusals, Outcome.PASS):
        search.record(outcome)
    assert search.next_tps is None
    assert search.result == Capacity(100, 200, Limit.TARGET, 4)


def test_a_ceiling_that_passes_ends_the_search() -> None:
    found = find(CapacitySearch(100, ceiling_tps=1000), target_of(5000))
    assert found == Capacity(1000, inf, Limit.CEILING, 4)


def test_a_floor_that_fails_ends_the_search() -> None:
    found = find(CapacitySearch(100, floor_tps=20), target_of(5))
    assert (found.sustained_tps, found.exceeded_tps, found.limit) == (0, 20, Limit.FLOOR)


def test_a_generator_that_fails_the_floor_is_not_the_targets_fault() -> None:
    assert find(CapacitySearch(100, floor_tps=20), target_of(1000, generator_tps=5)).limit is Limit.GENERATOR


def test_a_search_out_of_steps_says_so() -> None:
    found = find(CapacitySearch(100, most_trials=3), target_of(1e6))
    assert found == Capacity(400, inf, Limit.TRIALS, 3)


def test_history_keeps_every_step() -> None:
    search = CapacitySearch(100, most_trials=4)
    find(search, noisy_queue(150, seed=1))
    assert [(trial.tps, trial.outcome.value) for trial in search.history[:2]] == [
        (100, "pass"),
        (200, "fail"),
    ]


@pytest.mark.parametrize(
    "settings",
    [
        {"start_tps": 0}, {"start_tps": float("nan")}, {"start_tps": 5, "floor_tps": 6},
        {"start_tps": 5, "ceiling_tps": 4}, {"start_tps": 5, "tolerance": 0}, {"start_tps": 5, "growth": 1},
        {"start_tps": 5, "repeats": 0}, {"start_tps": 5, "most_trials": 0},
    ],
)  # fmt: skip
def test_settings_that_make_no_search_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        CapacitySearch(**settings)  # type: ignore[arg-type]  # most_trials is an int in each case


def test_a_step_that_nobody_asked_for_is_refused() -> None:
    search = CapacitySearch(100, ceiling_tps=100)
    search.record(Outcome.PASS)
    with pytest.raises(ValueError, match="the search is over"):
        search.record(Outcome.PASS)
