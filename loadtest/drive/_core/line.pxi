# One connection's socket: who waits for it, and the exchange of a plain request on it.


@cython.no_gc_clear  # it needs its poller until it is freed
cdef class Line:
    """A connected socket. `Connection`, derived from it, opens and closes it and does what is not plain.

    Its Python twin is `pure.Line`.
    """

    cdef readonly int fd
    cdef Poller poller
    cdef greenlet waiting  # who is resumed when something can be read
    cdef bint polled
    cdef bint expects  # `receive` takes in what arrives; else who waits reads it himself
    cdef public bint closed, paused, reused, found_dead
    cdef public long long deadline_ns, sent_ns, first_ns
    cdef public object opening  # (connect, TLS) in nanoseconds, until a request takes it
    cdef readonly object recv, send  # of Python; the core uses them where there is TLS
    cdef Secured tls  # None without
    cdef readonly long long first_timeout_ns, read_timeout_ns, total_timeout_ns
    # The answer to the latest exchange:
    cdef Scan found
    cdef bytes received  # None: nothing has been
    cdef Py_ssize_t received_bytes  # of an unfinished answer
    cdef Py_ssize_t sent_bytes
    cdef int error  # errno of what recv met; 0
    cdef bint ended
    cdef int64_t done_ns
    cdef object raised  # what a secured `recv` raised

    def __cinit__(self, *_arguments, **_keywords):
        self.fd = -1
        self.deadline_ns = NEVER

    def time_out_after(self, read_timeout_ns, total_timeout_ns):
        """How long an exchange may take."""
        self.read_timeout_ns = min(read_timeout_ns, NEVER)
        self.total_timeout_ns = min(total_timeout_ns, NEVER)
        self.first_timeout_ns = min(self.read_timeout_ns, self.total_timeout_ns)

    def listen(self, int fd):
        """Hear what arrives on a socket from now on, until `fall_silent`."""
        self.fd = fd
        self.poller = poller_of(get_hub())
        self.poller.add(self)
        self.polled = True

    def speak_with(self, send, recv, stream):
        """What sends and receives from now on: `send(bytes)` and `recv(most)`, both of `stream` if it is TLS."""
        self.send, self.recv, self.tls = send, recv, stream

    def wait(self):
        """Wait until something can be read. Raises what is thrown into the greenlet: a kill or a timeout."""
        if self.poller is not None and self.poller.fd < 0:
            raise OSError(EBADF, "this connection is the parent process's")
        PyGreenlet_Switch(self.hub(), NULL, NULL)

    def mute(self):
        """Leave what arrives in the socket until `unmute`."""
        self.waiting = None
        self.leave_poller()

    def unmute(self):
        """Hear again, also what has arrived meanwhile."""
        if not self.polled:
            self.poller.add(self)
            self.polled = True

    def fall_silent(self):
        """Hear nothing any more: the socket is about to be closed."""
        self.waiting = None
        self.expects = False
        self.leave_poller()

    @property
    def waiter(self):
        """The greenlet that waits for what arrives next; None: nobody does, and it is for `heard`."""
        return self.waiting

    @waiter.setter
    def waiter(self, greenlet waiter):
        self.waiting = waiter
        self.expects = False

    def __dealloc__(self):
        self.leave_poller()

    @cython.final
    cdef greenlet hub(self):
        return get_hub() if self.poller is None else self.poller.hub

    @cython.final
    cdef void leave_poller(self) noexcept:
        if self.polled:
            self.polled = False
            self.poller.discard(self)

    @cython.final
    cdef int wake(self) except -1:
        """Resume who waits; if nobody does, `heard` sees to what arrived unasked."""
        cdef greenlet waiting = self.waiting
        if waiting is not None:
            PyGreenlet_Switch(waiting, NULL, NULL)
        elif not self.closed:
            self.heard()
        return 0

    @cython.final
    cdef bint exchange(self, const char *request, Py_ssize_t size) except -1:
        """Send a request and wait. True: its answer is plain and all there. False: Python goes on, see `begun`.

        Raises what is thrown into the greenlet meanwhile. `request` is read before anything else can run.
        """
        self.begin_exchange()
        if self.poller.fd < 0:
            return False
        if self.tls is not None:
            self.sent_bytes = self.send_secured(request, size)
        else:
            self.sent_bytes = core_send(self.fd, request, size)
        if self.sent_bytes != size:
            self.sent_bytes = max(self.sent_bytes, 0)  # sending the rest reports what is wrong
            return False
        self.expects = True
        PyGreenlet_Switch(self.poller.hub, NULL, NULL)
        if self.expects or self.found.body_at == 0:
            self.expects = False
            return False
        self.deadline_ns = NEVER
        self.waiting = None
        self.reused = True
        return True

    @cython.final
    cdef int begin_exchange(self) except -1:
        self.waiting = PyGreenlet_GetCurrent()
        self.received = None
        self.found.body_at = self.error = self.ended = 0
        self.first_ns = 0
        self.sent_ns = monotonic_ns()
        self.deadline_ns = later_ns(self.sent_ns, self.first_timeout_ns)
        return 0

    @cython.final
    cdef bint receive(self) noexcept:
        """Take in what has arrived of an answer that is expected. True: whoever waits is to be woken.

        On a plain socket no Python code runs here.
        """
        cdef Answer answer
        cdef ssize_t size
        cdef char *buffer = self.poller.buffer
        if self.tls is not None:
            return self.receive_secured()
        if self.received is None:
            size = core_recv(self.fd, buffer, RECV_BYTES)
            if size <= 0:
                return self.cannot(size)
            return self.take_in(buffer, size)
        return self.receive_rest()

    @cython.final
    cdef bint take_in(self, const char *data, Py_ssize_t size) noexcept:
        """Scan what came first. True: whoever waits is to be woken."""
        cdef Answer answer = scan_response(data, size, &self.found)
        self.done_ns = self.first_ns = monotonic_ns()
        if answer == UNFINISHED and self.found.total_bytes <= MOST_NATIVE_BYTES and self.tls is None:
            self.received = PyBytes_FromStringAndSize(NULL, self.found.total_bytes)
            memcpy(PyBytes_AS_STRING(self.received), data, size)
            self.received_bytes = size
            return self.receive_rest()
        self.received = PyBytes_FromStringAndSize(data, size)
        if answer != PLAIN:
            self.found.body_at = 0
        self.expects = False
        return True

    @cython.final
    cdef bint receive_rest(self) noexcept:
        """Receive the missing part of a body where it belongs. True: whoever waits is to be woken."""
        cdef ssize_t size
        cdef char *data = PyBytes_AS_STRING(self.received)
        while self.received_bytes < self.found.total_bytes:
            size = core_recv(self.fd, data + self.received_bytes, self.found.total_bytes - self.received_bytes)
            if size <= 0:
                if not self.cannot(size):
                    self.extend_deadline()
                    return False
                self.received = PyBytes_FromStringAndSize(data, self.received_bytes)
                self.found.body_at = 0
                return True
            self.received_bytes += size
        self.done_ns = monotonic_ns()
        self.expects = False
        return True

    @cython.final
    cdef bint cannot(self, ssize_t size) noexcept:
        """Nothing was received: False if that may change, else what the reason is has been noted."""
        if size < 0 and (errno == EAGAIN or errno == EINTR):
            return False
        self.error = errno if size < 0 else 0
        self.ended = size == 0
        self.expects = False
        return True

    @cython.final
    cdef void extend_deadline(self) noexcept:
        """Something moved: wait again for as long as the read timeout says, within the total timeout."""
        self.deadline_ns = min(
            later_ns(monotonic_ns(), self.read_timeout_ns), later_ns(self.sent_ns, self.total_timeout_ns)
        )

    @cython.final
    cdef Py_ssize_t send_secured(self, const char *request, Py_ssize_t size) except -2:
        """As `send`. What is encrypted and not sent is kept by the stream, which sends it first."""
        cdef Secured stream = self.tls
        cdef bytes encrypted
        cdef ssize_t sent
        if size > MOST_RECORD_BYTES or stream.accepted_bytes or stream.unsent:
            return -1  # for Python
        try:
            stream.tls_write(PyBytes_FromStringAndSize(request, size))
            encrypted = stream.outgoing_read()
        except OSError:
            return -1
        sent = max(core_send(self.fd, PyBytes_AS_STRING(encrypted), len(encrypted)), 0)
        if sent == len(encrypted):
            return size
        stream.unsent, stream.accepted_bytes = encrypted[sent:], size
        return 0

    @cython.final
    cdef bint receive_secured(self) noexcept:
        """As `receive`, through TLS: Python's `ssl` decrypts, in the hub, and never waits."""
        cdef Secured stream = self.tls
        cdef ssize_t size = core_recv(self.fd, self.poller.buffer, RECV_BYTES)
        cdef bytes data
        if size < 0:
            return self.cannot(size)
        try:
            if size == 0:
                data = self.recv(RECV_BYTES)  # whether TLS announced the end is not for here
            else:
                stream.incoming_write(PyBytes_FromStringAndSize(self.poller.buffer, size))
                size = stream.decrypt()
                if size and stream.session_kept and not stream.incoming.pending:
                    return self.take_in(PyByteArray_AS_STRING(plain_bytes), size)
                data = stream.go_on(PyBytes_FromStringAndSize(PyByteArray_AS_STRING(plain_bytes), size))
        except BlockingIOError:
            return False
        except Exception as error:
            self.raised = error
            self.expects = False
            return True
        if not data:
            return self.cannot(0)
        self.take_in(PyBytes_AS_STRING(data), len(data))
        if stream.ended:
            self.found.body_at = 0  # the reader sees to it that nothing else is sent on it
        return True

    def begun(self):
        """(bytes sent, what was received or b"", what ended it) of the exchange that the core began.

        What ended it is None, an error, or the `EOFError` of a server that will send no more.
        """
        cdef bytes received = b"" if self.received is None else self.received
        end, self.raised, self.received = self.raised, None, None
        if self.error:
            end = OSError(self.error, os.strerror(self.error))
        elif self.ended:
            end = EOFError()
        return self.sent_bytes, received, end
