"""Wake-ups at an absolute instant, to tens of microseconds.

libev sleeps in `epoll_wait`, whose timeout is whole milliseconds, and keeps its own cached idea of now:
`gevent.sleep` wakes 0.6 ms late at the median and 2.7 ms at p99. A timerfd is a file that becomes readable at
an absolute instant of CLOCK_MONOTONIC, the clock of `time.monotonic_ns`, with the kernel's high-resolution
timers behind it, so the loop wakes for it as it wakes for a socket (0.05 ms and 0.3 ms).

`Timer` is the seam: `TimerFd` on Linux, `ThreadTimer` elsewhere, a virtual one in tests.
"""

import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

import gevent
from gevent import monkey

from loadtest.drive._core import TimerFd

NS_PER_S = 1_000_000_000


class Timer(Protocol):
    """Calls back once at each instant it is armed for."""

    def arm(self, at_ns: int) -> None:
        """Call back at monotonic instant `at_ns`, at once if it has passed; replaces what was armed before."""
        ...

    def close(self) -> None:
        """Never call back again and free what the timer holds."""
        ...


class ThreadTimer:
    """A real thread that sleeps and pokes the loop: for systems without timerfd."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._wake: Any = gevent.get_hub().loop.async_()
        self._wake.start(callback)
        self._at_ns: int | None = None
        self._closed = False
        condition = monkey.get_original("threading", "Condition")
        lock = monkey.get_original("threading", "RLock")
        self._changed: threading.Condition = condition(lock())
        monkey.get_original("_thread", "start_new_thread")(self._run, ())

    def arm(self, at_ns: int) -> None:
        """See `Timer.arm`."""
        with self._changed:
            self._at_ns = at_ns
            self._changed.notify()

    def close(self) -> None:
        """See `Timer.close`."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._wake.stop()

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._closed:
                    return
                left_ns = None if self._at_ns is None else self._at_ns - time.monotonic_ns()
                if left_ns is None or left_ns > 0:
                    self._changed.wait(None if left_ns is None else left_ns / NS_PER_S)
                    continue
                self._at_ns = None
            self._wake.send()


def system_timer(callback: Callable[[], None]) -> Timer:
    """The best timer this system has."""
    return TimerFd(callback) if sys.platform == "linux" else ThreadTimer(callback)
