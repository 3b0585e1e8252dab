"""What a search for capacity says, in words."""

from loadtest.judge.capacity import Capacity, Limit
from loadtest.judge.capacity_result import CapacityResult


def sentence(sustained_tps: float, exceeded_tps: float) -> str:
    found = CapacityResult.of(
        Capacity(sustained_tps, exceeded_tps, Limit.TARGET, 3), plan="steady", targets=[], started_at="",
        took_s=30.0, objectives=[], tolerance=0.03, steps=[],
    )  # fmt: skip
    return found.sentence


def test_two_rates_that_the_search_told_apart_are_told_apart_in_words() -> None:
    assert sentence(5120.4, 5270.0).startswith("sustained 5,120 TPS, but not 5,270 TPS: ")
    assert sentence(48.2, 49.4).startswith("sustained 48.2 TPS, but not 49.4 TPS: ")
    assert sentence(4.96, 5.08).startswith("sustained 4.96 TPS, but not 5.08 TPS: ")
