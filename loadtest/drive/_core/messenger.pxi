# A session's straight line: from what a script asks for to its response, with nothing of Python between, as long as
# everything is plain. Where something is not, Python goes on from there, and decides what is to be done.


cdef class Counts:
    """What `Recorder` is derived from: where outcomes go. Its Python twin is `pure.Counts`."""

    cdef public list listeners
    cdef public object sink, open_seconds
    cdef public bint direct  # whether the sink only counts in the open seconds
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


cdef object make_call, make_sent, make_outcome, make_exchange, encode_body, encode_plain_json, json_bytes, json_headers, no_headers
cdef type response_class, caught_class


def equip(**tools):
    """Tell the core what of Python it calls, and makes."""
    global make_call, make_sent, make_outcome, make_exchange, encode_body, encode_plain_json, json_bytes, json_headers, no_headers
    global response_class, caught_class
    make_call, make_sent = tools["make_call"], tools["make_sent"]
    make_outcome, make_exchange = tools["make_outcome"], tools["make_exchange"]
    encode_body, encode_plain_json, json_bytes = tools["encode_body"], tools["encode_plain_json"], tools["json_bytes"]
    json_headers, no_headers = tools["json_headers"], tools["no_headers"]
    response_class, caught_class = tools["response_class"], tools["caught_class"]


@cython.final
cdef class Route:
    """Where a session may send on its own: the connections to one origin, and how requests to it look."""

    cdef object pool, heads, base, origin
    cdef list idle, waiting  # the pool's
    cdef list templates  # of the heads
    cdef bint bare_base  # a plain path is a request target as it stands
    cdef Counts recorder
    cdef dict known  # the session's; it empties it when this route no longer holds

    def __init__(self, pool, heads, base, Counts recorder not None, dict known not None):
        self.pool, self.heads, self.base, self.recorder, self.known = pool, heads, base, recorder, known
        self.idle, self.waiting, self.templates = pool.idle, pool.waiting, heads.templates
        self.bare_base, self.origin = base.is_bare, base.origin

    cdef Template template_for(self, str method, body_headers, dict added):
        """The template of such a request; None if there is none."""
        cdef Template template
        for template in self.templates:
            if template.is_for(method, body_headers, added):
                return template
        if len(self.templates) >= MOST_TEMPLATES:
            return None
        made = self.heads.template(method, body_headers, added)
        if made is not None:
            self.templates.append(made)
        return made


cdef class Messenger:
    """What `Session` is derived from. Its Python twin is `pure.Messenger`.

    `route` is None as long as nothing can be sent without Python.
    """

    cdef dict __dict__
    cdef public Route route
    cdef public UserState user_state  # which serves arrivals with it, once its requests need nothing of Python
    cdef public object request_name, auth_header, _cookies
    cdef public bint let_others_run, judges_all
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
        return self.without_body("GET", url, name, headers, catch_response, params, rarer)

    def delete(self, url, *, name=None, headers=None, catch_response=False, params=None, **rarer):
        """Send a DELETE; see `request`."""
        return self.without_body("DELETE", url, name, headers, catch_response, params, rarer)

    def post(self, url, data=None, json=None, *, name=None, headers=None, catch_response=False, params=None, **rarer):
        """Send a POST; see `request`."""
        return self.with_body("POST", url, data, json, name, headers, catch_response, params, rarer)

    def put(self, url, data=None, *, json=None, name=None, headers=None, catch_response=False, params=None, **rarer):
        """Send a PUT; see `request`."""
        return self.with_body("PUT", url, data, json, name, headers, catch_response, params, rarer)

    def patch(self, url, data=None, *, json=None, name=None, headers=None, catch_response=False, params=None, **rarer):
        """Send a PATCH; see `request`."""
        return self.with_body("PATCH", url, data, json, name, headers, catch_response, params, rarer)

    def note(self, *_what):
        """Never: what comes there, not plain or sent elsewhere, goes to `Recorder.record`. See `pure.Messenger`."""
        return False

    @cython.final
    cdef object without_body(self, str method, url, name, headers, catch_response, params, dict rarer):
        if not rarer:
            response = self.straight(method, url, None, None, name, headers, catch_response, params)
            if response is not None:
                return response
        return self.request(method, url, **given(rarer, name, headers, catch_response, params))

    @cython.final
    cdef object with_body(self, str method, url, data, json, name, headers, catch_response, params, dict rarer):
        if not rarer:
            response = self.straight(method, url, data, json, name, headers, catch_response, params)
            if response is not None:
                return response
        if json is not None:
            rarer["json"] = json
        return self.request(method, url, data=data, **given(rarer, name, headers, catch_response, params))

    @cython.final
    cdef object straight(self, str method, url, data, json, name, headers, catch_response, params):
        """The straight line. None: something about the request is not plain, and nothing has been done."""
        cdef int64_t intended_ns = self.next_intended_ns if self.has_intended else monotonic_ns()
        cdef Route route = self.route
        cdef Template template
        cdef Line line = None
        cdef Received response
        cdef Py_ssize_t size
        cdef bytes body
        cdef dict added = None
        cdef str target
        cdef object whole = url, raised = None
        cdef bint plain = False
        name = name or self.request_name or url
        if (route is None or not route.known or type(url) is not str or route.recorder.listeners
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
                body, body_headers = b"", no_headers
            elif data is None:
                body, body_headers = encode_plain_json(json) if is_plain_json(json) else json_bytes(json), json_headers
            elif type(data) is bytes or type(data) is str or type(data) is dict:  # which may be encoded twice
                body, body_headers = encode_body(data, json)
            else:
                return None
            if headers is not None and headers:
                added = (<dict>headers).copy()  # a script may change its own from the first switch on
            template = route.template_for(method, body_headers, added)
            if template is None:
                return None
            kind = caught_class if catch_response else response_class
            # Before the buffer is used: whatever an allocation has collected may send requests at its end.
            response = <Received>(<PyTypeObject *>kind).tp_new(<type>kind, <PyObject *>EMPTY, NULL)
            size = template.compose(target, added, body, request_buffer, MOST_REQUEST_BYTES)
        except Exception:  # Python meets it again, and knows what to do about it
            return None
        if size < 0:
            return None
        self.has_intended = False
        response.route, response.template, response.target, response.added, response.body = (
            route, template, whole, added, body
        )
        try:
            if route.idle:
                line = take_last(route.idle)
            else:
                line = <Line?>route.pool.acquire()  # meanwhile others may have composed
                if template.compose(target, added, body, request_buffer, MOST_REQUEST_BYTES) != size:
                    raise RuntimeError("the request is no longer what it was")  # never: nobody else has its parts
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
        response.first_ns, response.sent_bytes, response.received_bytes = line.first_ns, size, line.found.total_bytes
        if line.opening is not None:
            response.opening, line.opening = line.opening, None
        response.name = name
        put_last(route.idle, line)
        if route.waiting:
            route.pool.wake_one()
        if line.found.careful or self.judges_all or not is_success(response.status_code):
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
        cdef UserState state = self.user_state
        cdef Tally tally
        if recorder.sink is not None and (response.opening is not None or not recorder.direct):
            if (response.opening is not None or state is None or recorder.open_seconds is None or state.arrival is None
                    or state.greenlet is not PyGreenlet_GetCurrent()):
                recorder.record(make_outcome((  # of Recorder: whose arrival it was, Python finds out
                    method, response.name, response.intended_ns, response.sent_ns, response.done_ns, response.length, None,
                    response.exchange
                )), None, response)
                return 0
            state.requests += 1
            if state.outcome is empty_outcome:
                state.outcome = ok_outcome
        tally = recorder.tally_of(method, response.name)
        if tally.note(response.intended_ns, response.sent_ns, response.done_ns, response.length, response.first_ns,
                      response.sent_bytes, response.received_bytes):
            recorder.empty(tally)  # of Recorder
        return 0


cdef inline Line take_last(list lines):
    """`lines.pop()`, which would give back the memory of a list of one, for `put_last` to ask for it again."""
    cdef Py_ssize_t last = PyList_GET_SIZE(lines) - 1
    line = <Line>PyList_GET_ITEM(lines, last)
    Py_SET_SIZE(lines, last)
    Py_DECREF(line)  # the list's reference
    return line


cdef inline int put_last(list lines, Line line) except -1:
    """`lines.append(line)`, which would first shrink what `take_last` has left."""
    cdef Py_ssize_t size = PyList_GET_SIZE(lines)
    if size == (<PyListObject *>lines).allocated:
        lines.append(line)
    else:
        Py_INCREF(line)
        PyList_SET_ITEM(lines, size, line)
        Py_SET_SIZE(lines, size + 1)
    return 0


cdef inline bint has_of_its_own(Messenger session, str name) except -1:
    """Whether a script has put an attribute of this name on the session itself, over the class's."""
    return PyDict_Contains(<object>_PyObject_GetDictPtr(session)[0], name)


cdef dict given(dict arguments, name, headers, catch_response, params):
    """Keyword arguments with those that a script gave, and no others: a script may have put its own `request` there."""
    if name is not None:
        arguments["name"] = name
    if headers is not None:
        arguments["headers"] = headers
    if catch_response:
        arguments["catch_response"] = catch_response
    if params is not None:
        arguments["params"] = params
    return arguments


cdef inline bint is_success(int status) noexcept:
    """`agent._PLAIN_SUCCESSES`."""
    return 200 <= status <= 208 or status == 226


cpdef bint is_plain_json(value, int depth=0) except -1:
    """Whether msgspec and the standard library make the same of it: see `bodies.json_bytes`.

    False where Python has to look, also where it would find that they do.
    """
    cdef int overflow = 0
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        PyLong_AsLongLongAndOverflow(value, &overflow)
        return overflow == 0
    if kind is float:
        return isfinite(<double>value)
    if depth > MOST_JSON_DEPTH:
        return False
    if kind is dict:
        for key, part in (<dict>value).items():
            if type(key) is not str or not is_plain_json(part, depth + 1):
                return False
        return True
    if kind is list or kind is tuple:
        for part in value:
            if not is_plain_json(part, depth + 1):
                return False
        return True
    return False
