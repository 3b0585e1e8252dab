"""Deadlines, on a clock and an event loop of the test's own."""

from typing import Any

import pytest

from loadtest.drive.deadlines import NEVER_NS, Deadlines


class FakeTimer:
    def __init__(self, tick_s: float) -> None:
        self.tick_s = tick_s
        self.running = False

    def start(self, callback: Any) -> None:
        self.running = True
        self.callback = callback

    def stop(self) -> None:
        self.running = False

    def close(self) -> None:
        assert not self.running


class FakeLoop:
    def __init__(self) -> None:
        self.timers: list[FakeTimer] = []

    def timer(self, after_s: float, repeat_s: float, ref: bool) -> FakeTimer:
        assert after_s == repeat_s
        assert not ref, "a timer that keeps an otherwise finished process alive"
        self.timers.append(FakeTimer(repeat_s))
        return self.timers[-1]

    @property
    def ticks_s(self) -> list[float]:
        return [timer.tick_s for timer in self.timers if timer.running]


class Item:
    def __init__(self, deadline_ns: int, then: Any = None) -> None:
        self.deadline_ns = deadline_ns
        self.expired = 0
        self._then = then

    def expire(self) -> None:
        self.expired += 1
        self.deadline_ns = NEVER_NS
        if self._then:
            self._then()


@pytest.fixture
def loop() -> FakeLoop:
    return FakeLoop()


def test_what_is_due_expires_once_and_what_is_not_does_not(loop: FakeLoop) -> None:
    now_ns = [100]
    deadlines = Deadlines(loop, lambda: now_ns[0])
    due, later, never = Item(100), Item(101), Item(NEVER_NS)
    for item in (due, later, never):
        deadlines.add(item, 1.0)
    deadlines.check()
    deadlines.check()
    assert (due.expired, later.expired, never.expired) == (1, 0, 0)
    now_ns[0] = 101
    deadlines.check()
    assert later.expired == 1


def test_one_timer_ticks_fine_enough_for_the_shortest_timeout(loop: FakeLoop) -> None:
    deadlines = Deadlines(loop, lambda: 0)
    deadlines.add(Item(NEVER_NS), 60.0)
    assert loop.ticks_s == [0.25]
    deadlines.add(Item(NEVER_NS), 1.0)
    deadlines.add(Item(NEVER_NS), 30.0)
    assert loop.ticks_s == [0.05]
    deadlines.add(Item(NEVER_NS), 0.000_001)
    assert loop.ticks_s == [0.002]


def test_the_timer_stops_when_nothing_is_watched(loop: FakeLoop) -> None:
    deadlines = Deadlines(loop, lambda: 0)
    item = Item(NEVER_NS)
    deadlines.add(item, 1.0)
    deadlines.discard(item)
    assert loop.ticks_s == []
    deadlines.add(item, 1.0)
    assert len(loop.ticks_s) == 1


def test_expiring_one_may_discard_or_save_another(loop: FakeLoop) -> None:
    deadlines = Deadlines(loop, lambda: 100)
    items: list[Item] = []

    def save_the_others() -> None:
        for other in items:
            other.deadline_ns = NEVER_NS

    items += [Item(50, save_the_others) for _ in range(3)]
    for item in items:
        deadlines.add(item, 1.0)
    deadlines.check()
    assert sum(item.expired for item in items) == 1
