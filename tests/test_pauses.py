"""Long work in short pieces: when a worker at it sleeps."""

import pytest

from loadtest.pauses import PIECE_S, SLEEP_S, Pauses


class Work:
    """Time that only passes when somebody works or sleeps."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.slept_s: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.now_s += seconds


def test_short_work_is_not_interrupted() -> None:
    work = Work()
    pause = Pauses(work.sleep, lambda: work.now_s)
    for _ in range(9):
        work.now_s += PIECE_S / 10
        pause()
    assert work.slept_s == []


def test_long_work_sleeps_after_each_piece_and_the_sleep_is_not_taken_for_work() -> None:
    work = Work()
    pause = Pauses(work.sleep, lambda: work.now_s)
    for _ in range(30):
        work.now_s += PIECE_S / 9.5
        pause()
    assert work.slept_s == [SLEEP_S] * 3
    assert pause.worked_s == pytest.approx(30 * PIECE_S / 9.5)
