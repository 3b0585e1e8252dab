"""Wake-ups at an absolute instant, to tens of microseconds.

libev sleeps in `epoll_wait`, whose timeout is whole milliseconds, and keeps its own cached idea of now:
`gevent.sleep` wakes 0.6 ms late at the median and 2.7 ms at p99. A timerfd is a file that becomes readable at
an absolute instant of CLOCK_MONOTONIC, the clock of `time.monotonic_ns`, with the kernel's high-resolution
timers behind it, so the loop wakes for it as it wakes for a socket (0.05 ms and 0.3 ms).

`Timer` is the seam: `TimerFd` on Linux, `ThreadTimer` elsewhere, a virtual one in tests.
"""

import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

import gevent
from gevent import monkey

CLOCK_MONOTONIC = 1
TFD_TIMER_ABSTIME = 1
TFD_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
NS_PER_S = 1_000_000_000
READ_EVENT = 1
"""libev's EV_READ."""


class Timer(Protocol):
    """Calls back once at each instant it is armed for."""

    def arm(self, at_ns: int) -> None:
        """Call back at monotonic instant `at_ns`, at once if it has passed; replaces what was armed before."""
        ...

    def close(self) -> None:
        """Never call back again and free what the timer holds."""
        ...


class _Itimerspec(ctypes.Structure):
    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class TimerFd:
    """A timerfd on the current hub's loop; `callback` runs in the hub and must not block."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._spec = _Itimerspec()
        self._spec_ref = ctypes.byref(self._spec)
        self._callback = callback
        self._watcher: Any = gevent.get_hub().loop.io(self._fd, READ_EVENT)
        self._watcher.start(self._fired)

    def arm(self, at_ns: int) -> None:
        """See `Timer.arm`."""
        at_ns = max(at_ns, 1)  # zero would disarm
        self._spec.value_s, self._spec.value_ns = divmod(at_ns, NS_PER_S)
        if self._libc.timerfd_settime(self._fd, TFD_TIMER_ABSTIME, self._spec_ref, None) != 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime failed")

    def close(self) -> None:
        """See `Timer.close`."""
        if self._fd >= 0:
            self._watcher.stop()
            self._watcher.close()
            os.close(self._fd)
            self._fd = -1

    def _fired(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return  # re-armed between becoming readable and being read
        self._callback()


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
