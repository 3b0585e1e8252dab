"""Ways in which a run is bad. Each draws its severity, place and instant beyond what objectives allow."""

from random import Random

from tests.fleet.simulated_fleet import RATE
from tests.judge.seeded_ways import ARRIVALS, OK, Ways, failing, some, within
from tests.judge.simulated_run import DURATION_S, Answer, Fate, World

EVERYTHING_MAY_FAIL = ("errors(*) <= 100%", "availability >= 0%")
"""What somebody writes who lifts the implicit objectives on errors."""

bad = BAD = Ways()


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
