"""How long a step is measured."""

import pytest

from loadtest.judge.slo_syntax import parse
from loadtest.judge.step_length import LEAST_S, MOST_S, measured_s


@pytest.mark.parametrize(
    ("objectives", "tps", "tolerance", "expected_s"),
    [
        ([], 1000, 0.05, LEAST_S),
        (["errors(*) < 1%"], 1000, 0.05, LEAST_S),
        (["p99(POST /orders) < 200ms"], 1000, 0.05, 4),  # 0.2 s / 0.05
        (["p99(POST /orders) < 0.2s", "p50(*) < 10ms"], 1000, 0.05, 4),
        (["mean(POST /orders) < 400ms"], 1000, 0.05, 8),
        (["p99(POST /orders) < 10ms"], 200, 0.05, 5),  # 10 / 0.01 = 1,000 requests
        (["p99.9(POST /orders) < 10ms"], 1500, 0.05, 7),  # 10 / 0.001 = 10,000 requests
        (["p99.9(POST /orders) < 10ms"], 10, 0.05, MOST_S),
    ],
)
def test_a_step_is_long_enough_for_samples_and_for_an_overload_to_show(
    objectives: list[str], tps: float, tolerance: float, expected_s: int
) -> None:
    assert measured_s([parse(expr) for expr in objectives], tps, tolerance) == expected_s
