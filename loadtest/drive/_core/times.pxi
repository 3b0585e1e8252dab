# A histogram that is filled here, and handed to `measure.histogram` in parts.

cdef enum:
    BUCKETS = 3288  # of `measure.histogram`, and one to spare

cdef int64_t LONGEST_US = 3600000000


@cython.final
cdef class Times:
    """How often each time occurred since it was last taken."""

    cdef uint32_t[BUCKETS] buckets
    cdef int low, high  # the buckets that were hit lie between
    cdef int64_t sum_us, min_us, max_us, below, above

    def __cinit__(self):
        self.clear()

    cdef void clear(self) noexcept:
        self.low, self.high = BUCKETS, -1
        self.sum_us = self.max_us = self.below = self.above = 0
        self.min_us = LONGEST_US

    cdef void add(self, int64_t ns) noexcept:
        """`Histogram.record_ns`."""
        cdef int64_t us = (ns + 500) // 1000
        cdef int bucket
        if us < 1:
            us = 1
            self.below += 1
        if us > LONGEST_US:
            us = LONGEST_US
            self.above += 1
        self.sum_us += us
        self.min_us, self.max_us = min(self.min_us, us), max(self.max_us, us)
        bucket = bucket_of(us)
        self.buckets[bucket] += 1
        self.low, self.high = min(self.low, bucket), max(self.high, bucket)

    cdef tuple take(self):
        """`(counts, sum_us, min_us, max_us, below, above)`, and start anew."""
        cdef int bucket
        cdef dict counts = {}
        for bucket in range(self.low, self.high + 1):
            if self.buckets[bucket]:
                counts[bucket] = self.buckets[bucket]
                self.buckets[bucket] = 0
        taken = counts, self.sum_us, self.min_us, self.max_us, self.below, self.above
        self.clear()
        return taken


cdef inline int bucket_of(int64_t us) noexcept nogil:
    """`measure.histogram.bucket_of`."""
    cdef int shift
    if us < 256:
        return <int>us
    shift = 64 - __builtin_clzll(us) - 8
    return <int>((shift << 7) + (us >> shift))
