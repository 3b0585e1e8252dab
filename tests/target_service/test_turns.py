"""Turns to be cut off: at once for one, one after the other for a crowd."""

import pytest

from target_service.shedding import CUT_OFFS_PER_S, Turns


class Clock:
    """Moved by hand."""

    def __init__(self) -> None:
        self.s = 50.0

    def __call__(self) -> float:
        return self.s


def test_who_is_late_alone_is_cut_off_at_once() -> None:
    clock = Clock()
    turns = Turns(CUT_OFFS_PER_S, clock)
    for _ in range(3):
        assert turns.take() == 0
        clock.s += 1.01 / CUT_OFFS_PER_S


def test_a_crowd_takes_turns_and_time_that_nobody_used_is_not_saved_up() -> None:
    clock = Clock()
    turns = Turns(CUT_OFFS_PER_S, clock)
    clock.s += 60
    waits = [turns.take() for _ in range(100)]
    assert waits == pytest.approx([number / CUT_OFFS_PER_S for number in range(100)])
    clock.s += 1
    assert turns.take() == pytest.approx(100 / CUT_OFFS_PER_S - 1)
