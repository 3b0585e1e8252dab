# Arrivals in the hands of users: what `Serving` does with every one of them.


cdef class Seats:
    """What `Serving` is derived from: seats take arrivals, and finish them. Its Python twin is `pure.Seats`."""

    cdef readonly object loop
    cdef public object _sink
    cdef readonly dict _first_asked
    cdef Dispatch dispatch  # the loop, if it is native too
    cdef object now_ns
    cdef bint on_monotonic_clock

    def __init__(self, loop, now_ns):
        self.loop, self.now_ns, self._first_asked = loop, now_ns, {}
        self.dispatch = <Dispatch>loop if isinstance(loop, Dispatch) else None
        self.on_monotonic_clock = now_ns is python_monotonic_ns

    def take(self, Seat seat not None):
        """Wait for the next arrival; the seat serves it from now on."""
        cdef Messenger messenger
        if self.dispatch is not None:
            arrival = self.dispatch.next_for(seat.scenario)
        else:
            arrival = self.loop.take(seat.scenario)
        seat.arrival, seat.requests, seat.outcome = arrival, 0, empty_outcome
        seat.started_ns = monotonic_ns() if self.on_monotonic_clock else self.now_ns()
        if isinstance(seat.client, Messenger):
            messenger = <Messenger>seat.client
            messenger.next_intended_ns, messenger.has_intended = (<tuple>arrival)[0], True
            if messenger.seat is None and seat.scenario in self._first_asked:
                messenger.seat = seat
        elif seat.client is not None:
            seat.client.intended_ns = arrival[0]

    def finish(self, Seat seat not None):
        """Count the seat's arrival, and a journey of several requests as an entry of its own."""
        arrival = seat.arrival
        if arrival is None:
            return
        seat.arrival = None
        if seat.requests != 1:
            self._finish_other(seat, arrival)  # of Serving
        if isinstance(seat.client, Messenger):
            (<Messenger>seat.client).has_intended = False
        elif seat.client is not None:
            seat.client.intended_ns = None
        if self.dispatch is not None:
            self.dispatch.count_finished(arrival, seat.outcome, seat.started_ns)
        else:
            self.loop.finish(arrival, seat.outcome, seat.started_ns)
