"""The next arrival of a stream, in Python: the twin of `ahead.pxi`."""

from collections.abc import Iterator

NEVER_NS = 2**63 - 1


class Ahead:
    """The next arrival of a stream, and up to where arrivals may be handed out."""

    __slots__ = ("_ahead", "_arrivals", "ahead_ns", "before_ns", "end_ns", "lease_ns", "position_ns")

    def __init__(self, end_ns: int) -> None:
        self._arrivals: Iterator[tuple[int, int]] = iter(())
        self._ahead: tuple[int, int] | None = None
        self.ahead_ns = NEVER_NS
        """The offset of the next arrival, whether it may be handed out or not; `NEVER_NS` if there is none."""
        self.before_ns = NEVER_NS
        """Where `_advance` is to be asked, since other arrivals are to be followed."""
        self.end_ns = end_ns
        """Where the schedule ends for this worker."""
        self.lease_ns = 0
        """Up to where this worker may serve arrivals."""
        self.position_ns = 0
        """Every arrival before this offset has been handed out."""

    def _advance(self) -> None:
        raise NotImplementedError

    def follow(self, arrivals: Iterator[tuple[int, int]]) -> None:
        """Hand out these arrivals from now on instead of the earlier ones."""
        self._arrivals = arrivals
        self._step()

    def peek_ns(self) -> int | None:
        """The offset of the next arrival, or None if there is none before the end; it may lie past the lease."""
        if self.ahead_ns >= self.before_ns:
            self._advance()
        return None if self.ahead_ns >= self.end_ns else self.ahead_ns

    def due(self, now_ns: int) -> tuple[int, int] | None:
        """Hand out the next arrival intended at or before `now_ns` and within the lease, if there is one."""
        if self.ahead_ns >= self.before_ns:
            self._advance()
        offset_ns = self.ahead_ns
        if offset_ns > now_ns or offset_ns >= self.end_ns or offset_ns >= self.lease_ns:
            return None
        arrival = self._ahead
        self.position_ns = offset_ns + 1
        self._ahead = ahead = next(self._arrivals, None)
        self.ahead_ns = NEVER_NS if ahead is None else ahead[0]
        return arrival

    def _step(self) -> None:
        self._ahead = ahead = next(self._arrivals, None)
        self.ahead_ns = NEVER_NS if ahead is None else ahead[0]
