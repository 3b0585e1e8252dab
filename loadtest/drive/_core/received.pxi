# A response, as far as every request needs one: the rest is made when a script asks for it.


cdef class Received:
    """What `Response` is derived from. Its Python twin is `pure.Received`."""

    cdef object made_call, made_sent, made_content
    cdef public int status_code
    cdef public bytes raw
    cdef public Py_ssize_t length
    cdef public long long sent_ns, done_ns
    cdef object made_exchange
    # Of one that the core made:
    cdef Route route
    cdef Template template
    cdef object target  # a URL or a `Target`
    cdef dict added  # its own: a script may change what it gave
    cdef bytes body
    cdef Py_ssize_t body_at, sent_bytes, received_bytes
    cdef int64_t first_ns
    cdef object opening  # (connect, TLS) in nanoseconds of the connection that it opened; None: it opened none
    # Of one whose with-block is to decide:
    cdef Messenger session
    cdef str name
    cdef int64_t intended_ns

    def __init__(self, call, bytes sent, int status, bytes raw, content, long long sent_ns, long long done_ns, exchange):
        self.made_call, self.made_sent, self.status_code, self.raw = call, sent, status, raw
        self.sent_ns, self.done_ns, self.made_exchange = sent_ns, done_ns, exchange
        self.length = 0 if content is None else len(content)
        setattr(self, "content", content)  # streams have their own

    @property
    def call(self):
        """The request as it was asked for."""
        if self.made_call is None:
            self.made_call = make_call(self.route.base, self.template, self.target, self.added, self.body, type(self))
        return self.made_call

    @call.setter
    def call(self, call):
        self.made_call = call

    @property
    def sent(self):
        """The request as sent, head and body."""
        if self.made_sent is None:
            self.made_sent = make_sent(self.route.heads, self.call)
        return self.made_sent

    @sent.setter
    def sent(self, bytes sent):
        self.made_sent = sent

    @property
    def content(self):
        """The body; None without a response."""
        if self.made_content is None and self.body_at:
            self.made_content = self.raw[self.body_at:]
        return self.made_content

    @content.setter
    def content(self, content):
        self.made_content = content
        self.body_at = 0

    @property
    def exchange(self):
        """What crossed the network, a `records.Exchange`."""
        if self.made_exchange is None:
            self.made_exchange = make_exchange(
                (self.first_ns, self.sent_bytes, self.received_bytes, *(self.opening or (0, 0)))
            )
        return self.made_exchange

    @exchange.setter
    def exchange(self, exchange):
        self.made_exchange = exchange

    def settle(self):
        """Record a success that its with-block left as it was. False: Python has to."""
        cdef Messenger session = self.session
        if session is None or session.route is None or session.route.recorder.listeners:
            return False
        self.session = None
        session.record(self)
        return True

    def take_back(self):
        """(session, name, intended instant) of what `settle` is not to record; None if there is nothing."""
        if self.session is None:
            return None
        session, self.session = self.session, None
        return session, self.name, self.intended_ns
