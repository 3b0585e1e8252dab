"""How far a worker's wall clock is off, measured as NTP does (RFC 5905, section 8), while it waits for the start.

Time zero is the one wall-clock instant that master and workers must agree on. Each `Hello` is answered with what
the master's clock says; half of the round trip is by how much that answer may be wrong. The quickest exchange is
the best, and on a busy machine the others are much worse.
"""

from loadtest.fleet.messages import Clock

PATIENCE_NS = 2_000_000_000
"""How long a worker waits for the master's first answer before it takes its own clock for right."""
_LONGEST_NS = 1 << 62


class ClockCheck:
    """The best of a worker's exchanges with its master."""

    def __init__(self) -> None:
        self.offset_ns: int | None = None
        """How far our wall clock is ahead of the master's, once it is known."""
        self.error_ns = 0
        """By how much `offset_ns` may be wrong."""
        self._began_ns: int | None = None

    @property
    def correction_ns(self) -> int:
        """What to add to an instant of ours so that the master's clock says what it should; 0 where in doubt."""
        offset_ns = self.offset_ns or 0
        return offset_ns if abs(offset_ns) > self.error_ns + 1 else 0  # halves are rounded

    def answered(self, clock: Clock, now_ns: int, wall_ns: int) -> None:
        """Take the master's answer to a hello, at `now_ns` on our run clock and `wall_ns` on our wall clock."""
        round_trip_ns = now_ns - clock.sent_ns
        if not 0 <= round_trip_ns < _LONGEST_NS or abs(clock.wall_ns) >= _LONGEST_NS:
            return  # an answer to no hello of ours
        error_ns = (round_trip_ns + 1) // 2
        if self.offset_ns is None or error_ns < self.error_ns:
            self.offset_ns = wall_ns - error_ns - clock.wall_ns
            self.error_ns = error_ns

    def known(self, now_ns: int) -> bool:
        """Whether the offset is known, or was waited for long enough."""
        if self._began_ns is None:
            self._began_ns = now_ns
        return self.offset_ns is not None or now_ns - self._began_ns > PATIENCE_NS
