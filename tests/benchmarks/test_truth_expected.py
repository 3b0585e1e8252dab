"""The truth that generators are held to must itself be right: against cases one can work out by hand."""

import pytest

from benchmarks.truth.expected import QUANTILES, quantiles_ms, waits_ms


def test_without_a_stall_everybody_waits_the_hold() -> None:
    waits = waits_ms([5.0, 7.0], rate=10, seconds=0.4, stall_at_s=0, stall_s=0)
    assert waits == [5.0, 7.0, 5.0, 7.0]


def test_arrivals_in_the_stall_wait_for_its_end_and_then_their_hold() -> None:
    """Arrivals at 50, 150, 250 … ms; the first starts the clock of a stall from 250 to 550 ms."""
    waits = waits_ms([10.0], rate=10, seconds=0.8, stall_at_s=0.2, stall_s=0.3)
    assert waits == pytest.approx([10.0, 10.0, 310.0, 210.0, 110.0, 10.0, 10.0, 10.0])


def test_a_hold_that_would_end_in_the_stall_ends_with_it() -> None:
    """The arrival at 150 ms with a hold of 120 ms would be answered at 270 ms, in the stall."""
    waits = waits_ms([120.0], rate=10, seconds=0.3, stall_at_s=0.2, stall_s=0.3)
    assert waits == pytest.approx([120.0, 400.0, 420.0])


def test_the_stall_of_the_issue_has_its_analytic_quantile() -> None:
    waits = waits_ms([0.0], rate=100, seconds=30, stall_at_s=10, stall_s=5)
    assert quantiles_ms(waits)[QUANTILES.index(0.95)] == pytest.approx(3_500, abs=20)


def test_quantiles_are_of_nearest_rank() -> None:
    assert quantiles_ms([float(n) for n in range(1, 101)]) == [50.0, 90.0, 95.0, 99.0, 100.0, 100.0]
