"""Timers wake at their instant, once, and can be moved and closed. Real time, but only milliseconds of it."""

import sys
import time
from collections.abc import Callable, Iterator

import gevent
import pytest

from loadtest.drive._core import TimerFd
from loadtest.drive.timer import ThreadTimer, Timer, system_timer

MS = 1_000_000
KINDS = [
    ThreadTimer,
    pytest.param(TimerFd, marks=pytest.mark.skipif(sys.platform != "linux", reason="timerfd")),
]


class Fired:
    """Notes when a timer called back."""

    def __init__(self) -> None:
        self.at_ns: list[int] = []

    def __call__(self) -> None:
        self.at_ns.append(time.monotonic_ns())

    def wait(self, times: int = 1) -> None:
        """Until it was called so often."""
        with gevent.Timeout(60):
            while len(self.at_ns) < times:
                gevent.sleep(0.001)


Make = Callable[[Callable[[], None]], Timer]


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    made: list[Timer] = []

    def factory(callback: Callable[[], None]) -> Timer:
        made.append(request.param(callback))
        return made[-1]

    yield factory
    for timer in made:
        timer.close()


def test_fires_once_and_never_before_its_instant(make: Make) -> None:
    fired = Fired()
    at_ns = time.monotonic_ns() + 20 * MS
    make(fired).arm(at_ns)
    fired.wait()
    gevent.sleep(0.02)
    assert len(fired.at_ns) == 1
    assert fired.at_ns[0] >= at_ns


def test_an_instant_that_has_passed_fires_at_once(make: Make) -> None:
    fired = Fired()
    make(fired).arm(time.monotonic_ns() - 1_000 * MS)
    fired.wait()


@pytest.mark.parametrize("at_ns", [0, -5])
def test_the_beginning_of_time_fires_too_and_does_not_disarm(make: Make, at_ns: int) -> None:
    fired = Fired()
    make(fired).arm(at_ns)
    fired.wait()


def test_arming_again_replaces_what_was_armed(make: Make) -> None:
    fired = Fired()
    timer = make(fired)
    timer.arm(time.monotonic_ns() + 3_600_000 * MS)
    timer.arm(time.monotonic_ns() + 10 * MS)
    fired.wait()
    later = Fired()
    moved = make(later)
    moved.arm(time.monotonic_ns() + 500 * MS)  # a busy machine may take long to the next line
    moved.arm(time.monotonic_ns() + 3_600_000 * MS)
    gevent.sleep(0.55)
    assert later.at_ns == []


def test_a_callback_may_arm_its_own_timer(make: Make) -> None:
    fired = Fired()

    def again() -> None:
        fired()
        if len(fired.at_ns) < 5:
            timer.arm(time.monotonic_ns() + MS)

    timer = make(again)
    timer.arm(time.monotonic_ns())
    fired.wait(5)


def test_a_closed_timer_never_fires_and_closes_twice(make: Make) -> None:
    fired = Fired()
    timer = make(fired)
    timer.arm(time.monotonic_ns() + 5 * MS)
    timer.close()
    timer.close()
    gevent.sleep(0.02)
    assert fired.at_ns == []


def test_linux_gets_a_timerfd() -> None:
    timer = system_timer(lambda: None)
    assert isinstance(timer, TimerFd if sys.platform == "linux" else ThreadTimer)
    timer.close()
