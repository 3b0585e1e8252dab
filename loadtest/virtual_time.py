"""Time that tests move by hand: a clock, and a timer that fires when the clock passes it."""

from collections.abc import Callable


class VirtualClock:
    """A clock that stands still until it is advanced. Monotonic and wall time advance together."""

    def __init__(self, now_ns: int = 1_000_000_000_000, wall_ns: int = 1_700_000_000_000_000_000) -> None:
        self._now_ns = now_ns
        self._wall_offset_ns = wall_ns - now_ns
        self._timers: list[VirtualTimer] = []

    def now_ns(self) -> int:
        """The monotonic instant."""
        return self._now_ns

    def wall_ns(self) -> int:
        """The wall-clock instant."""
        return self._now_ns + self._wall_offset_ns

    def timer(self, callback: Callable[[], None]) -> "VirtualTimer":
        """A timer on this clock: fits wherever a `loadtest.drive.timer.Timer` is made."""
        timer = VirtualTimer(self, callback)
        self._timers.append(timer)
        return timer

    def advance_to(self, instant_ns: int) -> None:
        """Move on to an instant, stopping at every timer on the way, earliest first."""
        while True:
            due = [timer for timer in self._timers if timer.at_ns is not None and timer.at_ns <= instant_ns]
            if not due:
                break
            first = min(due, key=lambda timer: timer.at_ns or 0)
            self._now_ns = max(self._now_ns, first.at_ns or 0)
            first.fire()
        self._now_ns = max(self._now_ns, instant_ns)

    def advance(self, nanoseconds: int) -> None:
        """Move on by some nanoseconds."""
        self.advance_to(self._now_ns + nanoseconds)

    def jump(self, nanoseconds: int) -> None:
        """Move on without stopping at timers, as a process that was paused finds the time moved on."""
        self._now_ns += nanoseconds


class VirtualTimer:
    """Fires when its clock is advanced past it."""

    def __init__(self, clock: VirtualClock, callback: Callable[[], None]) -> None:
        self._clock = clock
        self._callback = callback
        self.at_ns: int | None = None
        """What it is armed for, if it is."""

    def arm(self, at_ns: int) -> None:
        """Fire at an instant; at the next advance if it has passed."""
        self.at_ns = at_ns

    def close(self) -> None:
        """Never fire again."""
        self.at_ns = None
        self._callback = _nothing

    def fire(self) -> None:
        """Call back once."""
        self.at_ns = None
        self._callback()


def _nothing() -> None:
    pass
