"""A connected socket and who waits for it, in Python: the twin of `line.pxi`."""

from collections.abc import Callable
from typing import Any

import gevent
from greenlet import greenlet

READ_EVENT = 1
"""libev's EV_READ."""


class Line:
    """A connected socket, and one libev watcher that stays.

    libev hears of the socket when it opens and when it closes, never in between: what arrives resumes whoever
    waits; else it is for `heard`.
    """

    __slots__ = (
        "_loop",
        "_wake",
        "_watcher",
        "closed",
        "deadline_ns",
        "first_ns",
        "first_timeout_ns",
        "found_dead",
        "opening",
        "paused",
        "read_timeout_ns",
        "recv",
        "reused",
        "send",
        "sent_ns",
        "total_timeout_ns",
        "wait",
        "waiter",
    )

    send: Callable[[bytes | memoryview], int]
    recv: Callable[[int], bytes]

    def __init__(self, *_arguments: Any) -> None:
        hub = gevent.get_hub()
        self._loop = hub.loop
        self._watcher: Any = None
        self._wake = self._woken  # bound once
        # Without gevent's wrapper, which looks for a `switch_out` hook that nobody here has.
        self.wait: Callable[[], Any] = greenlet.switch.__get__(hub)
        """Wait until something can be read. Raises what is thrown into the greenlet: a kill or a timeout."""
        self.waiter: Any = None
        """The greenlet that waits for what arrives next; None: nobody does, and it is for `heard`."""
        self.closed = self.paused = self.reused = self.found_dead = False
        self.deadline_ns = self.sent_ns = self.first_ns = 0
        self.opening: tuple[int, int] | None = None

    def heard(self) -> None:
        """Something arrived while nobody waits."""
        raise NotImplementedError

    def time_out_after(self, read_timeout_ns: int, total_timeout_ns: int) -> None:
        """How long an exchange may take."""
        self.read_timeout_ns, self.total_timeout_ns = read_timeout_ns, total_timeout_ns
        self.first_timeout_ns = min(read_timeout_ns, total_timeout_ns)

    def listen(self, fd: int) -> None:
        """Hear what arrives on a socket from now on, until `fall_silent`."""
        self._watcher = self._loop.io(fd, READ_EVENT)
        self._watcher.start(self._wake)

    def speak_with(
        self,
        send: Callable[[bytes | memoryview], int],
        recv: Callable[[int], bytes],
        stream: Any,  # noqa: ARG002 - for the native one
    ) -> None:
        """What sends and receives from now on: `send(bytes)` and `recv(most)`, both of `stream` if it is TLS."""
        self.send, self.recv = send, recv

    def mute(self) -> None:
        """Leave what arrives in the socket until `unmute`."""
        self.waiter = None
        self._watcher.stop()

    def unmute(self) -> None:
        """Hear again, also what has arrived meanwhile."""
        self._watcher.start(self._wake)

    def fall_silent(self) -> None:
        """Hear nothing any more: the socket is about to be closed."""
        self.waiter = None
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None
        del self._wake  # a reference to itself

    def _woken(self) -> None:
        waiter = self.waiter
        if waiter is None:
            self.heard()
        else:
            waiter.switch()

    def begun(self) -> tuple[int, bytes, Exception | None]:
        """What a native core has begun; this core in Python begins nothing."""
        raise NotImplementedError
