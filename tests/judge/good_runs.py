"""Runs that are good, in ways that a judge may take for bad."""

from random import Random

from loadtest.fleet.messages import Report
from tests.fleet.simulated_fleet import RATE
from tests.judge.seeded_ways import ARRIVALS, OK, Ways, failing, few, within
from tests.judge.simulated_run import DURATION_S, Answer, Fate, World

good = GOOD = Ways()


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
    return World(few(rng, failing("reset")))


@good
def few_requests_are_never_answered(rng: Random) -> World:
    return World(few(rng, Fate(hangs=True)))


@good
def few_scripts_raise(rng: Random) -> World:
    return World(few(rng, Fate(script_raises=True)))


@good
def few_are_slow(rng: Random) -> World:
    return World(few(rng, Fate((Answer(took_ms=900),))), slos=("p99(*) < 200ms",))


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
    return World(few(rng, Fate(dropped=True)), slos=("dropped < 5",))


@good
def slow_failures_are_left_out_by_ok(rng: Random) -> World:
    return World(few(rng, failing("timeout-read", 2000)), slos=("max(ok POST /orders) < 100ms",))


@good
def what_must_not_be_called_is_not(rng: Random) -> World:
    old = rng.choice(["GET /old", "POST /order", "* /x", "POST /orders/old"])
    return World(slos=(f"requests({old}) == 0",))


@good
def what_is_rarely_called_is_fast(rng: Random) -> World:
    slos = ("p99(POST /rare) < 100ms", "requests(POST /rare) == 1")
    return World(few(rng, Fate((Answer("/rare"),)), 1), slos=slos)


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


@good
def answers_are_slow_and_nobody_asked_for_better(rng: Random) -> World:
    return World(lambda _: Fate((Answer(took_ms=rng.uniform(300, 900)),)))


@good
def answers_take_no_time(_: Random) -> World:
    return World(lambda _: Fate((Answer(took_ms=0),)), slos=("max(*) < 1ms",))


@good
def as_many_fail_as_objectives_allow(rng: Random) -> World:
    slos = ("errors(*) <= 1%", "availability >= 99%")
    return World(few(rng, failing("status-503"), ARRIVALS // 100), slos=slos)


@good
def as_many_are_slow_as_a_quantile_leaves_out(rng: Random) -> World:
    slow = Fate((Answer(took_ms=900),))
    return World(few(rng, slow, ARRIVALS // 10), slos=("p90(*) < 200ms", "p50(*) < 10ms"))


@good
def as_many_are_dropped_as_an_objective_allows(rng: Random) -> World:
    allowed = rng.randint(1, 3)
    return World(few(rng, Fate(dropped=True), allowed), slos=(f"dropped <= {allowed}",))


@good
def few_arrivals_make_no_request(rng: Random) -> World:
    return World(few(rng, Fate(())))


@good
def many_are_never_answered_and_that_is_allowed(rng: Random) -> World:
    return World(few(rng, Fate(hangs=True), 100), slos=("errors(*) < 40%", "availability > 60%"))


@good
def a_moment_fails_and_that_is_allowed(rng: Random) -> World:
    from_s = rng.uniform(0, DURATION_S - 1)
    fate = within(from_s, from_s + 1, failing(rng.choice(["reset", "status-500", "refused"])))
    return World(fate, slos=("errors(*) < 40%", "availability > 60%"))


@good
def a_rare_endpoint_may_fail_and_the_others_do_not(rng: Random) -> World:
    broken = Fate((Answer("/rare", error="status-500"),))
    slos = ("errors(POST /rare) <= 100%", "errors(POST /orders) < 1%", "availability > 90%")
    return World(few(rng, broken, 20), slos=slos)


@good
def answers_come_after_the_schedule_and_within_the_drain(rng: Random) -> World:
    late = Fate((Answer(took_ms=rng.uniform(300, 900)),))
    return World(within(DURATION_S - 1, DURATION_S, late))


@good
def reports_are_lost_and_come_when_they_are_sent_again(rng: Random) -> World:
    lost, seen = set(rng.sample(range(6), 2)), set[int]()

    def lose(report: Report) -> bool:
        first = report.number not in seen
        seen.add(report.number)
        return first and report.number in lost

    return World(workers=1, lose_report=lose)


@good
def journeys_are_long_and_each_step_is_judged(rng: Random) -> World:
    steps = [f"/step/{n}" for n in range(rng.randint(5, 15))]
    slos = tuple(f"service_p99(POST {step}) < 50ms" for step in steps)
    return World(lambda _: Fate(tuple(Answer(step) for step in steps)), slos=slos)


@good
def arrivals_choose_among_endpoints_and_a_pattern_covers_them(rng: Random) -> World:
    names = [f"/shop/{n}/item" for n in range(rng.randint(2, 40))]
    slos = ("p99(POST /shop/*) < 100ms", f"requests(POST /shop/*) == {ARRIVALS}", "errors(POST *) < 1%")
    return World(lambda number: Fate((Answer(names[number % len(names)]),)), slos=slos)


@good
def a_time_may_have_a_least_value(_: Random) -> World:
    return World(lambda _: Fate((Answer(took_ms=40),)), slos=("p50(*) > 10ms", "mean(*) >= 20ms"))


@good
def the_generator_waits_for_a_cpu_now_and_then(rng: Random) -> World:
    return World(few(rng, Fate(late_ms=rng.uniform(20, 80)), 2), busy=(0.5, rng.uniform(0, 0.5)))
