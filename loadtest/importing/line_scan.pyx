# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, binding=False
"""Lines of access logs that are plain, counted by what they ask for and by their instants; nothing is decided here.

A line is plain where there is one way to read it: printable ASCII where it matters, a request of a method, a target
and HTTP, a status of three digits. Every other line is handed back as it is. `log_scan` says what is made of both.
"""

import os

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memchr, memcmp, memcpy, memset

cdef extern from *:
    """
    #ifndef SCAN_SOURCES
    #define SCAN_SOURCES ""
    #endif
    #ifdef __SSE2__
    #include <emmintrin.h>
    #endif
    #include <stdint.h>

    /* The first quote, backslash or control character from `at` on, or a place before it, as far as is quickly seen. */
    static inline const uint8_t *towards_special(const uint8_t *at, const uint8_t *end) {
    #ifdef __SSE2__
        const __m128i quote = _mm_set1_epi8(34), escape = _mm_set1_epi8(92), control = _mm_set1_epi8(31);
        while (end - at >= 16) {
            const __m128i some = _mm_loadu_si128((const __m128i *)at);
            const __m128i is_control = _mm_cmpeq_epi8(_mm_min_epu8(some, control), some);
            const __m128i special = _mm_or_si128(_mm_cmpeq_epi8(some, quote), _mm_cmpeq_epi8(some, escape));
            const int found = _mm_movemask_epi8(_mm_or_si128(special, is_control));
            if (found)
                return at + __builtin_ctz(found);
            at += 16;
        }
    #endif
        return at;
    }
    """
    const char *SCAN_SOURCES
    const uint8_t *towards_special(const uint8_t *at, const uint8_t *end) noexcept

SOURCES = SCAN_SOURCES.decode()

ctypedef const uint8_t *Bytes

cdef uint64_t MOST_WHOLE = 9223372036854775807  # of a number that has 64 bits

cdef enum:
    FEWEST_PLACES = 1024  # of a table; a power of two, as all its sizes
    MOST_KEY = 16384  # bytes of a request; a longer one is not plain
    MOST_DIGITS = 20
    MOST_INSTANT = 64
    MOST_NAMES = 32
    MOST_GAPS = 256
    MOST_LAYOUT = 16384  # bytes
    LEAST_METHOD = 3
    MOST_METHOD = 10
    STATUS_END = 5  # `" 200` after a request
    LEAST_DATA = 32  # bytes of a segment that is data, whatever they are

include "line_text.pxi"
include "line_table.pxi"
include "line_paths.pxi"


cdef class Lines:
    """What is found in one piece of a log."""

    cdef Table asked, instants, queries
    cdef uint8_t[2 * MOST_KEY] text
    cdef Text odd, known
    cdef list odd_rows
    cdef uint32_t rows
    cdef uint8_t[MOST_INSTANT] written  # the last instant, which many lines share
    cdef size_t written_length
    cdef uint64_t of_written
    cdef bint keeps_clients

    def __cinit__(self):
        self.asked, self.instants, self.queries = Table(), Table(), Table()
        self.odd, self.known = Text(), Text()

    def scan(self, data not None, bint with_clients=False):
        cdef Py_buffer held
        self.keeps_clients = with_clients
        PyObject_GetBuffer(data, &held, PyBUF_SIMPLE)
        try:
            return self.scan_between(<Bytes> held.buf, <Bytes> held.buf + held.len)
        finally:
            PyBuffer_Release(&held)

    cdef tuple scan_between(self, Bytes at, Bytes end):
        cdef Bytes stop
        self.begin()
        while at < end:
            stop = find(at, end, 10)
            if stop == NULL:
                stop = end
            if not self.line(at, stop):
                self.add_odd(at, stop)
            at = stop + 1
        return self.end()

    cdef bint line(self, Bytes at, Bytes end) except? False:
        """Count a line; False where it is not plain."""
        return False

    cdef int begin(self) except -1:
        for table in (self.asked, self.instants, self.queries):
            (<Table> table).clear()
        self.odd.used = self.known.used = self.rows = 0
        self.odd_rows = []
        self.written_length = self.of_written = 0
        return 0

    cdef tuple end(self):
        self.settle()
        return self.rows, self.instants.lines_of_each(), self.known.written(), self.odd.written(), self.odd_rows

    def count_into(self, Paths paths not None):
        cdef size_t number
        cdef Counted *one
        cdef Bytes key, end, path, query
        paths.begin_piece()
        for number in range(self.asked.used):
            one = &self.asked.each[number]
            key = <Bytes> self.asked.text + one.at
            if memcmp(key + one.length - 3, b"404", 3) == 0:
                continue
            path = find(key, key + one.length, 32) + 1
            end = find(path, key + one.length, 32)
            query = find(path, end, 63)
            if query != NULL:
                self.add_query(key, path, end, one)
                end = query
            paths.count(key, end - key, one.lines)
        return paths.shapes_asked(), self.queries.written_in_parts()

    cdef int add_query(self, Bytes key, Bytes target, Bytes after, Counted *one) except -1:
        """Count `method target"protocol"status`."""
        cdef uint8_t *text = self.text
        memcpy(text, key, one.length - 4)
        text[after - key] = 34
        memcpy(text + one.length - 4, key + one.length - 3, 3)
        self.queries.count(text, one.length - 1, one.note, one.lines)
        return 0

    cdef int settle(self) except -1:
        """Note the lines of the last instant."""
        if self.written_length:
            self.instants.count(self.written, self.written_length, 0, self.of_written)
            self.written_length = self.of_written = 0
        return 0

    cdef int add(self, Span client, Span instant, Span key) except -1:
        """One plain line; a `key` is a request, a quote, a space and a status. A `client` may be NULL."""
        if instant.length != self.written_length or memcmp(instant.at, self.written, instant.length) != 0:
            self.settle()
            memcpy(self.written, instant.at, instant.length)
            self.written_length = instant.length
        if memcmp(key.at + key.length - 3, b"404", 3) != 0:
            self.of_written += 1
            if client.at != NULL:
                self.add_known(client, instant, Span(key.at, key.length - STATUS_END))
        self.asked.count(key.at, key.length, self.rows, 1)
        self.rows += 1
        return 0

    cdef int add_known(self, Span client, Span instant, Span request) except -1:
        """Note `row"client"instant"request`."""
        cdef char *to = self.known.end(client.length + instant.length + request.length + MOST_DIGITS + 4)
        to = with_part(with_part(with_part(with_number(to, self.rows), client), instant), request)
        to[0] = b"\n"
        self.known.used = to + 1 - self.known.begin
        return 0

    cdef int add_odd(self, Bytes at, Bytes end) except -1:
        cdef char *to
        if not is_blank(at, end):
            to = self.odd.end(end - at + 1)
            memcpy(to, at, end - at)
            to[end - at] = b"\n"
            self.odd.used += end - at + 1
            self.odd_rows.append(self.rows)
            self.rows += 1
        return 0


cdef class Combined(Lines):
    """Lines of `combined`, and what is written alike."""

    cdef bint line(self, Bytes at, Bytes end) except? False:
        cdef Bytes opened = find(at, end, 34)
        if opened == NULL or opened - at < 29:
            return False
        cdef Bytes bracket = opened - 29
        if find(at, opened, 91) != bracket or (opened - 1)[0] != 32 or (opened - 2)[0] != 93:
            return False
        cdef Span key = key_at(opened + 1, end)
        if key.at == NULL:
            return False
        cdef Span instant = Span(bracket + 1, 26)
        if not is_printable(instant.at, instant.length):
            return False
        cdef Span client = Span(NULL, 0)
        if self.keeps_clients:
            client = client_before(at, bracket)
            if client.at == NULL:
                return False
        self.add(client, instant, key)
        return True


cdef inline Span key_at(Bytes request, Bytes end) noexcept:
    """A request, the quote that ends it, a space and a status; NULL where they are not plain."""
    cdef Bytes closed = find(request, end, 34)
    if closed == NULL or end - closed < STATUS_END or closed[1] != 32 or not is_status(closed + 2):
        return Span(NULL, 0)
    if closed - request >= MOST_KEY or not is_request(request, closed):
        return Span(NULL, 0)
    return Span(request, closed + STATUS_END - request)


cdef inline char *with_part(char *to, Span part) noexcept:
    """Write a quote and a text; what follows them."""
    to[0] = b'"'
    memcpy(to + 1, part.at, part.length)
    return to + 1 + part.length


cdef Span client_before(Bytes at, Bytes bracket) noexcept:
    """The client in `1.2.3.4 - - ` or, with a virtual host, in `host 1.2.3.4 - - `; NULL where it is not plain."""
    cdef Bytes space = find(at, bracket, 32)
    cdef Bytes second
    cdef size_t spaces = 0, number
    cdef bint is_hosted = bracket > at and (bracket - 1)[0] == 32
    if space == NULL or space == at or bracket - at > MOST_KEY or not is_printable(at, bracket - at):
        return Span(NULL, 0)
    for number in range(bracket - at):
        if at[number] == 32:
            spaces += 1
            is_hosted = is_hosted and at[number + 1] != 32
    second = find(space + 1, bracket, 32)
    if not is_hosted or spaces != 4 or not is_address(space + 1, second):
        return Span(at, space - at)
    return Span(space + 1, second - space - 1)


cdef bint is_address(Bytes at, Bytes end) noexcept:
    """Whether it is hexadecimal digits with points or colons, as `log_format` has addresses told from names."""
    cdef bint has_mark = False
    while at < end:
        if at[0] == 46 or at[0] == 58:
            has_mark = True
        elif not is_digit(at[0]) and not 97 <= (at[0] | 32) <= 102:
            return False
        at += 1
    return has_mark


cdef class Envoy(Lines):
    """Lines of Envoy's default text: `[2025-11-10T23:59:59.310Z] "GET / HTTP/1.1" 200 - 0 153 4 3 "1.2.3.4" …`."""

    cdef uint8_t[20] instant

    cdef bint line(self, Bytes at, Bytes end) except? False:
        cdef Bytes opened = find(at, end, 34)
        if opened == NULL or opened - at < 20 or not is_printable(at, 20):
            return False
        cdef Span key = key_at(opened + 1, end)
        if key.at == NULL:
            return False
        cdef Span client = Span(NULL, 0)
        cdef Bytes quote
        if self.keeps_clients:
            quote = find(key.at + key.length, end, 34)
            if quote == NULL:
                return False
            client.at = quote + 1
            quote = find(client.at, end, 34)
            if quote == NULL or quote == client.at or quote - client.at > MOST_KEY:
                return False
            if not is_printable(client.at, quote - client.at):
                return False
            client.length = quote - client.at
        memcpy(self.instant, at + 1, 19)
        self.instant[19] = 90  # Z
        cdef Span instant
        instant.at, instant.length = self.instant, 20
        self.add(client, instant, key)
        return True


include "line_json.pxi"
