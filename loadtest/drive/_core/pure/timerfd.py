"""A timerfd on gevent's loop, in Python: the twin of `timerfd.pxi`."""

import ctypes
import os
from collections.abc import Callable
from typing import Any

import gevent

from loadtest.drive._core.pure.line import READ_EVENT

CLOCK_MONOTONIC = 1
TFD_TIMER_ABSTIME = 1
TFD_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
NS_PER_S = 1_000_000_000


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
