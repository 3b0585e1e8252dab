# Arrivals in the hands of users: what `Serving` does with every one of them.


cdef class ServingCore:
    """What `Serving` is derived from: how users take arrivals, and finish them. Its Python twin is `pure.ServingCore`."""

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

    def take(self, UserState state not None):
        """Wait for the next arrival; the user serves it from now on."""
        cdef Messenger messenger
        if self.dispatch is not None:
            arrival = self.dispatch.next_for(state.scenario)
        else:
            arrival = self.loop.take(state.scenario)
        state.arrival, state.requests, state.outcome = arrival, 0, empty_outcome
        state.started_ns = monotonic_ns() if self.on_monotonic_clock else self.now_ns()
        if isinstance(state.client, Messenger):
            messenger = <Messenger>state.client
            messenger.next_intended_ns, messenger.has_intended = (<tuple>arrival)[0], True
            if messenger.user_state is None and state.scenario in self._first_asked:
                messenger.user_state = state
        elif state.client is not None:
            state.client.intended_ns = arrival[0]

    def finish(self, UserState state not None):
        """Count the user's arrival, and a journey of several requests as an entry of its own."""
        arrival = state.arrival
        if arrival is None:
            return
        state.arrival = None
        if state.requests != 1:
            self._finish_other(state, arrival)  # of Serving
        if isinstance(state.client, Messenger):
            (<Messenger>state.client).has_intended = False
        elif state.client is not None:
            state.client.intended_ns = None
        if self.dispatch is not None:
            self.dispatch.count_finished(arrival, state.outcome, state.started_ns)
        else:
            self.loop.finish(arrival, state.outcome, state.started_ns)
