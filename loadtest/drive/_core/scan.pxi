# The scan of a response: whether it is one of the plain kind, and where its body begins and ends.
#
# It accepts a part of what `http1.ResponseReader` accepts, and says the same of that part; whatever it is not sure of
# it leaves to the reader, from the first byte. tests/drive/test_scan.py holds the two against each other.

cdef enum Answer:
    NOT_PLAIN  # for the reader
    PLAIN      # one whole response
    UNFINISHED  # a whole head, after which a part of the body is missing

cdef struct Scan:
    int status
    bint careful  # cookies or a content coding, which `Session` sees to
    Py_ssize_t body_at
    Py_ssize_t total_bytes  # of head and body

cdef unsigned char[256] in_token  # RFC 9110, section 5.6.2
cdef unsigned char[256] not_in_line  # control characters but the tab


cdef void fill_scan_tables() noexcept:
    cdef unsigned char c
    for c in b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ":
        in_token[c] = 1
    for c in range(32):
        not_in_line[c] = c != 9
    not_in_line[127] = 1


fill_scan_tables()


cdef inline bint same_name(const char *name, const char *lower, Py_ssize_t length) noexcept nogil:
    """Whether a name is `lower` in any case. Both are of this length."""
    cdef Py_ssize_t i
    for i in range(length):
        if (name[i] | 0x20) != lower[i]:
            return False
    return True


cdef inline const char *end_of_line(const char *line, const char *end) noexcept nogil:
    """The CR of the CR LF that ends a line; NULL if there is none, or a control character is before it."""
    cdef const char *cr = <const char *>memchr(line, 13, end - line)
    cdef unsigned char wrong = 0
    if cr == NULL or cr + 1 >= end or cr[1] != 10:
        return NULL
    while line < cr:
        wrong |= not_in_line[<unsigned char>line[0]]
        line += 1
    return NULL if wrong else cr


cdef inline int64_t length_of(const char *digits, const char *end) noexcept nogil:
    """The number that up to nine digits stand for; -1 if it is not that."""
    cdef int64_t length = 0
    cdef unsigned int digit
    if digits == end or end - digits > 9:
        return -1
    while digits < end:
        digit = <unsigned int>(digits[0] - 48)
        if digit > 9:
            return -1
        length = length * 10 + digit
        digits += 1
    return length


cdef Answer scan_response(const char *data, Py_ssize_t size, Scan *found) noexcept nogil:
    """Look at what has been received first of a response to anything but a HEAD."""
    cdef const char *end = data + size
    cdef const char *line
    cdef const char *name
    cdef const char *value
    cdef const char *value_end
    cdef const char *cr
    cdef unsigned int hundreds, tens, ones
    cdef Py_ssize_t name_size
    cdef int64_t length = -1
    found.careful = False
    if size < 17 or memcmp(data, b"HTTP/1.1 ", 9):
        return NOT_PLAIN
    hundreds, tens, ones = <unsigned int>(data[9] - 48), <unsigned int>(data[10] - 48), <unsigned int>(data[11] - 48)
    if hundreds < 2 or hundreds > 5 or tens > 9 or ones > 9 or (data[12] != 32 and data[12] != 13):
        return NOT_PLAIN
    found.status = hundreds * 100 + tens * 10 + ones
    cr = end_of_line(data + 12, end)
    if cr == NULL:
        return NOT_PLAIN
    line = cr + 2
    while True:
        if line + 2 > end:
            return NOT_PLAIN
        if line[0] == 13:
            if line[1] != 10:
                return NOT_PLAIN
            break
        name = line
        while line < end and in_token[<unsigned char>line[0]]:
            line += 1
        if line >= end or line[0] != 58 or line == name:
            return NOT_PLAIN
        name_size = line - name
        value = line + 1
        cr = end_of_line(value, end)
        if cr == NULL:
            return NOT_PLAIN
        if name_size == 14:
            if same_name(name, b"content-length", 14):
                value_end = cr
                while value < value_end and (value[0] == 32 or value[0] == 9):
                    value += 1
                while value_end > value and ((value_end - 1)[0] == 32 or (value_end - 1)[0] == 9):
                    value_end -= 1
                if length >= 0:
                    return NOT_PLAIN
                length = length_of(value, value_end)
                if length < 0:
                    return NOT_PLAIN
        elif name_size == 10:
            if same_name(name, b"set-cookie", 10):
                found.careful = True
            elif same_name(name, b"connection", 10):
                while value < cr and value[0] == 32:
                    value += 1
                if cr - value != 10 or not same_name(value, b"keep-alive", 10):
                    return NOT_PLAIN
        elif name_size == 16:
            if same_name(name, b"content-encoding", 16):
                found.careful = True
            elif same_name(name, b"proxy-connection", 16):
                return NOT_PLAIN
        elif name_size == 17:
            if same_name(name, b"transfer-encoding", 17):
                return NOT_PLAIN
        elif name_size == 7:
            if same_name(name, b"upgrade", 7):
                return NOT_PLAIN
        line = cr + 2
    if found.status == 204 and length <= 0:
        length = 0
    elif length < 0 or found.status == 204 or found.status == 304:
        return NOT_PLAIN
    found.body_at = line + 2 - data
    found.total_bytes = found.body_at + length
    if size > found.total_bytes:
        return NOT_PLAIN
    return PLAIN if size == found.total_bytes else UNFINISHED


def scan(bytes data not None):
    """(answer, status, careful, body_at, total_bytes) of a response: for tests, which hold it against the reader."""
    cdef Scan found
    memset(&found, 0, sizeof(found))
    cdef Answer answer = scan_response(PyBytes_AS_STRING(data), len(data), &found)
    return ("not plain", "plain", "unfinished")[<int>answer], found.status, bool(found.careful), found.body_at, found.total_bytes
