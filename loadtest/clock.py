"""Time as a parameter: the clock protocol and the system's own clock.

Everything that needs the time takes a `Clock`; tests pass `loadtest.testing.VirtualClock`. Run time is the
monotonic clock, in integer nanoseconds, because floats lose nanoseconds after 52 days of uptime and the wall
clock can step.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """Tells monotonic and wall-clock time in nanoseconds."""

    def now_ns(self) -> int:
        """The monotonic instant, in nanoseconds; its zero is arbitrary but fixed for the process."""
        ...

    def wall_ns(self) -> int:
        """Nanoseconds since 1970-01-01T00:00:00Z, for what people read and for agreeing between processes."""
        ...


class SystemClock:
    """The machine's clocks."""

    now_ns = staticmethod(time.monotonic_ns)
    wall_ns = staticmethod(time.time_ns)
