# What went well at one endpoint, noted in seven integers a request and summed up in bulk.
#
# A tally is emptied once a second, when it is full, and before anybody reads what it is emptied into. Failures are not
# noted here: they have more to say, and go the way of Python.

cdef enum:
    MOST_NOTED = 1024  # summed up in 0.2 ms, for which no arrival is dispatched; with fewer each costs more
    TENTHS = 20000  # of a millisecond, which Locust's statistics count by: two seconds

cdef enum Span:
    FROM_INTENT
    FROM_SENT
    TO_FIRST

cdef struct Noted:
    int64_t intended_ns
    int64_t sent_ns
    int64_t done_ns
    int64_t response_bytes
    int64_t first_ns
    int64_t sent_bytes
    int64_t received_bytes

cdef Times scratch_times = Times()  # empty between two uses; nothing switches meanwhile
cdef uint32_t[TENTHS] scratch_tenths  # all zero likewise


@cython.final
cdef class Tally:
    """The successes of one endpoint since it was last emptied."""

    cdef readonly str method, name
    cdef Noted *noted
    cdef Py_ssize_t count, room

    def __init__(self, str method not None, str name not None):
        self.method, self.name = method, name

    def __dealloc__(self):
        free(self.noted)

    def __len__(self):
        return self.count

    cdef bint note(self, int64_t intended_ns, int64_t sent_ns, int64_t done_ns, int64_t response_bytes,
                   int64_t first_ns, int64_t sent_bytes, int64_t received_bytes) except -1:
        """Note one success. True: it is full."""
        cdef Noted *one
        if self.count == self.room:
            self.grow()
        one = &self.noted[self.count]
        one.intended_ns, one.sent_ns, one.done_ns, one.response_bytes = intended_ns, sent_ns, done_ns, response_bytes
        one.first_ns, one.sent_bytes, one.received_bytes = first_ns or done_ns, sent_bytes, received_bytes
        self.count += 1
        return self.count >= MOST_NOTED

    def add(self, intended_ns, sent_ns, done_ns, response_bytes, first_ns=0, sent_bytes=0, received_bytes=0):
        """As `note`, for tests."""
        self.note(intended_ns, sent_ns, done_ns, response_bytes, first_ns, sent_bytes, received_bytes)

    cdef int grow(self) except -1:
        cdef Py_ssize_t room = max(32, 2 * self.room)
        cdef Noted *grown = <Noted *>realloc(self.noted, room * sizeof(Noted))
        if grown == NULL:
            raise MemoryError
        self.noted, self.room = grown, room
        return 0

    def clear(self):
        """Forget everything."""
        self.count = 0

    def sums(self):
        """(count, sum of response times, least, greatest, bytes, {tenths of a millisecond: count}), in ns."""
        cdef int64_t total = 0, least = NEVER, most = 0, size = 0, taken, tenth
        cdef Py_ssize_t i, low = TENTHS, high = -1
        cdef dict tenths = {}
        for i in range(self.count):
            taken = self.noted[i].done_ns - self.noted[i].intended_ns
            total += taken
            size += self.noted[i].response_bytes
            least, most = min(least, taken), max(most, taken)
            tenth = taken // 100000 if taken >= 0 else -1
            if 0 <= tenth < TENTHS:
                scratch_tenths[tenth] += 1
                low, high = min(low, tenth), max(high, tenth)
            else:
                tenths[tenth] = tenths.get(tenth, 0) + 1
        for i in range(low, high + 1):
            if scratch_tenths[i]:
                tenths[i] = scratch_tenths[i]
                scratch_tenths[i] = 0
        return self.count, total, least, most, size, tenths

    def seconds(self, int64_t zero_ns):
        """For each second since `zero_ns` with an intent in it: (index, counts, response, service, first byte).

        Counts are requests and bytes: of bodies received, sent, received. The others are histograms as
        `(counts, sum_us, min_us, max_us, below, above)` of `measure.histogram`; the last one is None where every
        response came whole, so that its first byte came with its last.
        """
        cdef int64_t index, following, one
        cdef Py_ssize_t i
        cdef int64_t count, size, sent, received
        cdef bint whole
        cdef list seconds = []
        index = self.next_second(zero_ns, -NEVER)
        while index != NEVER:
            count = size = sent = received = 0
            whole = True
            for i in range(self.count):
                if second_of(self.noted[i].intended_ns, zero_ns) == index:
                    count += 1
                    size += self.noted[i].response_bytes
                    sent += self.noted[i].sent_bytes
                    received += self.noted[i].received_bytes
                    whole = whole and self.noted[i].first_ns == self.noted[i].done_ns
            seconds.append((
                index,
                (count, size, sent, received),
                self.histogram(zero_ns, index, FROM_INTENT),
                self.histogram(zero_ns, index, FROM_SENT),
                None if whole else self.histogram(zero_ns, index, TO_FIRST),
            ))
            index = self.next_second(zero_ns, index)
        return seconds

    cdef int64_t next_second(self, int64_t zero_ns, int64_t after):
        """The first second after `after` that has an intent in it; NEVER if none has."""
        cdef Py_ssize_t i
        cdef int64_t second, first = NEVER
        for i in range(self.count):
            second = second_of(self.noted[i].intended_ns, zero_ns)
            if after < second < first:
                first = second
        return first

    cdef tuple histogram(self, int64_t zero_ns, int64_t index, Span span):
        """The times of one second's requests: from intent or from sending to the last byte, or to the first."""
        cdef Py_ssize_t i
        cdef Noted *one
        for i in range(self.count):
            one = &self.noted[i]
            if second_of(one.intended_ns, zero_ns) == index:
                scratch_times.add(
                    (one.first_ns if span == TO_FIRST else one.done_ns)
                    - (one.intended_ns if span == FROM_INTENT else one.sent_ns)
                )
        return scratch_times.take()


cdef inline int64_t second_of(int64_t instant_ns, int64_t zero_ns) noexcept nogil:
    """Whole seconds since `zero_ns`, rounded down also before it."""
    cdef int64_t since_ns = instant_ns - zero_ns
    return since_ns // 1000000000 if since_ns >= 0 else -((999999999 - since_ns) // 1000000000)
