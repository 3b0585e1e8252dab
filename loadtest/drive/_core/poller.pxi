# Which lines have something to read: one epoll set for each event loop, which libev watches as a single file.
#
# libev hears of one file instead of ten thousand, and calls `serve` once for all that has arrived. What has arrived
# is received and stamped first, for every line, and only then do scripts run: a response does not wait for the
# script before it to be timed.
#
# The set is level-triggered. Edge-triggered it was no faster (0.81 us an event in batches of four both ways, 1.7 alone),
# and every reader, TLS and Python's among them, would have to read until nothing is left.

cdef enum:
    RECV_BYTES = 65536
    MOST_EVENTS = 256

_pollers = {}  # by event loop's hub


@cython.final
cdef class Poller:
    """The lines of one event loop."""

    cdef int fd
    cdef Py_ssize_t lines
    cdef readonly greenlet hub
    cdef object watcher
    cdef list heard  # what `serve` is busy with: it holds references while scripts run, since epoll holds none
    cdef epoll_event[MOST_EVENTS] events
    cdef char[RECV_BYTES] buffer  # of no use across a switch: every line receives into it

    def __cinit__(self):
        self.fd = -1

    def __init__(self, greenlet hub not None):
        self.hub = hub
        self.heard = [None] * MOST_EVENTS
        self.fd = epoll_create1(EPOLL_CLOEXEC)
        if self.fd < 0:
            PyErr_SetFromErrno(OSError)
        self.watcher = hub.loop.io(self.fd, 1)  # libev's EV_READ

    def __dealloc__(self):
        if self.fd >= 0:
            close(self.fd)

    cdef int add(self, Line line) except -1:
        """Hear of a line. The set keeps no reference: a line leaves it before it is freed."""
        cdef epoll_event event
        memset(&event, 0, sizeof(event))
        event.events = EPOLLIN | EPOLLRDHUP
        event.data.ptr = <void *>line
        if epoll_ctl(self.fd, EPOLL_CTL_ADD, line.fd, &event):
            PyErr_SetFromErrno(OSError)
        self.lines += 1
        if self.lines == 1:  # only then: a loop without connections may end
            self.watcher.start(self.serve)
        return 0

    cdef void discard(self, Line line) noexcept:
        """Hear of a line no longer."""
        epoll_ctl(self.fd, EPOLL_CTL_DEL, line.fd, NULL)
        self.lines -= 1
        if self.lines == 0 and self.watcher is not None:
            self.watcher.stop()

    def serve(self):
        """Receive what has arrived, then wake whoever waits for it. Runs in the hub."""
        cdef Line line
        cdef int i, woken = 0
        cdef int ready = epoll_wait(self.fd, self.events, MOST_EVENTS, 0)
        for i in range(ready):
            self.heard[i] = <Line>self.events[i].data.ptr
        for i in range(ready):
            line = <Line>self.heard[i]
            if not line.expects or line.receive():  # over TLS it runs Python, which may collect others
                self.heard[woken] = line
                woken += 1
        for i in range(woken, ready):
            self.heard[i] = None
        for i in range(woken):
            line = <Line>self.heard[i]
            self.heard[i] = None
            if not line.expects or line.receive():  # it expects something if it was asked since
                try:
                    line.wake()
                except BaseException:  # nobody above can take it, and others wait to be woken
                    self.hub.handle_error(line, *sys.exc_info())

    def forget(self):
        """In a child process: leave the set to the parent, whose lines a change would take out of it."""
        self.watcher.stop()
        self.watcher.close()
        self.watcher = None
        close(self.fd)
        self.fd = -1


cdef Poller poller_of(greenlet hub):
    """The poller of a hub's event loop."""
    found = _pollers.get(hub)
    if found is None:
        for other in [other for other in _pollers if other.dead]:
            del _pollers[other]  # of threads that have ended
        found = _pollers[hub] = Poller(hub)
    return <Poller>found


def _forget_pollers():
    for poller in _pollers.values():
        poller.forget()
    _pollers.clear()


os.register_at_fork(after_in_child=_forget_pollers)
