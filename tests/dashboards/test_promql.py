"""Grafana's variables and macros, replaced as Grafana does."""

import pytest

from dashboards.promql import substituted


def replaced(expr: str, **variables: str | list[str]) -> str:
    return substituted(expr, variables, scrape_s=5, step_s=10, range_s=300)


def test_a_rate_looks_back_four_scrapes_or_a_step_and_a_scrape() -> None:
    assert replaced("rate(x[$__rate_interval])") == "rate(x[20s])"
    assert substituted("[$__rate_interval]", {}, scrape_s=5, step_s=60, range_s=1) == "[65s]"


def test_one_value_is_put_in_as_it_is() -> None:
    assert replaced('x{run="$run"}', run="2026-smoke") == 'x{run="2026-smoke"}'


def test_several_values_become_a_regular_expression_with_its_signs_escaped() -> None:
    assert replaced('{e=~"$e"}', e=["GET /a/[id]", "b"]) == r'{e=~"(GET /a/\\[id\\]|b)"}'


def test_a_variable_that_nobody_gave_is_an_error() -> None:
    with pytest.raises(KeyError, match="nobody"):
        replaced("$nobody")
