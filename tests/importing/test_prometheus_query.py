"""A recorded rate as a curve."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.importing.import_error import ImportingError
from loadtest.importing.prometheus_query import query_url, rates_of, time_range
from loadtest.importing.short_plan import plan_of_rates

URL = "http://127.0.0.1:9090"


def answer(*values: tuple[float, str], series: int = 1, kind: str = "matrix") -> bytes:
    one = {"metric": {}, "values": [list(value) for value in values]}
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": [one] * series}}).encode()


def test_a_series_becomes_the_plans_curve() -> None:
    values = [(1000 + 15 * n, str(100 + 10 * n)) for n in range(20)]
    written = plan_of_rates(rates_of(answer(*values), URL, 15), "sum(rate(x[1m]))", "shop:Buyer", "recorded")
    lines = [line.strip(" ,") for line in written.plan.splitlines() if line.startswith("  [")]
    points = [json.loads(line) for line in lines]
    area = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(points))
    assert area == pytest.approx(15 * sum(float(value) for _, value in values), rel=0.03)
    assert 'user = "shop:Buyer"' in written.plan
    assert written.script is None


def test_the_curve_goes_straight_across_steps_without_a_value_and_says_so() -> None:
    rates = rates_of(answer((985, "NaN"), (1000, "5"), (1030, "+Inf"), (1045, "8"), (1060, "NaN")), URL, 15)
    assert (rates.tps, rates.missing) == ((5, 5, 6, 7, 8, 8), 4)
    notes = plan_of_rates(rates, "x", "a:B", "n").notes
    assert "4 of 6 steps have no value: the curve goes straight across them" in notes


def test_a_query_is_asked_as_it_is_written() -> None:
    assert query_url(URL + "/", 'sum(rate(x{a="b"}[1m]))', 0, 60, 15) == (
        f"{URL}/api/v1/query_range?query=sum%28rate%28x%7Ba%3D%22b%22%7D%5B1m%5D%29%29&start=0.000&end=60.000&step=15"
    )


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"<html>", "expected the answer of a Prometheus"),
        (answer((1, "1"), series=2), "QUERY: expected one series.*got 2 series"),
        (answer((1, "1"), series=0), "got 0 series"),
        (answer((1, "1"), kind="vector"), "got a vector"),
        (answer((1, "0")), "rates above 0"),
        (answer((1, "-5"), (16, "-5")), "rates above 0"),
        (answer((1, "NaN")), "rates above 0"),
        (answer((1, "many")), "expected the answer of a Prometheus"),
        (answer(), "expected a series of numbers, got one of histograms"),
        (
            b'{"data": {"resultType": "matrix", "result": [{"values": [[1]]}]}}',
            "expected the answer of a Prom",
        ),
        (b'{"data": {"resultType": "matrix", "result": {}}}', "expected the answer of a Prometheus"),
        (b'{"status": "error", "error": "no"}', "expected the answer of a Prometheus"),
    ],
)
def test_an_answer_that_is_no_curve_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(ImportingError, match=said):
        rates_of(data, URL, 15)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("yesterday", None, "15s"), "--from: expected an instant"),
        (("2025-11-10T23:50:00Z", "2025-11-10T23:40:00Z", "15s"), "--from: expected an instant before --to"),
        ((None, None, "often"), "--step: expected a duration"),
        ((None, None, "0s"), "--step: expected more than 0 s"),
        (("2020-11-10", "2025-11-10", "1s"), "--step: expected at least"),
    ],
)
def test_a_range_that_is_none_names_its_flag(flags: tuple[str | None, str | None, str], said: str) -> None:
    with pytest.raises(ImportingError, match=said):
        time_range(*flags, 1_762_819_140)


def test_a_plain_range_is_read() -> None:
    assert time_range("2025-11-10T23:50:00Z", "2025-11-11T00:00:00Z", "30s", 0) == (
        1762818600,
        1762819200,
        30,
    )


def test_a_server_without_an_address_of_http_is_refused() -> None:
    with pytest.raises(
        ImportingError, match='URL: expected an address with http:// or https://, got "promet'
    ):
        query_url("prometheus:9090", "up", 0, 60, 15)


@given(st.text(), st.text(), st.booleans())
def test_an_answer_of_any_text_is_refused_in_words(kind: str, value: str, series: bool) -> None:
    asked = [{"values": [[1, value]]}] if series else {"values": value}
    data = json.dumps({"data": {"resultType": kind, "result": asked}}).encode()
    with pytest.raises(ImportingError, match=r"(expected the answer of a Prometheus|QUERY: expected)"):
        rates_of(data, URL, 15)
