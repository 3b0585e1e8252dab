# A wake-up at an absolute instant: a timerfd that libev watches.

cdef extern from "<sys/timerfd.h>" nogil:
    int TFD_TIMER_ABSTIME, TFD_NONBLOCK, TFD_CLOEXEC
    struct itimerspec:
        timespec it_interval
        timespec it_value
    int timerfd_create(int, int)
    int timerfd_settime(int, int, itimerspec *, itimerspec *)


@cython.final
cdef class TimerFd:
    """A timerfd on the current hub's loop. Its Python twin is `pure.TimerFd`."""

    cdef int fd
    cdef object callback, watcher

    def __cinit__(self):
        self.fd = -1

    def __init__(self, callback):
        self.callback = callback
        self.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)
        if self.fd < 0:
            PyErr_SetFromErrno(OSError)
        self.watcher = get_hub().loop.io(self.fd, 1)  # libev's EV_READ
        self.watcher.start(self.fired)

    def arm(self, int64_t at_ns):
        """Call back at monotonic instant `at_ns`, at once if it has passed; replaces what was armed before."""
        cdef itimerspec when
        at_ns = max(at_ns, 1)  # zero would disarm
        memset(&when, 0, sizeof(when))
        when.it_value.tv_sec, when.it_value.tv_nsec = at_ns // 1000000000, at_ns % 1000000000
        if timerfd_settime(self.fd, TFD_TIMER_ABSTIME, &when, NULL):
            PyErr_SetFromErrno(OSError)

    def close(self):
        """Never call back again and free what the timer holds."""
        if self.fd >= 0:
            self.watcher.stop()
            self.watcher.close()
            close(self.fd)
            self.fd = -1

    def fired(self):
        """libev found the timer readable. Runs in the hub."""
        cdef uint64_t times
        if read(self.fd, &times, sizeof(times)) == sizeof(times):  # else it was armed again meanwhile
            self.callback()
