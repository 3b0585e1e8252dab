"""What is called a slow window."""

import pytest

from benchmarks.quiet import slow_share, slowdowns


def steady(seconds: float, took_s: float = 0.0004) -> list[tuple[float, float]]:
    return [((number + 0.5) / 500, took_s) for number in range(int(500 * seconds))]


def test_an_even_machine_has_no_slow_window() -> None:
    assert slow_share(steady(5)) == 0


def test_an_episode_in_which_everything_takes_four_times_as_long_is_seen_for_its_length() -> None:
    samples = [(at_s, took_s * (4 if 2.0 <= at_s < 2.1 else 1)) for at_s, took_s in steady(5)]
    assert slow_share(samples) == pytest.approx(2 / 100)
    assert max(slowdowns(samples)) == pytest.approx(4)


def test_one_interrupted_piece_is_no_slow_window() -> None:
    samples = steady(5)
    samples[700] = (samples[700][0], 0.004)
    assert slow_share(samples) == 0
    assert max(slowdowns(samples)) == pytest.approx((24 + 10) / 25)
