# Handing arrivals to users, and counting that: what every arrival needs. When to wake, whom to drop and when a run
# is over is `OpenLoop`'s, which is derived from this.


cdef object make_histogram, empty_outcome, ok_outcome
cdef type arrival_class


def equip_dispatch(type arrival, histogram_maker, empty, ok):
    """Tell the core what of Python it makes of arrivals, and how they may have ended."""
    global arrival_class, make_histogram, empty_outcome, ok_outcome
    arrival_class, make_histogram, empty_outcome, ok_outcome = arrival, histogram_maker, empty, ok


cdef object new_arrival(int64_t intended_ns, Py_ssize_t scenario):
    """An `Arrival`, without the call of its class."""
    cdef object arrival = PyType_GenericAlloc(<PyTypeObject *>arrival_class, 2)
    put_item(arrival, 0, intended_ns)
    put_item(arrival, 1, scenario)
    return arrival


cdef inline void put_item(object new_tuple, Py_ssize_t at, object item) noexcept:
    Py_INCREF(item)
    PyTuple_SET_ITEM(new_tuple, at, item)


@cython.final
cdef class UserState:
    """One user at work: which arrival it serves and how that has gone so far. Its Python twin is `pure.UserState`."""

    cdef readonly Py_ssize_t scenario
    cdef readonly str name
    cdef readonly object greenlet
    cdef public object client, arrival, outcome
    cdef public bint has_http_client, unanswered
    cdef public long long started_ns
    cdef public Py_ssize_t requests

    def __init__(self, Py_ssize_t scenario, str name not None, greenlet=None):
        self.scenario, self.name, self.greenlet, self.outcome = scenario, name, greenlet, empty_outcome


cdef struct Waiting:
    int64_t intended_ns
    int64_t reached_ns


@cython.final
cdef class Backlog:
    """The arrivals of one scenario that wait for a user, the first one first."""

    cdef Waiting *ring
    cdef Py_ssize_t first, count, room

    def __dealloc__(self):
        free(self.ring)

    cdef int append(self, int64_t intended_ns, int64_t reached_ns) except -1:
        cdef Waiting *last
        if self.count == self.room:
            self.grow()
        last = &self.ring[(self.first + self.count) & (self.room - 1)]
        last.intended_ns, last.reached_ns = intended_ns, reached_ns
        self.count += 1
        return 0

    cdef Waiting popleft(self) noexcept:
        cdef Waiting longest = self.ring[self.first]
        self.first = (self.first + 1) & (self.room - 1)
        self.count -= 1
        return longest

    cdef int grow(self) except -1:
        """Make room for twice as many; what lies before `first` moves behind the rest."""
        cdef Py_ssize_t room = max(64, 2 * self.room)  # powers of two
        cdef Waiting *grown = <Waiting *>realloc(self.ring, room * sizeof(Waiting))
        if grown == NULL:
            raise MemoryError
        memcpy(&grown[self.room], grown, self.first * sizeof(Waiting))
        self.ring, self.room = grown, room
        return 0


cdef class Dispatch:
    """Who waits for an arrival, which arrivals wait for a user, and what has become of both. See `pure.Dispatch`."""

    cdef public Py_ssize_t in_flight
    cdef public object open_seconds, stream
    cdef public bint _closed
    cdef public long long _zero_ns
    cdef readonly list _idle
    cdef list backlogs
    cdef readonly tuple _transactions
    cdef object now_ns
    cdef bint on_monotonic_clock
    cdef int most_at_once
    cdef public long long stood_still_ns
    cdef int64_t patience_ns, longest_turn_ns
    cdef greenlet hub
    # What has been counted and not handed in, of the second it happened in:
    cdef int64_t from_ns, to_ns
    cdef Py_ssize_t started, ok, busy_us, transactions_started, transactions_ok
    cdef Times lag, queueing
    # and of the second it was intended in:
    cdef int64_t due_from_ns, due_to_ns
    cdef Py_ssize_t scheduled

    def __init__(self, transactions, patience_ns, now_ns, int most_at_once, int64_t longest_turn_ns):
        self._transactions, self.now_ns, self.most_at_once = tuple(transactions), now_ns, most_at_once
        self.patience_ns, self.longest_turn_ns = min(patience_ns, NEVER), longest_turn_ns
        self.on_monotonic_clock = now_ns is python_monotonic_ns
        self._idle = [[] for _ in transactions]
        self.backlogs = [Backlog() for _ in transactions]
        self.hub = get_hub()
        self.lag, self.queueing = Times(), Times()

    def count_in(self, open_seconds):
        """Count in `open_seconds` from now on."""
        self.open_seconds, self._zero_ns = open_seconds, open_seconds.zero_ns
        open_seconds.sources.append(self.hand_in)

    @property
    def backlog(self):
        """Arrivals that wait for an idle user."""
        cdef Backlog backlog
        cdef Py_ssize_t waiting = 0
        for backlog in self.backlogs:
            waiting += backlog.count
        return waiting

    def take(self, Py_ssize_t scenario):
        """Wait for the next arrival of a scenario; called by a user's greenlet, which then serves it."""
        return self.next_for(scenario)

    def finish(self, arrival, outcome, int64_t started_ns):
        """Count an arrival that a user has served since `started_ns`; `outcome` is one of those in `records`."""
        self.count_finished(arrival, outcome, started_ns)

    @cython.final
    cdef object next_for(self, Py_ssize_t scenario):
        cdef list idle = <list>self._idle[scenario]
        cdef greenlet current
        if (<Backlog>self.backlogs[scenario]).count:
            waiting = self.next_waiting(scenario)
            if waiting is not None:
                return waiting
        current = PyGreenlet_GetCurrent()
        idle.append(current)
        try:
            return PyGreenlet_Switch(self.hub, NULL, NULL)
        except BaseException:
            if current in idle:  # killed while waiting: it must not be handed an arrival
                idle.remove(current)
            raise

    @cython.final
    cdef int count_finished(self, arrival, outcome, int64_t started_ns) except -1:
        cdef int64_t now_ns
        if self._closed:
            return 0  # it was counted as cancelled when the run was closed
        self.in_flight -= 1
        now_ns = self.now()
        self.count_at(now_ns)
        self.busy_us += (now_ns - started_ns) // 1000
        if outcome is not ok_outcome:
            self._count_end(arrival, outcome, now_ns)
            return 0
        self.ok += 1
        if self._transactions[(<tuple>arrival)[1]]:
            self.transactions_ok += 1
        return 0

    def wake(self):
        """Hand out what is due, then arm the timer for what comes next. Runs in the hub, from which users are resumed."""
        cdef Ahead stream = <Ahead?>self.stream
        cdef int64_t now_ns = self.now()
        cdef int64_t woke_ns = now_ns
        cdef tuple due
        cdef int i
        if now_ns - self._zero_ns - self.stood_still_ns > stream.ahead_ns:
            self._miss(now_ns)
        for i in range(self.most_at_once):
            due = stream.next_due(now_ns - self._zero_ns)
            if due is None:
                break
            if self.dispatch(self._zero_ns + <int64_t>due[0], due[1], now_ns):
                now_ns = self.now()  # a user has run
                if now_ns - woke_ns > self.longest_turn_ns:
                    break
        self.drop_impatient(now_ns)
        if not self._closed:
            self._timer.arm(self._next_wake_ns(woke_ns, now_ns))

    def drop_all(self, int64_t now_ns):
        """Drop whatever waits for a user."""
        self.drop_over(-1, now_ns)

    @cython.final
    cdef int drop_impatient(self, int64_t now_ns) except -1:
        """Drop arrivals that waited longer than a customer would; they count as failed in availability."""
        return self.drop_over(self.patience_ns, now_ns)

    @cython.final
    cdef int drop_over(self, int64_t age_ns, int64_t now_ns) except -1:
        """Drop what waits and was intended more than `age_ns` ago; all of it if that is negative."""
        cdef Backlog backlog
        cdef Py_ssize_t scenario = 0
        for backlog in self.backlogs:
            while backlog.count and (age_ns < 0 or now_ns - backlog.ring[backlog.first].intended_ns > age_ns):
                self._drop(new_arrival(backlog.popleft().intended_ns, scenario), now_ns)
            scenario += 1
        return 0

    def hand_in(self):
        """Put what has been counted into its seconds."""
        if self.scheduled:
            self.open_seconds.second(self.due_from_ns).scheduled += self.scheduled
            self.scheduled = 0
        if self.from_ns == self.to_ns:
            return
        second = self.open_seconds.second(self.from_ns)
        second.started += self.started
        second.ok += self.ok
        second.busy_us += self.busy_us
        second.transactions_started += self.transactions_started
        second.transactions_ok += self.transactions_ok
        self.started = self.ok = self.busy_us = self.transactions_started = self.transactions_ok = 0
        second.dispatch_lag.merge(make_histogram(*self.lag.take()))
        second.queueing.merge(make_histogram(*self.queueing.take()))
        self.from_ns = self.to_ns = 0

    @cython.final
    cdef int64_t now(self) except? -1:
        return monotonic_ns() if self.on_monotonic_clock else self.now_ns()

    @cython.final
    cdef int dispatch(self, int64_t intended_ns, Py_ssize_t scenario, int64_t now_ns) except -1:
        """Hand an arrival to an idle user, or have it wait for one. 1: a user has run."""
        cdef list idle = <list>self._idle[scenario]
        if not self.due_from_ns <= intended_ns < self.due_to_ns:
            self.hand_in()
            self.due_from_ns = self._zero_ns + second_of(intended_ns, self._zero_ns) * 1000000000
            self.due_to_ns = self.due_from_ns + 1000000000
        self.scheduled += 1
        self.count_at(now_ns)
        self.lag.add(now_ns - intended_ns)
        if idle:
            self.count_start(scenario, now_ns, now_ns)
            handed = (new_arrival(intended_ns, scenario),)
            PyGreenlet_Switch(<greenlet?>idle.pop(), <PyObject *>handed, NULL)
            return 1
        (<Backlog>self.backlogs[scenario]).append(intended_ns, now_ns)
        return 0

    @cython.final
    cdef object next_waiting(self, Py_ssize_t scenario):
        """The arrival of a scenario that waits longest and is not given up; None if none is left."""
        cdef int64_t now_ns = self.now()
        cdef Backlog backlog = <Backlog>self.backlogs[scenario]
        cdef Waiting longest
        self.drop_impatient(now_ns)
        if backlog.count == 0:
            return None
        longest = backlog.popleft()
        self.count_start(scenario, now_ns, longest.reached_ns)
        return new_arrival(longest.intended_ns, scenario)

    @cython.final
    cdef int count_start(self, Py_ssize_t scenario, int64_t now_ns, int64_t reached_ns) except -1:
        self.count_at(now_ns)
        self.started += 1
        self.queueing.add(now_ns - reached_ns)
        if self._transactions[scenario]:
            self.transactions_started += 1
        self.in_flight += 1
        return 0

    @cython.final
    cdef int count_at(self, int64_t now_ns) except -1:
        """What is counted next happens at `now_ns`."""
        if not self.from_ns <= now_ns < self.to_ns:
            self.hand_in()
            self.from_ns = self._zero_ns + second_of(now_ns, self._zero_ns) * 1000000000
            self.to_ns = self.from_ns + 1000000000
        return 0
