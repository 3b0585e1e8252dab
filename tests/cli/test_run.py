"""The pure parts of `singlesday run` and of its probe."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.cli.probe import interleaved
from loadtest.cli.run import plan_flags


def test_plan_flags_leave_out_what_was_not_given() -> None:
    flags = plan_flags("day", peak_tps=12.5, duration="30s", time_scale=None, seed=None)
    assert flags == ["--plan", "day", "--peak-tps", "12.5", "--duration", "30s"]


def test_scenarios_are_interleaved_in_proportion() -> None:
    order = interleaved([1.0, 0.5, 0.2])
    assert [order.count(index) for index in range(3)] == [20, 10, 4]
    assert order[:3].count(0) >= 1
    assert set(order[:10]) == {0, 1, 2}, "the rare one must not come only at the end"


@given(st.lists(st.floats(0.01, 3), min_size=1, max_size=5))
def test_no_scenario_is_left_out_of_the_probe(rates: list[float]) -> None:
    order = interleaved(rates)
    assert set(order) == set(range(len(rates)))
    for index, rate in enumerate(rates):
        assert order.count(index) == max(1, round(rate * 20))


@pytest.mark.parametrize("rates", [[1.0], [0.5]])
def test_a_single_scenario_is_all_there_is(rates: list[float]) -> None:
    assert set(interleaved(rates)) == {0}
