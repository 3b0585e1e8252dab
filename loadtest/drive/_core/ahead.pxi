# Which arrival of a schedule is next. Who holds which slot until when is `ArrivalStream`'s, which is derived from this.


cdef class Ahead:
    """The next arrival of a stream, and up to where arrivals may be handed out. Its Python twin is `pure.Ahead`."""

    cdef object arrivals
    cdef tuple ahead  # None: there is no other
    cdef readonly long long ahead_ns
    cdef public long long before_ns, end_ns, lease_ns, position_ns

    def __init__(self, long long end_ns):
        self.end_ns = end_ns
        self.arrivals = iter(EMPTY)
        self.ahead_ns = self.before_ns = NEVER

    def follow(self, arrivals):
        """Go on with these arrivals, in place of those until now."""
        self.arrivals = arrivals
        self.step()

    def peek_ns(self):
        """The offset of the next arrival, or None if there is none before the end; it may lie past the lease."""
        if self.ahead_ns >= self.before_ns:
            self._advance()  # of ArrivalStream
        return None if self.ahead_ns >= self.end_ns else self.ahead_ns

    def due(self, long long now_ns):
        """Hand out the next arrival intended at or before `now_ns` and within the lease, if there is one."""
        return self.next_due(now_ns)

    @cython.final
    cdef tuple next_due(self, int64_t now_ns):
        cdef tuple arrival
        if self.ahead_ns >= self.before_ns:
            self._advance()
        if self.ahead_ns > now_ns or self.ahead_ns >= self.end_ns or self.ahead_ns >= self.lease_ns:
            return None
        arrival = self.ahead
        self.position_ns = self.ahead_ns + 1
        self.step()
        return arrival

    @cython.final
    cdef int step(self) except -1:
        self.ahead = next(self.arrivals, None)
        self.ahead_ns = NEVER if self.ahead is None else <long long>self.ahead[0]
        return 0
