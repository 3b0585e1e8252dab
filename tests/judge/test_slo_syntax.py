"""The objectives' language: what it accepts, and how it points at what it does not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.judge.slo_syntax import (
    DRIFT,
    ENDPOINT_METRICS,
    RUN_METRICS,
    SCENARIOS_WITHOUT_REQUESTS,
    UNITS,
    Kind,
    SloError,
    check,
    parse,
)
from loadtest.measure.endpoint_pattern import matches


@pytest.mark.parametrize(
    ("expr", "parts"),
    [
        ("p99.9(POST /orders) < 250ms", (0.999, "POST /orders", "<", 250, "ms")),
        ("service_p99(POST /orders) <= 1.5 s", (0.99, "POST /orders", "<=", 1.5, "s")),
        ("errors(*) < 0.1%", (None, "*", "<", 0.1, "%")),
        ("started_rate > 99%", (None, None, ">", 99, "%")),
        ("dropped == 0", (None, None, "==", 0, "")),
        ("goodput > 100tps", (None, None, ">", 100, "tps")),
        ("goodput(POST /orders) > 100rps", (None, "POST /orders", ">", 100, "rps")),
        ("p99(POST /orders  @ eu-1) < 1s", (0.99, "POST /orders @ eu-1", "<", 1, "s")),
        ("errors(GET /users/@me @ *) < 1%", (None, "GET /users/@me @ *", "<", 1, "%")),
        ("errors(GET /users/@me) < 1%", (None, "GET /users/@me", "<", 1, "%")),
        ("  max( GET /a(b) )<800us ", (None, "GET /a(b)", "<", 800, "us")),
    ],
)
def test_each_part_of_an_objective_is_read(expr: str, parts: tuple[object, ...]) -> None:
    slo = parse(expr)
    assert (slo.quantile, slo.endpoint, slo.operator, slo.bound, slo.unit) == parts


@pytest.mark.parametrize(
    "expr",
    [
        "p99(*) during second-wave in every 10 s < 1s",
        "p99(*) < 1s during second-wave in every 10s",
        "p99(*) in every 10 s < 1s during second-wave",
    ],
)
def test_clauses_may_stand_on_either_side_of_the_comparison(expr: str) -> None:
    slo = parse(expr)
    assert (slo.phase, slo.window_s) == ("second-wave", 10)


def test_every_region_may_be_asked_for_beside_the_other_clauses() -> None:
    slo = parse("p99(POST /orders) < 1s in every region during spike in every 10 s")
    assert (slo.per_region, slo.phase, slo.window_s) == (True, "spike", 10)
    assert not parse("p99(POST /orders) < 1s").per_region


def test_ok_before_an_endpoint_asks_for_responses_without_an_error() -> None:
    slo = parse("p99(ok POST /orders @ eu) < 1s in every 10 s")
    assert (slo.ok_only, slo.endpoint, slo.window_s) == (True, "POST /orders @ eu", 10)
    assert parse("max(ok *) < 1s").ok_only
    assert not parse("p99(okay POST) < 1s").ok_only


@pytest.mark.parametrize(
    ("expr", "suggestion"),
    [
        ("errors(ok POST /orders) < 1%", "errors(POST /orders) < 1%"),
        ("requests(ok *) > 3", "requests(*) > 3"),
        ("goodput(ok *) > 3rps", "goodput(*) > 3rps"),
        ("service_p99(ok *) < 1s", "service_p99(*) < 1s"),
    ],
)
def test_ok_is_refused_where_it_has_no_meaning(expr: str, suggestion: str) -> None:
    with pytest.raises(SloError) as refused:
        parse(expr)
    assert refused.value.suggestion == suggestion


def test_a_window_may_be_given_in_minutes() -> None:
    assert parse("errors(*) < 1% in every 2 min").window_s == 120


@pytest.mark.parametrize(
    ("expr", "column", "suggestion"),
    [
        ("p99 < 250ms", 5, "p99(*) < 250ms"),
        ("p999(*) < 1s", 1, "p99.9(*) < 1s"),
        ("p100(*) < 1s", 1, "max(*) < 1s"),
        ("eror(*) < 1%", 1, "errors(*) < 1%"),
        ("errors(*) < 0.1", 16, "errors(*) < 0.1%"),
        ("p99(*) < 250", 13, "p99(*) < 250ms"),
        ("p99(*) < 250msec", 13, "p99(*) < 250ms"),
        ("p99(*) = 3ms", 8, "p99(*) == 3ms"),
        ("p99(*) == 3ms", 8, "p99(*) <= 3ms"),
        ("p99(*) < 0,5s", 10, "p99(*) < 0.5s"),
        ("goodput > 1,000tps", 11, "goodput > 1000tps"),
        ("goodput > 5", 12, "goodput > 5tps"),
        ("dropped < 3ms", 12, "dropped < 3"),
        ("dropped(*) == 0", 8, ""),
        ("p99(* < 3ms", 12, ""),
        ("p99() < 1s", 5, ""),
        ("p0(*) < 1s", 1, ""),
        ("p99(*) <", 9, ""),
        ("p99(*)", 7, ""),
        ("p99(*) < 3ms soon", 14, ""),
        ("p99(*) < 3ms during", 20, ""),
        ("p99(*) < 3ms in every 0 s", 26, ""),
        ("p99(*) < 3ms in every moment", 23, ""),
        ("goodput(*) > 100tps", 17, "goodput(*) > 100rps"),
        ("goodput(*) > 100", 17, "goodput(*) > 100rps"),
        ("goodput() > 100rps", 9, ""),
        ("p99(POST /orders @ east china) < 1s", 20, "p99(POST /orders @ east-china) < 1s"),
        ("p99(POST /orders @ ) < 1s", 20, ""),
        ("dropped in every region == 0", 9, ""),
        ("goodput > 3tps in every region", 16, ""),
        ("p99(* @ eu) in every region < 1s", 13, ""),
        ("", 1, ""),
        ("< 3ms", 1, ""),
    ],
)
def test_an_error_names_its_column_and_suggests_a_correction(expr: str, column: int, suggestion: str) -> None:
    with pytest.raises(SloError) as caught:
        parse(expr)
    assert (caught.value.column, caught.value.suggestion) == (column, suggestion)
    assert f"column {column}: expected " in str(caught.value)


@pytest.mark.parametrize("expr", ["p99(*) < {}ms", "dropped < {}", "p99(*) < 3ms in every {} s"])
def test_a_figure_of_more_digits_than_a_number_can_have_is_refused(expr: str) -> None:
    with pytest.raises(SloError, match=r"expected a number such as|expected a length such as"):
        parse(expr.format("9" * 400))


def test_an_unknown_phase_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        SloError, match=r"column 15: expected a phase of this plan \(quiet, spike\)"
    ) as caught:
        check(parse("p99(*) during spke < 1s"), ["POST /orders"], ["quiet", "spike"])
    assert caught.value.suggestion == "p99(*) during spike < 1s"


def test_a_phase_is_corrected_where_it_stands_not_in_the_endpoint() -> None:
    with pytest.raises(SloError) as caught:
        check(parse("p99(GET /spke) during spke < 1s"), [], ["spike"])
    assert (caught.value.column, caught.value.suggestion) == (23, "p99(GET /spke) during spike < 1s")


def test_an_endpoint_that_the_plan_does_not_have_is_refused() -> None:
    with pytest.raises(SloError) as caught:
        check(parse("p99(POST /order) < 1s"), ["GET /orders/{id}", "POST /orders"], [])
    assert caught.value.suggestion == "p99(POST /orders) < 1s"


@pytest.mark.parametrize("expr", ["p99(*) < 1s", "p99(POST /*) < 1s", "goodput > 1tps"])
def test_an_objective_that_fits_the_plan_is_accepted(expr: str) -> None:
    check(parse(expr), ["POST /orders"], ["spike"])


def test_endpoints_that_are_not_known_beforehand_are_not_checked() -> None:
    check(parse("p99(GET /anything) < 1s"), [], [])


def test_only_the_star_is_a_wildcard() -> None:
    assert matches("GET /orders/*", "GET /orders/{id}")
    assert matches("GET /a?b[c]", "GET /a?b[c]")
    assert not matches("GET /a?b", "GET /axb")
    assert not matches("POST *", "GET /orders")


@pytest.mark.parametrize("expr", ["drift during steady == 0", "drift == 0 in every 10 min"])
def test_drift_is_of_a_whole_run(expr: str) -> None:
    with pytest.raises(SloError, match="whole run"):
        parse(expr)


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("POST /orders", "POST /orders @ eu", True),
        ("POST *", "POST /orders @ eu", True),
        ("POST /orders @ eu", "POST /orders @ eu", True),
        ("POST /orders @ e*", "POST /orders @ eu", True),
        ("* @ eu", "POST /orders @ eu", True),
        ("POST /orders @ eu", "POST /orders @ us", False),
        ("POST /orders @ eu", "POST /orders", False),
        ("POST /orders @ *", "POST /orders", False),
        ("POST /orders", "POST /order @ eu", False),
        ("GET /users/@me", "GET /users/@me", True),
    ],
)
def test_a_pattern_without_a_region_fits_every_region(pattern: str, name: str, fits: bool) -> None:
    assert matches(pattern, name) is fits


_names = st.text("abcXYZ /{}[]?.*-", min_size=1, max_size=20).filter(lambda name: name.strip())
_numbers = st.integers(0, 10**6).map(str) | st.decimals(0, 1000, places=3).map(str)


@st.composite
def _objectives(draw: st.DrawFn) -> tuple[str, Kind]:
    metric = draw(st.sampled_from([*ENDPOINT_METRICS, *RUN_METRICS, "p50", "p99.99", "service_p75.5"]))
    kind = (ENDPOINT_METRICS | RUN_METRICS).get(metric, Kind.LATENCY)
    endpoint = "" if metric in RUN_METRICS else f"({draw(_names)})"
    operator = draw(st.sampled_from(["<", "<=", ">", ">="]))
    unit = draw(st.sampled_from(list(UNITS[kind])))
    whole = metric in (DRIFT, SCENARIOS_WITHOUT_REQUESTS)
    clause = "" if whole else draw(st.sampled_from(["", " during spike", " in every 30 s"]))
    return f"{metric}{endpoint}{clause} {operator} {draw(_numbers)}{unit}", kind


@settings(max_examples=200)
@given(_objectives())
def test_every_well_formed_objective_is_understood(objective: tuple[str, Kind]) -> None:
    expr, kind = objective
    slo = parse(expr)
    assert slo.kind is kind
    assert slo.expr == expr


@settings(max_examples=300)
@given(st.text("p9.(*)<>= msdurinevy%ods0,_", max_size=40))
def test_any_text_is_parsed_or_refused_within_itself(text: str) -> None:
    problem: SloError | None = None
    try:
        parse(text)
    except SloError as error:
        problem = error
    assert problem is None or 1 <= problem.column <= len(text) + 1


@pytest.mark.parametrize("name", ["GET a\nb", "GET /\r\n", "SQL SELECT *\n  FROM orders"])
def test_a_wildcard_covers_names_of_several_lines(name: str) -> None:
    assert matches("*", name)
    assert matches(f"{name.split(maxsplit=1)[0]} *", name)
