"""Objectives against records whose right answers are known beforehand."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.judge.bound import with_unit
from loadtest.judge.observation import Observations, quantile_ms
from loadtest.judge.periods import wanted_periods
from loadtest.judge.slo import evaluate
from loadtest.judge.slo_syntax import parse
from loadtest.measure.run_result import (
    Arrivals,
    Buckets,
    Endpoint,
    Period,
    Quantiles,
    RunInfo,
    RunResult,
    SloResult,
    Transactions,
)


def endpoint(values_ms: list[float], failures: int = 0, service_ms: list[float] | None = None) -> Endpoint:
    return Endpoint(
        requests=len(values_ms),
        failures=failures,
        response_ms=quantiles(values_ms),
        service_ms=quantiles(service_ms or []),
        response_buckets=buckets(values_ms),
        service_buckets=buckets(service_ms or []),
    )


def quantiles(values_ms: list[float]) -> Quantiles:
    if not values_ms:
        return Quantiles()
    ordered = sorted(values_ms)
    p99 = ordered[-(-99 * len(ordered) // 100) - 1]
    return Quantiles(count=len(ordered), p99=p99, max=ordered[-1], mean=sum(ordered) / len(ordered))


def buckets(values_ms: list[float]) -> Buckets:
    uppers = sorted({round(value * 1000) for value in values_ms})
    counts = [sum(round(value * 1000) == upper for value in values_ms) for upper in uppers]
    return Buckets(upper_us=uppers, counts=counts)


def run(endpoints: dict[str, Endpoint], periods: list[Period] | None = None) -> RunResult:
    return RunResult(
        run=RunInfo(
            id="r",
            plan="p",
            started_at="2026-11-11T00:00:00Z",
            duration_s=25.0,
            seed=1,
            versions={},
            machine={},
            phases=[(0.0, 10.0, "quiet"), (10.0, 25.0, "spike")],
        ),
        arrivals=Arrivals(planned=1000, scheduled=990, lost=10, started=980, dropped=10, ok=970, failed=10),
        transactions=Transactions(count=500, peak_tps=50, mean_tps=20),
        endpoints=endpoints,
        periods=periods or [],
    )


def judge(expr: str, result: RunResult) -> SloResult:
    return evaluate(parse(expr), result)


HUNDRED = [float(value) for value in range(1, 101)]


@pytest.mark.parametrize(
    ("expr", "observed"),
    [
        ("p99(POST /orders) < 250ms", 99),
        ("p50(POST /orders) < 250ms", 50),
        ("p37.5(POST /orders) < 250ms", 38),
        ("p99.9(POST /orders) < 1s", 0.1),
        ("service_p90(POST /orders) < 250ms", 9),
        ("max(POST /orders) < 250ms", 100),
        ("mean(POST /orders) < 250ms", 50.5),
        ("service_max(POST /orders) < 250ms", 10),
        ("errors(POST /orders) < 5%", 2),
        ("requests(POST /orders) > 99", 100),
        ("started_rate > 97%", 98),
        ("availability > 97%", 100 * 970 / 990),
        ("dropped < 11", 10),
        ("lost < 11", 10),
        ("goodput > 19tps", 20),
        ("goodput(POST /orders) > 3rps", 98 / 25),
    ],
)
def test_a_metric_is_observed_in_the_unit_of_its_objective(expr: str, observed: float) -> None:
    orders = endpoint(HUNDRED, failures=2, service_ms=[value / 10 for value in HUNDRED])
    seen = judge(expr, run({"POST /orders": orders}))
    assert seen.observed == pytest.approx(observed)
    assert seen.passed


@pytest.mark.parametrize(
    ("expr", "passed"),
    [
        ("max(*) < 100ms", False),
        ("max(*) <= 100ms", True),
        ("max(*) > 100ms", False),
        ("max(*) >= 0.1s", True),
        ("requests(*) == 100", True),
        ("requests(*) == 99", False),
    ],
)
def test_each_comparison_holds_at_its_bound_as_written(expr: str, passed: bool) -> None:
    assert judge(expr, run({"POST /orders": endpoint(HUNDRED)})).passed is passed


def test_a_share_equal_to_its_bound_is_not_moved_by_floating_point() -> None:
    thousand = endpoint([1.0] * 1000, failures=3)
    assert judge("errors(*) <= 0.3%", run({"GET /": thousand})).passed
    assert not judge("errors(*) < 0.3%", run({"GET /": thousand})).passed


def test_a_pattern_merges_the_histograms_of_what_it_matches() -> None:
    result = run(
        {"GET /a": endpoint([1.0] * 90), "GET /b": endpoint([500.0] * 10), "POST /c": endpoint([9e3])}
    )
    assert judge("p89(GET *) < 1s", result).observed == 0.001
    assert judge("p91(GET *) < 1s", result).observed == 0.5


def test_journeys_are_left_out_of_the_star_but_can_be_named() -> None:
    result = run({"POST /orders": endpoint([1.0]), "arrival Shopper": endpoint([70.0])})
    assert judge("max(*) < 2ms", result).passed
    assert judge("max(arrival *) < 2ms", result).observed == 70


@pytest.mark.parametrize(
    "expr",
    [
        "p99(GET /none) < 1s",
        "errors(GET /none) < 1%",
        "service_p99(POST /orders) < 1s",
        "p99(*) during spike < 1s",
    ],
)
def test_no_data_is_not_a_pass(expr: str) -> None:
    seen = judge(expr, run({"POST /orders": endpoint([1.0])}))
    assert (seen.observed, seen.passed) == (None, False)
    assert seen.note.startswith("no ")


def test_a_run_that_planned_nothing_meets_no_objective_of_the_run() -> None:
    result = run({})
    result.arrivals, result.transactions = Arrivals(), Transactions()
    for expr in ("started_rate > 0%", "availability > 0%", "dropped == 0", "goodput >= 0tps"):
        assert not judge(expr, result).passed, expr


def test_a_phase_is_judged_by_its_own_requests() -> None:
    spike = Period(name="spike", from_s=10, to_s=25, endpoints={"POST /orders": endpoint([900.0] * 10)})
    result = run({"POST /orders": endpoint([1.0] * 990 + [900.0] * 10)}, [spike])
    assert judge("p99(POST /orders) < 400ms", result).passed
    assert judge("p99(POST /orders) during spike < 400ms", result).observed == 900


def test_a_phase_that_the_run_does_not_have_fails_and_says_so() -> None:
    assert "no phase named dawn" in judge("p99(*) during dawn < 1s", run({"GET /": endpoint([1.0])})).note


def test_goodput_of_a_phase_is_divided_by_its_own_length() -> None:
    spike = Period(name="spike", from_s=10, to_s=25, arrivals=Arrivals(planned=450), transactions=450)
    assert judge("goodput during spike > 10tps", run({}, [spike])).observed == 30


def windows(*worst_ms: float) -> list[Period]:
    spans = [(0.0, 10.0), (10.0, 20.0), (15.0, 25.0)]
    return [
        Period(name="", from_s=start, to_s=end, endpoints={"GET /": endpoint([value])} if value else {})
        for (start, end), value in zip(spans, worst_ms, strict=True)
    ]


def test_a_period_that_is_still_the_same_record_is_not_looked_at_again() -> None:
    result = run({}, windows(3.0, 5.0, 4.0))
    slo, observations = parse("max(GET /) < 9ms in every 10 s"), Observations()
    first = evaluate(slo, result, observations)
    assert first.observed == 5
    result.periods[1].endpoints["GET /"] = endpoint([99.0])  # nobody does that: it is how the test can tell
    assert evaluate(slo, result, observations) == first
    result.periods[1] = msgspec.structs.replace(result.periods[1])
    assert evaluate(slo, result, observations).observed == 99


def test_objectives_do_not_share_what_they_saw() -> None:
    result, observations = run({}, windows(3.0, 5.0, 4.0)), Observations()
    exprs = ("max(GET /) < 9ms in every 10 s", "requests(GET /) < 9 in every 10 s")
    assert [evaluate(parse(expr), result, observations).observed for expr in exprs] == [5, 1]


def test_the_worst_window_decides() -> None:
    result = run({"GET /": endpoint([1.0] * 1000)}, windows(3.0, 50.0, 4.0))
    seen = judge("p99(GET /) < 10ms in every 10 s", result)
    assert (seen.observed, seen.passed) == (50, False)
    assert seen.note == "worst of 3 windows, at 10-20 s"


def test_a_lower_bound_looks_for_the_lowest_window() -> None:
    seen = judge("max(GET /) > 3.5ms in every 10 s", run({}, windows(3.0, 50.0, 4.0)))
    assert (seen.observed, seen.passed) == (3, False)


def test_one_empty_window_is_enough_to_fail() -> None:
    seen = judge("p99(GET /) < 10s in every 10 s", run({}, windows(3.0, 0, 4.0)))
    assert not seen.passed
    assert "in 1 of 3 windows, first at 10-20 s" in seen.note


def test_wanted_periods_name_each_phase_and_cover_the_run_with_windows() -> None:
    slos = [parse("p99(*) < 1s in every 10 s"), parse("p99(*) during spike < 1s")]
    wanted = wanted_periods(slos, [(0.0, 10.0, "quiet"), (10.0, 25.0, "spike")], 25.0)
    assert [(s.from_s, s.to_s, s.name) for s in wanted] == [
        (0, 10, "quiet"),
        (10, 25, "spike"),
        (10, 20, ""),
        (15, 25, ""),
    ]


def test_a_window_longer_than_the_run_is_the_run() -> None:
    assert [(s.from_s, s.to_s) for s in wanted_periods([parse("lost == 0 in every 1 min")], [], 25.0)] == [
        (0, 25)
    ]


@settings(max_examples=60)
@given(st.floats(0.5, 100), st.floats(0.5, 500))
def test_windows_have_full_length_and_leave_no_moment_out(window_s: float, duration_s: float) -> None:
    wanted = wanted_periods([parse(f"lost == 0 in every {window_s:.3f} s")], [], duration_s)
    reached = 0.0
    for period in sorted(wanted, key=lambda s: s.from_s):
        assert period.from_s <= reached + 1e-6
        assert period.to_s - period.from_s == pytest.approx(min(round(window_s, 3), duration_s))
        reached = period.to_s
    assert reached == pytest.approx(duration_s)


@settings(max_examples=100)
@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=200), st.floats(0.001, 0.999999))
def test_a_quantile_is_the_smallest_value_with_that_share_at_or_below(
    values: list[int], share: float
) -> None:
    seen = quantile_ms(buckets([value / 1000 for value in values]), share)
    assert seen is not None
    at_or_below = sum(value <= seen * 1000 + 1e-6 for value in values)
    below = sum(value < seen * 1000 - 1e-6 for value in values)
    assert below / len(values) < share * (1 + 1e-9)
    assert at_or_below / len(values) >= share * (1 - 1e-8)


def test_an_empty_histogram_has_no_quantile() -> None:
    assert quantile_ms(Buckets(), 0.5) is None
    assert quantile_ms(Buckets(upper_us=[10], counts=[0]), 0.5) is None


def in_regions(**worst_ms: float) -> dict[str, Endpoint]:
    return {f"POST /orders @ {region}": endpoint([1.0] * 9 + [worst]) for region, worst in worst_ms.items()}


def test_an_endpoint_is_all_its_regions_together_unless_one_is_named() -> None:
    result = run(in_regions(eu=5.0, us=50.0) | {"POST /orders": endpoint([2.0] * 80)})
    assert judge("requests(POST /orders) > 0", result).observed == 100
    assert judge("max(POST /orders) < 100ms", result).observed == 50
    assert judge("p95(POST /orders) < 100ms", result).observed == 2
    assert judge("max(POST /orders @ eu) < 100ms", result).observed == 5
    assert judge("requests(POST /orders @ *) > 0", result).observed == 20
    assert judge("goodput(POST /orders @ us) > 0rps", result).observed == pytest.approx(10 / 25)


def test_the_worst_region_decides() -> None:
    seen = judge("max(POST /orders) < 10ms in every region", run(in_regions(eu=5.0, us=50.0, cn=2.0)))
    assert (seen.observed, seen.passed) == (50, False)
    assert seen.note == "worst of 3 regions, us"


def test_every_region_is_judged_in_every_window_and_one_without_data_fails() -> None:
    whole = in_regions(eu=5.0, us=5.0)
    spans = [(0.0, 10.0), (10.0, 20.0), (15.0, 25.0)]
    periods = [Period(name="", from_s=start, to_s=end, endpoints=whole) for start, end in spans]
    expr = "max(POST /orders) < 10ms in every region in every 10 s"
    assert judge(expr, run(whole, periods)).note == "worst of 3 windows in 2 regions, eu at 0-10 s"
    periods[1].endpoints = in_regions(eu=5.0)
    seen = judge(expr, run(whole, periods))
    assert not seen.passed
    assert "no requests to POST /orders @ us in 1 of 6 windows, first at 10-20 s" in seen.note


@pytest.mark.parametrize(
    "expr",
    [
        "max(POST /orders @ eu) < 1s",
        "max(POST /orders) < 1s in every region",
        "goodput(POST /none) > 0rps",
        "goodput(POST /orders @ eu) >= 0rps",
    ],
)
def test_a_region_or_an_endpoint_without_data_is_not_a_pass(expr: str) -> None:
    seen = judge(expr, run({"POST /orders": endpoint([1.0])}))
    assert (seen.observed, seen.passed) == (None, False)
    assert seen.note.startswith("no ")


def test_what_only_failed_has_no_goodput_and_that_is_known() -> None:
    seen = judge("goodput(POST /orders) > 1rps", run({"POST /orders": endpoint([1.0] * 5, failures=5)}))
    assert (seen.observed, seen.passed) == (0, False)


def test_a_value_is_written_in_the_objectives_own_unit() -> None:
    assert with_unit(parse("p99(*) < 1s"), 0.25) == "0.25s"
    assert with_unit(parse("goodput > 1tps"), 583_000) == "583,000tps"
    assert with_unit(parse("errors(*) < 1%"), None) == "no data"
    assert with_unit(parse("errors(*) < 1%"), 0.0199489) == "0.01995%"
    assert with_unit(parse("dropped == 0"), 0) == "0"


def test_a_value_is_never_rounded_to_the_bound_it_misses() -> None:
    assert with_unit(parse("p99(*) < 250ms"), 250.0004) == "250.0004ms"
    assert with_unit(parse("p99(*) < 250ms"), 250.0) == "250ms"
    assert with_unit(parse("started_rate > 99.999%"), 99.9985) == "99.9985%"
    assert with_unit(parse("started_rate > 99%"), 99.99996) == "99.99996%"


@given(st.floats(1e-9, 1e7).map(lambda value: round(value, 9)), st.sampled_from([100, 250, 0.5]))
def test_every_value_can_be_written_and_read_back(value: float, bound: float) -> None:
    text = with_unit(parse(f"p99(*) < {bound}ms"), value).removesuffix("ms").replace(",", "")
    assert float(text) == pytest.approx(value, rel=1e-3)
    assert (float(text) < bound) == (value < bound) or float(text) == bound == value


def partly_failed(ok_ms: list[float], failed_ms: list[float]) -> Endpoint:
    """An endpoint of which ok responses are kept apart, as a run keeps them."""
    both = endpoint([*ok_ms, *failed_ms], failures=len(failed_ms))
    return msgspec.structs.replace(both, ok_response_ms=quantiles(ok_ms), ok_response_buckets=buckets(ok_ms))


@pytest.mark.parametrize(
    "expr", ["p99({}) < 200ms", "p50({}) < 200ms", "p37.5({}) < 200ms", "mean({}) < 200ms"]
)
def test_fast_refusals_never_make_a_time_green(expr: str) -> None:
    overloaded = partly_failed(ok_ms=[900.0] * 2, failed_ms=[1.0] * 998)
    seen = judge(expr.format("POST /orders"), run({"POST /orders": overloaded}))
    assert (seen.observed, seen.passed) == (900, False)
    assert seen.note == "without the failed responses, which were faster"


@settings(max_examples=100)
@given(
    st.lists(st.integers(1, 2000).map(float), min_size=1, max_size=30),
    st.lists(st.integers(1, 2000).map(float), max_size=30),
    st.sampled_from([0.5, 0.9, 0.99]),
)
def test_adding_failures_however_fast_or_slow_never_lowers_an_observed_time(
    ok_ms: list[float], failed_ms: list[float], quantile: float
) -> None:
    expr = f"p{quantile * 100:g}(POST /orders) < 1s"
    alone = judge(expr, run({"POST /orders": endpoint(ok_ms)}))
    mixed = judge(expr, run({"POST /orders": partly_failed(ok_ms, failed_ms)}))
    assert alone.observed is not None
    assert mixed.observed is not None
    assert mixed.observed >= alone.observed


def test_slow_failures_count_in_a_time_unless_ok_responses_alone_are_asked_for() -> None:
    timing_out = run({"POST /orders": partly_failed(ok_ms=[10.0] * 90, failed_ms=[5000.0] * 10)})
    assert judge("p99(POST /orders) < 200ms", timing_out).observed == 5000
    assert judge("p99(ok POST /orders) < 200ms", timing_out).observed == 10
    assert judge("max(ok *) < 200ms", timing_out).passed


@pytest.mark.parametrize(
    "expr", ["p99(POST /orders) < 1s", "p99(ok *) < 1s", "service_p99(*) < 1s", "max(*) < 1s"]
)
def test_what_only_failed_has_met_no_time(expr: str) -> None:
    seen = judge(expr, run({"POST /orders": partly_failed(ok_ms=[], failed_ms=[1.0] * 199)}))
    assert (seen.observed, seen.passed) == (None, False)
    assert "none of 199 requests" in seen.note


def test_what_must_not_be_called_need_not_be() -> None:
    result = run({"GET /new": endpoint([1.0])})
    assert judge("requests(GET /old) == 0", result).passed
    assert judge("requests(GET /new) == 0", result).observed == 1


def test_too_few_requests_to_what_was_never_called_names_the_nearest_that_was() -> None:
    seen = judge(
        "requests(GET /order) > 5", run({"GET /orders": endpoint([1.0]), "POST /x": endpoint([1.0])})
    )
    assert (seen.observed, seen.passed) == (0, False)
    assert seen.note == "no requests to GET /order; the nearest that was requested is GET /orders"


OVERFLOW = "* (too many to list)"


def test_a_pattern_is_judged_by_its_own_histogram_where_names_were_too_many() -> None:
    result = run({"GET /item/1": endpoint([1.0]), OVERFLOW: endpoint([400.0])})
    result.patterns["GET /item/*"] = endpoint([1.0] * 500 + [400.0] * 160)
    seen = judge("p99(GET /item/*) < 200ms", result)
    assert (seen.observed, seen.passed) == (400, False)
    assert judge("requests(GET /item/*) > 650", result).observed == 660


@pytest.mark.parametrize(
    "expr", ["p99(GET /item/*) < 1s", "p99(GET /item/1) < 1s", "requests(GET /old) == 0"]
)
def test_what_nobody_can_tell_apart_among_too_many_names_is_no_pass(expr: str) -> None:
    seen = judge(expr, run({"GET /item/1": endpoint([1.0]), OVERFLOW: endpoint([400.0])}))
    assert (seen.observed, seen.passed) == (None, False)
    assert "too many endpoint names" in seen.note


def test_all_endpoints_together_need_no_histogram_of_their_own() -> None:
    result = run({"GET /item/1": endpoint([1.0]), OVERFLOW: endpoint([400.0])})
    assert judge("max(*) < 1s", result).observed == 0.4
    assert judge("requests(*) == 2", result).passed


def test_a_phase_is_judged_by_its_own_histogram_of_a_pattern() -> None:
    quiet, spike = wanted_periods([], [(0.0, 10.0, "quiet"), (10.0, 25.0, "spike")], 25.0)
    spike.endpoints = {OVERFLOW: endpoint([1.0])}
    spike.patterns = {"GET /item/*": endpoint([300.0])}
    whole = {OVERFLOW: endpoint([1.0])}
    seen = judge("max(GET /item/*) during spike < 200ms", run(whole, [quiet, spike]))
    assert (seen.observed, seen.passed) == (300, False)
