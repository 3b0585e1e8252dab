# A session's straight line: from what a script asks for to its response, with nothing of Python between, as long as
# everything is plain. Where something is not, Python goes on from there, and decides what is to be done.


cdef class Counts:
    """What `Recorder` is derived from: where outcomes go. Its Python twin is `pure.Counts`."""

    cdef public list listeners
    cdef public object sink
    cdef readonly dict tallies  # {method: {name: Tally}}
    cdef Py_ssize_t tally_count

    def __init__(self):
        self.listeners, self.tallies = [], {}

    cdef Tally tally_of(self, str method, str name):
        cdef dict of_method = <dict>self.tallies.get(method)
        cdef Tally tally = None if of_method is None else <Tally>of_method.get(name)
        return self.new_tally(method, name) if tally is None else tally

    cdef Tally new_tally(self, str method, str name):
        if self.tally_count >= MOST_TALLIES:
            self.empty_tallies()  # of Recorder
            self.forget_tallies()
        tally = self.tallies.setdefault(method, {})[name] = Tally(method, name)
        self.tally_count += 1
        return tally

    def forget_tallies(self):
        """Forget every tally, so that names which are used no more take no room."""
        self.tallies.clear()
        self.tally_count = 0


@cython.final
cdef class Route:
    """Where a session may send on its own: the connections to one origin, and how requests to it look."""

    cdef list idle, waiting  # the pool's
    cdef readonly list templates
    cdef bint bare_base  # a plain path is a request target as it stands
    cdef dict remembered  # {url: Target}
    cdef object origin
    cdef Counts recorder
    cdef object make_call, make_sent, make_template, encode_body, json_bytes, json_headers, no_headers, make_outcome
    cdef type response_class, caught_class
    cdef object acquire, wake_one

    def __init__(self, *, list idle not None, list waiting not None, list templates not None, bint bare_base,
                 dict remembered not None, origin, Counts recorder not None, make_call, make_sent, make_template,
                 encode_body, json_bytes, json_headers, no_headers, make_outcome, type response_class, type caught_class,
                 acquire, wake_one):
        self.idle, self.waiting, self.templates = idle, waiting, templates
        self.bare_base, self.remembered, self.origin, self.recorder = bare_base, remembered, origin, recorder
        self.make_call, self.make_sent, self.make_template = make_call, make_sent, make_template
        self.encode_body, self.json_bytes, self.json_headers, self.no_headers = (
            encode_body, json_bytes, json_headers, no_headers
        )
        self.make_outcome, self.response_class, self.caught_class = make_outcome, response_class, caught_class
        self.acquire, self.wake_one = acquire, wake_one

    cdef Template template_for(self, str method, body_headers, dict added):
        """The template of such a request; None if there is none."""
        cdef Template template
        for template in self.templates:
            if template.is_for(method, body_headers, added):
                return template
        if len(self.templates) >= MOST_TEMPLATES:
            return None
        made = self.make_template(method, body_headers, added)
        if made is not None:
            self.templates.append(made)
        return made


cdef class Messenger:
    """What `Session` is derived from. Its Python twin is `pure.Messenger`.

    `route` is None as long as nothing can be sent without Python.
    """

    cdef dict __dict__
    cdef public Route route
    cdef public object request_name, auth_header, _cookies
    cdef public bint let_others_run
    cdef int64_t next_intended_ns
    cdef bint has_intended

    @property
    def intended_ns(self):
        """When the next request was meant to start, if an arrival is being served; that request takes it."""
        return self.next_intended_ns if self.has_intended else None

    @intended_ns.setter
    def intended_ns(self, value):
        self.has_intended = value is not None
        if self.has_intended:
            self.next_intended_ns = value

    def get(self, url, *, name=None, headers=None, catch_response=False, params=None, **rarer):
        """Send a GET; see `request`."""
        if not rarer:
            response = self.straight("GET", url, None, None, name, headers, catch_response, params)
            if response is not None:
                return response
        return self.request("GET", url, name=name, headers=headers, catch_response=catch_response, params=params, **rarer)

    def delete(self, url, *, name=None, headers=None, catch_response=False, params=None, **rarer):
        """Send a DELETE; see `request`."""
        if not rarer:
            response = self.straight("DELETE", url, None, None, name, headers, catch_response, params)
            if response is not None:
                return response
        return self.request("DELETE", url, name=name, headers=headers, catch_response=catch_response, params=params, **rarer)

    def post(self, url, data=None, json=None, *, name=None, headers=None, catch_response=False, params=None, **rarer):
        """Send a POST; see `request`."""
        return self.with_body("POST", url, data, json, name, headers, catch_response, params, rarer)

    def put(self, url, data=None, *, json=None, name=None, headers=None, catch_response=False, params=None, **rarer):
        """Send a PUT; see `request`."""
        return self.with_body("PUT", url, data, json, name, headers, catch_response, params, rarer)

    def patch(self, url, data=None, *, json=None, name=None, headers=None, catch_response=False, params=None, **rarer):
        """Send a PATCH; see `request`."""
        return self.with_body("PATCH", url, data, json, name, headers, catch_response, params, rarer)

    @cython.final
    cdef object with_body(self, str method, url, data, json, name, headers, catch_response, params, dict rarer):
        if not rarer:
            response = self.straight(method, url, data, json, name, headers, catch_response, params)
            if response is not None:
                return response
        return self.request(method, url, data=data, json=json, name=name, headers=headers, catch_response=catch_response,
                            params=params, **rarer)

    @cython.final
    cdef object straight(self, str method, url, data, json, name, headers, catch_response, params):
        """The straight line. None: something about the request is not plain, and nothing has been done."""
        cdef int64_t intended_ns = monotonic_ns()
        cdef Route route = self.route
        cdef Template template
        cdef Line line = None
        cdef Received response
        cdef Py_ssize_t size
        cdef bytes body, sent = None
        cdef str target
        cdef object whole = url, raised = None
        cdef bint plain = False
        name = name or self.request_name or url
        if (route is None or type(url) is not str or route.recorder.listeners
                or self.auth_header is not None or self._cookies is not None
                or (headers is not None and type(headers) is not dict)
                or type(name) is not str or has_of_its_own(self, "request")):
            return None
        try:
            if params is not None or not route.bare_base or not is_plain_path(url):
                whole = self._located(url, params)
                if whole.origin != route.origin:
                    return None
                target = whole.path
                if not PyUnicode_IS_COMPACT_ASCII(target):
                    return None
            else:
                target = url
            if data is None and json is None:
                body, body_headers = b"", route.no_headers
            elif data is None:
                body, body_headers = route.json_bytes(json), route.json_headers
            elif type(data) is bytes or type(data) is str or type(data) is dict:  # which may be encoded twice
                body, body_headers = route.encode_body(data, json)
            else:
                return None
            if headers is not None and not headers:
                headers = None
            template = route.template_for(method, body_headers, <dict>headers)
            if template is None:
                return None
            size = template.compose(target, <dict>headers, body, request_buffer, MOST_REQUEST_BYTES)
        except Exception:  # Python meets it again, and knows what to do about it
            return None
        if size < 0:
            return None
        if headers is not None:
            sent = request_buffer[:size]  # a script may change its headers afterwards
        if self.has_intended:
            intended_ns, self.has_intended = self.next_intended_ns, False
        kind = route.caught_class if catch_response else route.response_class
        response = <Received>(<PyTypeObject *>kind).tp_new(<type>kind, <PyObject *>EMPTY, NULL)
        response.route, response.template, response.target, response.added, response.body = (
            route, template, whole, <dict>headers, body
        )
        response.made_sent = sent
        try:
            if route.idle:
                line = <Line>route.idle.pop()
            else:
                line = <Line?>route.acquire()  # meanwhile others may have composed
                size = template.compose(target, <dict>headers, body, request_buffer, MOST_REQUEST_BYTES)
            plain = line.exchange(request_buffer, size)
        except BaseException as error:  # a kill or a timeout; who meets it is Python's to say
            raised = error
        if not plain:
            return self._go_on(response, line, raised, intended_ns, name)
        self.let_others_run = True
        response.raw, line.received = line.received, None
        response.status_code, response.body_at = line.found.status, line.found.body_at
        response.length = line.found.total_bytes - line.found.body_at
        response.sent_ns, response.done_ns, response.intended_ns = line.sent_ns, line.done_ns, intended_ns
        response.name = name
        route.idle.append(line)
        if route.waiting:
            route.wake_one()
        if line.found.careful or response.status_code >= 300:
            return self._take_care(response, intended_ns, name)
        if catch_response:
            response.session = self
        else:
            self.record(response)
        return response

    @cython.final
    cdef int record(self, Received response) except -1:
        """Record a plain success."""
        cdef Counts recorder = self.route.recorder
        cdef str method = response.template.method
        cdef Tally tally
        if recorder.sink is not None:
            recorder.sink(self.route.make_outcome((
                method, response.name, response.intended_ns, response.sent_ns, response.done_ns, response.length, None
            )))
        tally = recorder.tally_of(method, response.name)
        if tally.note(response.intended_ns, response.sent_ns, response.done_ns, response.length):
            recorder.empty(tally)  # of Recorder
        return 0


cdef inline bint has_of_its_own(Messenger session, str name) except -1:
    """Whether a script has put an attribute of this name on the session itself, over the class's."""
    return PyDict_Contains(<object>_PyObject_GetDictPtr(session)[0], name)
