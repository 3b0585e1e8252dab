# The heads of requests, composed in place: what is the same for every request of a kind is kept, and the rest copied
# between. The Python twin, whose bytes these are to the last, is `heads.Heads.compose`.

cdef enum:
    MOST_REQUEST_BYTES = 65536

cdef char[MOST_REQUEST_BYTES] request_buffer  # of no use across a switch: every session composes in it


@cython.final
cdef class Template:
    """The head of one kind of request: a method, a kind of body, and the names of the headers that a script adds."""

    cdef readonly str method
    cdef readonly object body_headers
    cdef readonly tuple names
    cdef readonly bint sized  # a Content-Length is sent
    cdef bytes start  # up to the target
    cdef bytes middle  # the lines after the request line

    def __init__(self, str method not None, object body_headers, tuple names not None, bytes start not None,
                 bytes middle not None, bint sized):
        self.method, self.body_headers, self.names, self.sized = method, body_headers, names, sized
        self.start, self.middle = start, b" HTTP/1.1\r\n" + middle

    cdef bint is_for(self, str method, object body_headers, dict added) except -1:
        """Whether it is the one for such a request."""
        cdef Py_ssize_t i = 0
        if self.body_headers is not body_headers or (self.method is not method and self.method != method):
            return False
        if added is None:
            return not self.names
        if len(added) != len(self.names):
            return False
        for name in added:
            if name is not self.names[i] and name != self.names[i]:
                return False
            i += 1
        return True

    cdef Py_ssize_t compose(self, str target, dict added, bytes body, char *out, Py_ssize_t room) except -2:
        """Write a request of `target`, which is ASCII. -1: there is no room, or Python has to look at a header."""
        cdef Py_ssize_t body_size = len(body)
        cdef Py_ssize_t target_size = PyUnicode_GET_LENGTH(target)
        cdef Py_ssize_t at = len(self.start)
        if at + target_size + len(self.middle) + body_size + 64 > room:
            return -1
        memcpy(out, PyBytes_AS_STRING(self.start), at)
        memcpy(out + at, PyUnicode_DATA(target), target_size)
        at += target_size
        memcpy(out + at, PyBytes_AS_STRING(self.middle), len(self.middle))
        at += len(self.middle)
        if added is not None:
            at = add_lines(added, out, at, room - body_size - 64)
            if at < 0:
                return -1
        if self.sized:
            memcpy(out + at, b"Content-Length: ", 16)
            at = add_number(body_size, out, at + 16)
            memcpy(out + at, b"\r\n", 2)
            at += 2
        memcpy(out + at, b"\r\n", 2)
        at += 2
        memcpy(out + at, PyBytes_AS_STRING(body), body_size)
        return at + body_size


def composed(Template template not None, str target not None, dict added, bytes body not None):
    """The bytes of a request; None: it is for Python to compose. For tests."""
    cdef Py_ssize_t size = template.compose(target, added, body, request_buffer, MOST_REQUEST_BYTES)
    return None if size < 0 else request_buffer[:size]


cdef Py_ssize_t add_lines(dict headers, char *out, Py_ssize_t at, Py_ssize_t room) except -2:
    """Write header lines. -1: there is no room, or a value is not plain text in one line."""
    cdef Py_ssize_t name_size, value_size
    cdef const char *value
    for name, text in headers.items():
        if type(text) is not str or not PyUnicode_IS_COMPACT_ASCII(text) or type(name) is not str:
            return -1
        name_size, value_size, value = PyUnicode_GET_LENGTH(name), PyUnicode_GET_LENGTH(text), PyUnicode_DATA(text)
        if at + name_size + value_size + 4 > room or not is_line(value, value_size):
            return -1
        memcpy(out + at, PyUnicode_DATA(name), name_size)
        at += name_size
        memcpy(out + at, b": ", 2)
        memcpy(out + at + 2, value, value_size)
        at += value_size + 2
        memcpy(out + at, b"\r\n", 2)
        at += 2
    return at


cdef inline bint is_line(const char *text, Py_ssize_t size) noexcept:
    """Whether a text has no control characters but the tab."""
    cdef unsigned char wrong = 0
    cdef Py_ssize_t i
    for i in range(size):
        wrong |= not_in_line[<unsigned char>text[i]]
    return wrong == 0


cdef Py_ssize_t add_number(Py_ssize_t number, char *out, Py_ssize_t at) noexcept:
    """Write a number in digits."""
    cdef char[24] digits
    cdef int count = 0
    while True:
        digits[count] = <char>(48 + number % 10)
        count += 1
        number //= 10
        if number == 0:
            break
    while count:
        count -= 1
        out[at] = digits[count]
        at += 1
    return at


cdef unsigned char[256] target_kind  # 1: allowed in a path, 2: only in a query


cdef void fill_target_table() noexcept:
    cdef unsigned char c
    for c in b"/ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,:=@":
        target_kind[c] = 1
    for c in b";?":
        target_kind[c] = 2


fill_target_table()


cpdef bint is_plain_path(str url) noexcept:
    """`urls._PLAIN_PATH`: whether a URL is a request target as it stands, on a base without a path of its own."""
    cdef const unsigned char *text
    cdef Py_ssize_t size, i
    cdef bint in_query = False
    if not PyUnicode_IS_COMPACT_ASCII(url):
        return False
    text, size = <const unsigned char *>PyUnicode_DATA(url), PyUnicode_GET_LENGTH(url)
    if size == 0 or text[0] != 47:
        return False
    for i in range(size):
        if target_kind[text[i]] == 1:
            continue
        if target_kind[text[i]] == 0:
            return False
        if not in_query:
            if text[i] != 63 or i + 1 == size:
                return False
            in_query = True
    return True
