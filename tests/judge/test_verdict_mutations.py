"""Mutation of the verdict: no way in which a run is bad ends PASS, and no good run ends otherwise.

Each way draws its severity, place and instant from a seed, always beyond what objectives allow; every run goes
through the real windows, reports, books and judge (`simulated_run`). `MUTATION_SEEDS=1000` tries a thousand of each;
what only shows with real processes is in `tests/system/test_verdict_mutations.py`.
"""

import os
from collections.abc import Callable
from random import Random

import msgspec
import pytest

from loadtest.judge.verdict import judge, settle
from loadtest.measure.run_result import Audit, RunResult
from tests.fleet.simulated_fleet import RATE
from tests.judge.simulated_run import DURATION_S, Answer, Fate, World, play

SEEDS = int(os.environ.get("MUTATION_SEEDS", "12"))
ARRIVALS = int(RATE * DURATION_S)
OK = Fate()
EVERYTHING_MAY_FAIL = ("errors(*) <= 100%", "availability >= 0%")
"""What somebody writes who lifts the implicit objectives on errors."""

Way = Callable[[Random], World]
BAD: dict[str, Way] = {}
GOOD: dict[str, Way] = {}


def bad(way: Way) -> Way:
    BAD[way.__name__.replace("_", " ")] = way
    return way


def good(way: Way) -> Way:
    GOOD[way.__name__.replace("_", " ")] = way
    return way


def failing(error: str, took_ms: float = 3.0) -> Fate:
    return Fate((Answer(took_ms=took_ms, error=error),))


def some(rng: Random, fate: Fate, least: float = 0.03) -> Callable[[int], Fate]:
    """Arrivals of which a share, drawn from `least` to 1, have `fate`: evenly spread, so that the share is exact."""
    share = rng.uniform(least, 1)
    return lambda number: fate if int((number + 1) * share) > int(number * share) else OK


def within(from_s: float, to_s: float, fate: Fate) -> Callable[[int], Fate]:
    return lambda number: fate if from_s * RATE <= number < to_s * RATE else OK


# ---- what the target does ----------------------------------------------------------------------------------


@bad
def the_target_answers_404_to_everything(rng: Random) -> World:
    return World(lambda _: failing("status-404", rng.uniform(0.1, 50)))


@bad
def the_target_answers_500_to_some(rng: Random) -> World:
    return World(some(rng, failing("status-500")))


@bad
def the_target_refuses_some_connections(rng: Random) -> World:
    return World(some(rng, failing("refused", 0.2)))


@bad
def the_target_sends_half_a_body(rng: Random) -> World:
    return World(some(rng, failing("incomplete")))


@bad
def the_target_times_out(rng: Random) -> World:
    return World(some(rng, failing("timeout-read", 3000)))


@bad
def the_target_hangs_from_some_instant_on(rng: Random) -> World:
    return World(within(rng.uniform(0, DURATION_S - 0.2), DURATION_S, Fate(hangs=True)))


@bad
def the_target_never_answers_some(rng: Random) -> World:
    return World(some(rng, Fate(hangs=True)))


@bad
def only_the_last_second_fails(rng: Random) -> World:
    return World(within(DURATION_S - 1, DURATION_S, failing(rng.choice(["status-503", "reset"]))))


@bad
def only_a_moment_somewhere_fails(rng: Random) -> World:
    from_s = rng.uniform(0, DURATION_S - 0.2)
    return World(within(from_s, from_s + 0.2, failing("status-503")))


@bad
def only_one_endpoint_fails(rng: Random) -> World:
    every = rng.randint(2, 20)
    broken = Fate((Answer("/rare", error="status-500"),))
    return World(lambda number: broken if number % every == 0 else OK)


@bad
def only_the_second_request_of_journeys_fails(rng: Random) -> World:
    return World(some(rng, Fate((Answer("/basket"), Answer("/pay", error="status-402")))))


@bad
def all_is_refused_fast_where_errors_are_allowed(rng: Random) -> World:
    refused = failing("status-503", rng.uniform(0.1, 2))
    return World(lambda _: refused, slos=("p99(POST /orders) < 200ms", *EVERYTHING_MAY_FAIL))


@bad
def fast_refusals_stand_beside_slow_answers_where_errors_are_allowed(rng: Random) -> World:
    every = rng.randint(5, 100)  # one in so many is answered at all, and slowly
    slow, refused = Fate((Answer(took_ms=rng.uniform(300, 900)),)), failing("status-503", 0.5)
    slos = (f"{rng.choice(['p50', 'p90', 'p99', 'mean'])}(POST /orders) < 200ms", *EVERYTHING_MAY_FAIL)
    return World(lambda number: slow if number % every == 0 else refused, slos=slos)


@bad
def failures_are_slow_where_errors_are_allowed(rng: Random) -> World:
    slos = ("p99(POST /orders) < 200ms", *EVERYTHING_MAY_FAIL)
    return World(some(rng, failing("timeout-read", 2000)), slos=slos)


@bad
def answers_are_slow(rng: Random) -> World:
    slow = Fate((Answer(took_ms=rng.uniform(251, 2000)),))
    return World(some(rng, slow), slos=(f"p99({rng.choice(['*', 'POST *', 'POST /orders'])}) < 250ms",))


@bad
def answers_of_one_endpoint_among_many_names_are_slow(rng: Random) -> World:
    slow_from = rng.randint(100, ARRIVALS * 3 // 2)

    def fate(number: int) -> Fate:
        names = (2 * number, 2 * number + 1)
        return Fate(tuple(Answer(f"/item/{n}", 400 if n >= slow_from else 2) for n in names))

    return World(fate, workers=1, slos=("p99(POST /item/*) < 200ms",))


@bad
def what_must_not_be_called_is_called(rng: Random) -> World:
    once = rng.randrange(ARRIVALS)
    slos = ("requests(POST /old) == 0",)
    return World(lambda number: Fate((Answer("/old"),)) if number == once else OK, slos=slos)


@bad
def an_endpoint_that_is_named_is_never_called(rng: Random) -> World:
    metric = rng.choice(["p99({}) < 1s", "errors({}) < 50%", "requests({}) > 0", "goodput({}) > 0rps"])
    return World(slos=(metric.format(rng.choice(["POST /order", "GET *", "POST /orders/x"])),))


@bad
def transactions_are_too_few(rng: Random) -> World:
    return World(some(rng, failing("status-409")), slos=(f"goodput > {RATE * 0.98}tps", *EVERYTHING_MAY_FAIL))


# ---- what the script does ----------------------------------------------------------------------------------


@bad
def the_script_always_raises_before_any_request(_: Random) -> World:
    return World(lambda _: Fate((), script_raises=True))


@bad
def the_script_sometimes_raises_after_a_request(rng: Random) -> World:
    return World(some(rng, Fate(script_raises=True)))


@bad
def no_arrival_makes_a_request(_: Random) -> World:
    return World(lambda _: Fate(()))


@bad
def no_arrival_makes_a_request_and_somebody_allowed_all_else(_: Random) -> World:
    return World(lambda _: Fate(()), slos=("availability >= 0%", "dropped < 5", "started_rate > 99%"))


@bad
def some_arrivals_make_no_request(rng: Random) -> World:
    return World(some(rng, Fate(())))


@bad
def the_script_ends_the_run(rng: Random) -> World:
    return World(stop_at_s=rng.uniform(0.2, DURATION_S - 0.3))


# ---- what the pool and the generator do --------------------------------------------------------------------


@bad
def arrivals_are_dropped(rng: Random) -> World:
    return World(some(rng, Fate(dropped=True), least=0.003))


@bad
def a_single_arrival_is_dropped(rng: Random) -> World:
    once = rng.randrange(ARRIVALS)
    return World(lambda number: Fate(dropped=True) if number == once else OK)


@bad
def many_are_dropped_and_dropping_is_allowed(rng: Random) -> World:
    return World(some(rng, Fate(dropped=True)), slos=("dropped < 1000",))


@bad
def a_worker_crashes(rng: Random) -> World:
    return World(workers=rng.randint(2, 4), crash_at_s={0: rng.uniform(0.1, DURATION_S - 0.5)})


@bad
def all_workers_crash(rng: Random) -> World:
    return World(crash_at_s={0: rng.uniform(0.1, 3), 1: rng.uniform(0.1, 3)})


@bad
def a_report_never_comes(rng: Random) -> World:
    lost = rng.randrange(2, 6)
    return World(lose_report=lambda report: report.number == lost)


@bad
def the_generator_is_late(rng: Random) -> World:
    return World(some(rng, Fate(late_ms=rng.uniform(15, 500))))


@bad
def the_generator_has_no_cpu_to_spare(rng: Random) -> World:
    return World(busy=(rng.uniform(0.91, 1), rng.uniform(0, 1)))


@bad
def a_clock_is_off_by_more_than_a_minute(rng: Random) -> World:
    return World(clock_off_s=rng.choice([-1, 1]) * rng.uniform(61, 1e6))


# ---- runs that are good ------------------------------------------------------------------------------------


@good
def all_is_well(rng: Random) -> World:
    return World(lambda _: Fate((Answer(took_ms=rng.uniform(0.1, 100)),)))


@good
def one_worker_serves_all(_: Random) -> World:
    return World(workers=1)


@good
def many_workers_share(rng: Random) -> World:
    return World(workers=rng.randint(3, 8))


@good
def arrivals_are_journeys(rng: Random) -> World:
    steps = tuple(Answer(f"/step/{n}") for n in range(rng.randint(2, 6)))
    return World(lambda _: Fate(steps))


@good
def few_requests_fail(rng: Random) -> World:
    once = {rng.randrange(ARRIVALS) for _ in range(3)}
    return World(lambda number: failing("reset") if number in once else OK)


@good
def few_requests_are_never_answered(rng: Random) -> World:
    once = {rng.randrange(ARRIVALS) for _ in range(3)}
    return World(lambda number: Fate(hangs=True) if number in once else OK)


@good
def few_scripts_raise(rng: Random) -> World:
    once = rng.randrange(ARRIVALS)
    return World(lambda number: Fate(script_raises=True) if number == once else OK)


@good
def few_are_slow(rng: Random) -> World:
    once = {rng.randrange(ARRIVALS) for _ in range(3)}
    slow = Fate((Answer(took_ms=900),))
    return World(lambda number: slow if number in once else OK, slos=("p99(*) < 200ms",))


@good
def many_failures_are_allowed(rng: Random) -> World:
    share = rng.uniform(0.05, 0.6)
    slos = ("errors(*) < 70%", "availability > 30%")
    return World(lambda number: failing("status-409") if number % 100 < share * 100 else OK, slos=slos)


@good
def failures_of_every_endpoint_are_allowed_one_by_one(rng: Random) -> World:
    share = rng.uniform(0.05, 0.6)
    slos = ("errors(POST /orders) < 70%", "availability > 30%")
    return World(lambda number: failing("status-409") if number % 100 < share * 100 else OK, slos=slos)


@good
def dropping_is_allowed(rng: Random) -> World:
    once = {rng.randrange(ARRIVALS) for _ in range(3)}
    return World(lambda number: Fate(dropped=True) if number in once else OK, slos=("dropped < 5",))


@good
def slow_failures_are_left_out_by_ok(rng: Random) -> World:
    once = {rng.randrange(ARRIVALS) for _ in range(3)}
    slos = ("max(ok POST /orders) < 100ms",)
    return World(lambda number: failing("timeout-read", 2000) if number in once else OK, slos=slos)


@good
def what_must_not_be_called_is_not(rng: Random) -> World:
    old = rng.choice(["GET /old", "POST /order", "* /x", "POST /orders/old"])
    return World(slos=(f"requests({old}) == 0",))


@good
def what_is_rarely_called_is_fast(rng: Random) -> World:
    once = rng.randrange(ARRIVALS)
    slos = ("p99(POST /rare) < 100ms", "requests(POST /rare) == 1")
    return World(lambda number: Fate((Answer("/rare"),)) if number == once else OK, slos=slos)


@good
def too_many_names_are_all_fast(rng: Random) -> World:
    def fate(number: int) -> Fate:
        return Fate((Answer(f"/item/{2 * number}"), Answer(f"/item/{2 * number + 1}")))

    slos = ("p99(POST /item/*) < 200ms", f"requests(POST /item/*) == {2 * ARRIVALS}", "p99(*) < 200ms")
    return World(fate, workers=rng.randint(1, 3), slos=slos)


@good
def a_clock_is_off_and_corrected(rng: Random) -> World:
    return World(clock_off_s=rng.uniform(-59, 59))


@good
def the_generator_is_a_little_late(rng: Random) -> World:
    return World(lambda _: Fate(late_ms=rng.uniform(0, 9)))


@good
def workers_are_busy_but_not_too_much(rng: Random) -> World:
    return World(busy=(rng.uniform(0, 0.89), rng.uniform(0, 1)))


@good
def objectives_of_many_kinds_are_met(_: Random) -> World:
    every = ("p50", "p99.9", "mean", "max", "service_p99", "service_max")
    run = ("started_rate > 99%", "availability >= 100%", "lost == 0", f"goodput > {RATE * 0.9}tps")
    return World(slos=(*(f"{metric}(POST /orders) < 50ms" for metric in every), *run, "errors(POST *) <= 0%"))


def bad_ways() -> list[object]:
    return [pytest.param(way, id=name) for name, way in BAD.items()]


def good_ways() -> list[object]:
    return [pytest.param(way, id=name) for name, way in GOOD.items()]


@pytest.mark.parametrize("way", bad_ways())
def test_no_way_in_which_a_run_is_bad_ends_pass(way: Way) -> None:
    for seed in range(SEEDS):
        result = play(way(Random(seed)))
        assert result.verdict != "PASS", (seed, result.arrivals, result.slo)
        assert result.exit_code != 0
        assert _why(result), f"seed {seed}: {result.verdict} without a reason"


@pytest.mark.parametrize("way", good_ways())
def test_no_good_run_ends_otherwise_than_pass(way: Way) -> None:
    for seed in range(SEEDS):
        result = play(way(Random(seed)))
        assert result.verdict == "PASS", (seed, result.arrivals, _why(result))


def _why(result: RunResult) -> list[str]:
    return [slo.expr for slo in result.slo if not slo.passed] + result.validity.reasons


def test_there_are_at_least_thirty_ways_to_be_bad_and_as_many_good_runs() -> None:
    assert len(BAD) >= 30
    assert len(GOOD) * SEEDS >= 30


SQUARE = Audit(acknowledged=400, stored=400, lost=0, duplicated=0, oversold=0, phantom=0, shadow_leaks=0)


@pytest.mark.parametrize("fault", ["lost", "duplicated", "oversold", "phantom", "shadow_leaks"])
def test_books_that_differ_in_any_way_make_a_good_run_no_pass(fault: str) -> None:
    result = play(World())
    result.audit = msgspec.structs.replace(SQUARE, **{fault: 1})
    assert settle(result).verdict == "AUDIT"
    result.audit = SQUARE
    assert settle(result).verdict == "PASS"


def test_a_scenario_that_made_no_request_among_others_that_did_is_no_pass() -> None:
    result = play(World())
    assert result.verdict == "PASS"
    result.scenarios_without_requests = ["Refund"]
    assert judge(result, [], aborted=None).verdict == "FAIL"
