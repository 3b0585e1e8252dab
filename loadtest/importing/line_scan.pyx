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
    MOST_INSTANT = 64
    MOST_NAMES = 32
    MOST_GAPS = 256
    MOST_LAYOUT = 16384  # bytes
    LEAST_METHOD = 3
    MOST_METHOD = 10
    STATUS_END = 5  # `" 200` after a request
    LEAST_DATA = 32  # bytes of a segment that is data, whatever they are

cdef enum:  # what a field of JSON is for, in the order of `log_scan`
    TIME
    METHOD
    TARGET
    STATUS
    QUERY
    REQUEST
    ROLES

cdef struct Counted:
    uint64_t hashed
    size_t at  # in the table's text
    uint32_t length
    uint32_t lines
    uint32_t first  # the row of the first of them

cdef struct Span:
    Bytes at
    size_t length

cdef struct Gap:  # what stands before a value of JSON
    uint32_t at  # in the layout's text
    uint32_t length
    int number  # of the value's name among those that are wanted, or -1


cdef class Table:
    """How many lines have each of some texts, in the order in which the texts first came."""

    cdef Counted *each
    cdef uint32_t *places  # 1 and the number of who stands there; 0: nobody
    cdef size_t room, used
    cdef char *text
    cdef size_t text_room, text_used
    cdef uint64_t seed

    def __cinit__(self):
        self.seed = int.from_bytes(os.urandom(8), "little")  # nobody writes a log that fills one place
        self.widen(FEWEST_PLACES)

    def __dealloc__(self):
        free(self.each)
        free(self.places)
        free(self.text)

    cdef void clear(self) noexcept:
        memset(self.places, 0, self.room * sizeof(uint32_t))
        self.used = self.text_used = 0

    cdef int count(self, Bytes at, size_t length, uint32_t row, uint32_t lines) except -1:
        cdef uint64_t hashed = hash_of(at, length, self.seed)
        cdef size_t place = hashed & (self.room - 1)
        cdef Counted *one
        while self.places[place]:
            one = &self.each[self.places[place] - 1]
            if one.hashed == hashed and one.length == length and memcmp(self.text + one.at, at, length) == 0:
                one.lines += lines
                return 0
            place = (place + 1) & (self.room - 1)
        if 2 * self.used >= self.room:
            self.widen(4 * self.room)
            return self.count(at, length, row, lines)
        if self.text_used + length > self.text_room:
            self.lengthen(length)
        one = &self.each[self.used]
        one.hashed, one.at, one.length, one.lines, one.first = hashed, self.text_used, <uint32_t> length, lines, row
        memcpy(self.text + self.text_used, at, length)
        self.text_used += length
        self.used += 1
        self.places[place] = <uint32_t> self.used
        return 0

    cdef int widen(self, size_t room) except -1:
        cdef size_t place, number
        cdef uint32_t *places = <uint32_t *> calloc(room, sizeof(uint32_t))
        cdef Counted *each = <Counted *> realloc(self.each, room // 2 * sizeof(Counted))
        if each != NULL:
            self.each = each
        if each == NULL or places == NULL:
            free(places)
            raise MemoryError
        for number in range(self.used):
            place = each[number].hashed & (room - 1)
            while places[place]:
                place = (place + 1) & (room - 1)
            places[place] = <uint32_t> number + 1
        free(self.places)
        self.places, self.room = places, room
        return 0

    cdef int lengthen(self, size_t more) except -1:
        cdef size_t room = 2 * self.text_room + more
        cdef char *longer = <char *> realloc(self.text, room)
        if longer == NULL:
            raise MemoryError
        self.text, self.text_room = longer, room
        return 0

    cdef dict lines_of_each(self):
        cdef size_t number
        cdef dict found = {}
        cdef Counted *one
        for number in range(self.used):
            one = &self.each[number]
            found[self.text[one.at:one.at + one.length].decode("ascii")] = one.lines
        return found

    cdef bytes written(self):
        """`lines"text` a line."""
        return self.each_written(False)

    cdef bytes written_in_parts(self):
        """`first"lines"method"rest` a line, of texts that are a method, a space and a rest."""
        return self.each_written(True)

    cdef bytes each_written(self, bint in_parts):
        cdef size_t number
        cdef Counted *one
        cdef bytes written = PyBytes_FromStringAndSize(NULL, self.text_used + 24 * self.used)
        cdef char *to = PyBytes_AS_STRING(written)
        cdef char *begin = to
        for number in range(self.used):
            one = &self.each[number]
            if in_parts:
                to = with_number(to, one.first)
                to[0] = b'"'
                to += 1
            to = with_number(to, one.lines)
            to[0] = b'"'
            to += 1
            memcpy(to, self.text + one.at, one.length)
            if in_parts:
                (<char *> memchr(to, 32, one.length))[0] = b'"'
            to += one.length
            to[0] = b"\n"
            to += 1
        return written[:to - begin]


cdef inline char *with_number(char *to, uint64_t number) noexcept:
    """Write a number's digits; what follows them."""
    cdef char[20] digits
    cdef int many = 0
    while True:
        digits[many] = <char> (48 + number % 10)
        many += 1
        number //= 10
        if number == 0:
            break
    while many:
        many -= 1
        to[0] = digits[many]
        to += 1
    return to


cdef inline uint64_t hash_of(Bytes at, size_t length, uint64_t seed) noexcept:
    cdef uint64_t hashed = seed ^ (length * 0x9E3779B97F4A7C15U), word
    while length >= 8:
        memcpy(&word, at, 8)
        hashed = (hashed ^ word) * 0xBF58476D1CE4E5B9U
        hashed ^= hashed >> 29
        at += 8
        length -= 8
    word = 0
    memcpy(&word, at, length)
    hashed = (hashed ^ word) * 0x94D049BB133111EBU
    return hashed ^ (hashed >> 32)


cdef inline bint is_printable(Bytes at, size_t length) noexcept:
    """Whether all bytes are ASCII from the space on."""
    cdef uint64_t word, bad = 0
    cdef uint8_t wrong = 0
    while length >= 8:
        memcpy(&word, at, 8)
        bad |= (word | (word - 0x2020202020202020U)) & 0x8080808080808080U
        at += 8
        length -= 8
    while length:
        wrong |= (at[0] < 32) | (at[0] > 127)
        at += 1
        length -= 1
    return bad == 0 and wrong == 0


cdef inline bint is_unescaped(Bytes at, size_t length) noexcept:
    """Whether all bytes are ASCII from the space on, and no backslash."""
    cdef uint64_t word, escapes, bad = 0
    cdef uint8_t wrong = 0
    while length >= 8:
        memcpy(&word, at, 8)
        escapes = word ^ 0x5C5C5C5C5C5C5C5CU
        bad |= word | (word - 0x2020202020202020U) | (escapes - 0x0101010101010101U) & ~escapes
        at += 8
        length -= 8
    while length:
        wrong |= (at[0] < 32) | (at[0] > 127) | (at[0] == 92)
        at += 1
        length -= 1
    return bad & 0x8080808080808080U == 0 and wrong == 0


cdef inline bint is_same(Bytes one, Bytes other, size_t length) noexcept:
    """`memcmp` of a few bytes, most often equal ones, without the call."""
    cdef uint64_t of_one, of_other, wrong = 0
    if length < 8:
        while length:
            length -= 1
            wrong |= one[length] ^ other[length]
        return wrong == 0
    while length > 8:
        memcpy(&of_one, one, 8)
        memcpy(&of_other, other, 8)
        wrong |= of_one ^ of_other
        one += 8
        other += 8
        length -= 8
    memcpy(&of_one, one + length - 8, 8)
    memcpy(&of_other, other + length - 8, 8)
    return (wrong | of_one ^ of_other) == 0


cdef inline Bytes find(Bytes begin, Bytes end, int byte) noexcept:
    """The first of a byte before `end`, or NULL."""
    return <Bytes> memchr(begin, byte, end - begin) if begin < end else NULL


cdef inline bint is_digit(uint8_t byte) noexcept:
    return 48 <= byte <= 57


cdef inline bint is_status(Bytes at) noexcept:
    return is_digit(at[0]) and is_digit(at[1]) and is_digit(at[2])


cdef inline bint is_blank(Bytes at, Bytes end) noexcept:
    while at < end:
        if at[0] != 32 and not 9 <= at[0] <= 13:
            return False
        at += 1
    return True


cdef bint is_request(Bytes at, Bytes end) noexcept:
    """Whether it is `GET /… HTTP…` without anything that is not printable."""
    cdef size_t letters = 0
    while at + letters < end and 65 <= at[letters] <= 90:
        letters += 1
    if not LEAST_METHOD <= letters <= MOST_METHOD or end - at - letters < 8:
        return False
    if at[letters] != 32 or at[letters + 1] != 47:
        return False
    cdef Bytes after = find(at + letters + 1, end, 32)
    if after == NULL or end - after < 5 or memcmp(after + 1, b"HTTP", 4) != 0:
        return False
    return is_printable(at, end - at)


cdef size_t with_shape(Bytes path, Bytes end, uint8_t *to) noexcept:
    """Write a path as `path_tree.DATA_SEGMENT` has it replaced; its length, at most twice that of the path."""
    cdef uint8_t *begin = to
    cdef Bytes stop
    cdef size_t data
    while path < end:
        to[0] = 47
        path += 1
        stop = find(path, end, 47)
        if stop == NULL:
            stop = end
        data = data_in(path, stop)
        if data:
            memcpy(to + 1, b"{}", 2)
            to += 2
            path += data
        memcpy(to + 1, path, stop - path)
        to += 1 + (stop - path)
        path = stop
    return to - begin


cdef inline size_t data_in(Bytes segment, Bytes end) noexcept:
    """How many bytes at a segment's begin are data: all, a number of one or two digits that is a word, or none."""
    cdef Bytes at = segment
    cdef size_t digits = 0
    if end - segment >= LEAST_DATA:
        return end - segment
    while at < end:
        digits = digits + 1 if is_digit(at[0]) else 0
        if digits == 3 or at[0] == 64 or (at[0] == 37 and end - at >= 3 and at[1] == 52 and at[2] == 48):
            return end - segment
        at += 1
    digits = 0
    while segment + digits < end and is_digit(segment[digits]):
        digits += 1
    return 0 if segment + digits < end and is_letter(segment[digits]) else digits


cdef inline bint is_letter(uint8_t byte) noexcept:
    """Whether a number does not end before it."""
    return 65 <= (byte & 0xDF) <= 90 or byte == 95


cdef class Lines:
    """What is found in one piece of a log."""

    cdef Table asked, instants, paths, shapes, queries
    cdef uint8_t[2 * MOST_KEY] text
    cdef bytearray odd
    cdef list odd_rows
    cdef uint32_t rows
    cdef uint8_t[MOST_INSTANT] written  # the last instant, which many lines share
    cdef size_t written_length
    cdef uint32_t of_written

    def __cinit__(self):
        self.asked, self.instants = Table(), Table()
        self.paths, self.shapes, self.queries = Table(), Table(), Table()

    def scan(self, data not None):
        cdef Py_buffer held
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
        for table in (self.asked, self.instants, self.paths, self.shapes, self.queries):
            (<Table> table).clear()
        self.odd, self.odd_rows, self.rows = bytearray(), [], 0
        self.written_length = self.of_written = 0
        return 0

    cdef tuple end(self):
        self.settle()
        self.cut()
        return (
            self.rows,
            self.instants.lines_of_each(),
            self.shapes.lines_of_each(),
            self.paths.written(),
            self.queries.written_in_parts(),
            bytes(self.odd),
            self.odd_rows,
        )

    cdef int cut(self) except -1:
        """Count paths, shapes and requests with a query of what was asked for and not answered 404."""
        cdef size_t number, length
        cdef Counted *one
        cdef Bytes key, end, path, query
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
            self.paths.count(key, end - key, 0, one.lines)
        for number in range(self.paths.used):
            one = &self.paths.each[number]
            key = <Bytes> self.paths.text + one.at
            path = find(key, key + one.length, 47)
            memcpy(self.text, key, path - key)
            length = path - key + with_shape(path, key + one.length, self.text + (path - key))
            self.shapes.count(self.text, length, 0, one.lines)
        return 0

    cdef int add_query(self, Bytes key, Bytes target, Bytes after, Counted *one) except -1:
        """Count `method target"protocol"status`."""
        cdef uint8_t *text = self.text
        memcpy(text, key, one.length - 4)
        text[after - key] = 34
        memcpy(text + one.length - 4, key + one.length - 3, 3)
        self.queries.count(text, one.length - 1, one.first, one.lines)
        return 0

    cdef int settle(self) except -1:
        """Note the lines of the last instant."""
        if self.written_length:
            self.instants.count(self.written, self.written_length, 0, self.of_written)
            self.written_length = self.of_written = 0
        return 0

    cdef int add(self, Span instant, Bytes key, size_t length) except -1:
        """One plain line; a `key` is a request, a quote, a space and a status."""
        if instant.length != self.written_length or memcmp(instant.at, self.written, instant.length) != 0:
            self.settle()
            memcpy(self.written, instant.at, instant.length)
            self.written_length = instant.length
        if memcmp(key + length - 3, b"404", 3) != 0:
            self.of_written += 1
        self.asked.count(key, length, self.rows, 1)
        self.rows += 1
        return 0

    cdef int add_odd(self, Bytes at, Bytes end) except -1:
        if not is_blank(at, end):
            self.odd += (<const char *> at)[:end - at] + b"\n"
            self.odd_rows.append(self.rows)
            self.rows += 1
        return 0


cdef class Combined(Lines):
    """Lines of `combined`, and what is written alike."""

    cdef bint line(self, Bytes at, Bytes end) except? False:
        cdef Bytes opened = find(at, end, 34)
        if opened == NULL or opened - at < 29:
            return False
        cdef Bytes closed = find(opened + 1, end, 34)
        if closed == NULL or end - closed < STATUS_END or closed[1] != 32 or not is_status(closed + 2):
            return False
        cdef Bytes bracket = opened - 29
        if find(at, opened, 91) != bracket or (opened - 1)[0] != 32 or (opened - 2)[0] != 93:
            return False
        if closed - opened > MOST_KEY or not is_request(opened + 1, closed):
            return False
        cdef Span instant = Span(bracket + 1, 26)
        if not is_printable(instant.at, instant.length):
            return False
        self.add(instant, opened + 1, closed + STATUS_END - opened - 1)
        return True


cdef class JsonLines(Lines):
    """Lines of JSON, of which each is a flat object."""

    cdef list names  # keeps what `wanted` points into
    cdef Span[MOST_NAMES] wanted
    cdef int[MOST_NAMES] roles
    cdef int many
    cdef int[ROLES] rank
    cdef Span[ROLES] found
    cdef uint8_t[MOST_KEY + 64] key
    cdef uint8_t[MOST_INSTANT] instant
    cdef Gap[MOST_GAPS] gaps  # of the last line that was read name by name; a program writes all its lines alike
    cdef int many_gaps
    cdef uint8_t[MOST_LAYOUT] layout
    cdef size_t layout_length

    def __init__(self, names):
        """`names`: for each role of `Fields`, its names; the first that a line has counts."""
        self.names = [name.encode() for some in names for name in some]
        if len(self.names) > MOST_NAMES or len(names) != ROLES:
            raise ValueError("too many names")
        self.many = 0
        for role, some in enumerate(names):
            for _ in some:
                name = self.names[self.many]
                self.wanted[self.many] = Span(<Bytes> PyBytes_AS_STRING(name), len(name))
                self.roles[self.many] = role
                self.many += 1

    cdef bint line(self, Bytes at, Bytes end) except? False:
        return (self.read_alike(at, end) or self.read(at, end)) and self.compose()

    cdef bint read_alike(self, Bytes at, Bytes end) noexcept:
        """`read`, of a line with the same between its values as the last one that was read name by name."""
        cdef Gap *gap
        cdef Span value
        cdef int number
        self.forget_values()
        for number in range(self.many_gaps):
            gap = &self.gaps[number]
            if <size_t> (end - at) <= gap.length or not is_same(at, self.layout + gap.at, gap.length):
                return False
            value.at = at + gap.length
            at = past_value(value.at, end)
            if at == NULL:
                return False
            value.length = at - value.at
            if gap.number >= 0 and not self.take(gap.number, value):
                return False
        at = past_blanks(at, end)
        return self.many_gaps != 0 and at < end and at[0] == 125 and past_blanks(at + 1, end) == end

    cdef bint read(self, Bytes at, Bytes end) noexcept:
        """Find the fields of a line; False where it is not plain."""
        cdef uint32_t seen = 0
        cdef int number
        cdef Bytes before = at
        cdef Span name, value
        self.forget_values()
        self.many_gaps = self.layout_length = 0
        at = past_blanks(at, end)
        if at == end or at[0] != 123:
            return False
        at += 1
        while True:
            at = past_blanks(at, end)
            if at == end or at[0] != 34:
                return False
            name.at = at + 1
            at = past_string(at + 1, end)
            if at == NULL:
                return False
            name.length = at - name.at - 1
            if memchr(name.at, 92, name.length) != NULL:
                return False
            at = past_blanks(at, end)
            if at == end or at[0] != 58:
                return False
            at = past_blanks(at + 1, end)
            value.at = at
            at = past_value(at, end)
            if at == NULL:
                return False
            value.length = at - value.at
            number = self.number_of(name)
            if number >= 0:
                if seen >> number & 1 or not self.take(number, value):
                    return False
                seen |= 1U << number
            self.note_gap(before, value.at, number)
            before = at
            at = past_blanks(at, end)
            if at == end:
                return False
            if at[0] == 125:
                return past_blanks(at + 1, end) == end
            if at[0] != 44:
                return False
            at += 1

    cdef inline void forget_values(self) noexcept:
        cdef int role
        for role in range(ROLES):
            self.rank[role] = MOST_NAMES

    cdef inline void note_gap(self, Bytes begin, Bytes end, int number) noexcept:
        """Note what stands before a value, of all values or, where that is too much, of none."""
        cdef size_t length = end - begin
        if self.many_gaps == MOST_GAPS or self.layout_length + length > MOST_LAYOUT:
            self.many_gaps, self.layout_length = 0, MOST_LAYOUT
            return
        self.gaps[self.many_gaps] = Gap(<uint32_t> self.layout_length, <uint32_t> length, number)
        memcpy(self.layout + self.layout_length, begin, length)
        self.layout_length += length
        self.many_gaps += 1

    cdef inline int number_of(self, Span name) noexcept:
        cdef int number
        for number in range(self.many):
            if self.wanted[number].length == name.length \
                    and memcmp(self.wanted[number].at, name.at, name.length) == 0:
                return number
        return -1

    cdef inline bint take(self, int number, Span value) noexcept:
        """Note a field's value where no name before it has one; False where it is not plain."""
        cdef int role = self.roles[number]
        cdef uint8_t kind = value.at[0]
        if kind == 34:
            value.at += 1
            value.length -= 2
            if not is_unescaped(value.at, value.length):
                return False
        elif kind == 110:  # null
            return True
        elif kind == 116 or kind == 102:
            return False
        if value.length and number < self.rank[role]:
            self.rank[role], self.found[role] = number, value
        return True

    cdef bint compose(self) except? False:
        """Count the line whose fields were found; False where it is not plain."""
        cdef Span whole, target, query
        cdef Bytes key = self.key
        cdef uint8_t *to = self.key
        cdef Span instant
        if self.rank[STATUS] == MOST_NAMES or self.rank[TIME] == MOST_NAMES:
            return False
        if self.found[STATUS].length != 3 or not is_status(self.found[STATUS].at):
            return False
        if self.rank[REQUEST] != MOST_NAMES:
            whole = self.found[REQUEST]
            if whole.length > MOST_KEY:
                return False
            memcpy(to, whole.at, whole.length)
            to += whole.length
        else:
            if self.rank[METHOD] == MOST_NAMES or self.rank[TARGET] == MOST_NAMES:
                return False
            whole, target = self.found[METHOD], self.found[TARGET]
            query = self.found[QUERY]
            if self.rank[QUERY] == MOST_NAMES or memchr(target.at, 63, target.length) != NULL:
                query.length = 0
            if whole.length + target.length + query.length + 8 > MOST_KEY:
                return False
            memcpy(to, whole.at, whole.length)
            to += whole.length
            to[0] = 32
            to += 1
            memcpy(to, target.at, target.length)
            to += target.length
            if query.length:
                to[0] = 63
                to += 1
                memcpy(to, query.at, query.length)
                to += query.length
            memcpy(to, b" HTTP", 5)
            to += 5
        if not is_request(key, to):
            return False
        memcpy(to, b"\" ", 2)
        memcpy(to + 2, self.found[STATUS].at, 3)
        to += STATUS_END
        instant.at = self.instant
        instant.length = whole_second(self.found[TIME], self.instant)
        if instant.length == 0:
            return False
        self.add(instant, key, to - key)
        return True


cdef inline size_t whole_second(Span instant, uint8_t *to) noexcept:
    """An instant without fractions of a second, as `second_of` reads it; its length, 0 where it is not plain."""
    cdef size_t number = 0, left, digits = 0
    cdef uint64_t whole = 0
    cdef double seconds
    if instant.length < 10 or instant.length >= MOST_INSTANT:
        return 0
    if instant.at[2] == 47:
        memcpy(to, instant.at, instant.length)
        return instant.length
    if instant.at[4] == 45:
        if instant.length < 19:
            return 0
        memcpy(to, instant.at, 19)
        number = 19
        if number < instant.length and instant.at[number] == 46:
            number += 1
            while number < instant.length and is_digit(instant.at[number]):
                number += 1
        left = instant.length - number
        memcpy(to + 19, instant.at + number, left)
        return 19 + left
    while digits < instant.length and is_digit(instant.at[digits]):
        digits += 1
        if digits > 19:
            return 0
        whole = 10 * whole + (instant.at[digits - 1] - 48)
    if whole > MOST_WHOLE:
        return 0
    if digits < instant.length:  # a fraction that no float rounds up
        if digits != 10 or instant.at[10] != 46 or instant.length > 17:
            return 0
        for number in range(11, instant.length):
            if not is_digit(instant.at[number]):
                return 0
    seconds = <double> whole
    for number in range(3):
        if seconds > 1e11:
            seconds /= 1000
    if not 1 <= seconds <= 1e11:
        return 0
    return with_number(<char *> to, <uint64_t> seconds) - <char *> to


cdef inline Bytes past_blanks(Bytes at, Bytes end) noexcept:
    while at < end and (at[0] == 32 or at[0] == 9 or at[0] == 13):
        at += 1
    return at


cdef inline Bytes past_string(Bytes at, Bytes end) noexcept:
    """What follows a string that goes on at `at`; NULL where it is not plain."""
    while at < end:
        at = towards_special(at, end)
        if at == end:
            return NULL
        if at[0] == 34:
            return at + 1
        if at[0] < 32:
            return NULL
        if at[0] == 92:
            if end - at < 2 or memchr(b"\"\\/bfnrt", at[1], 8) == NULL:
                return NULL
            at += 1
        at += 1
    return NULL


cdef inline Bytes past_value(Bytes at, Bytes end) noexcept:
    """What follows a string, a number, or a word of JSON; NULL where it is something else, or not plain."""
    if at >= end:
        return NULL
    if at[0] == 34:
        return past_string(at + 1, end)
    if at[0] == 116 or at[0] == 110:
        if end - at >= 4 and (memcmp(at, b"true", 4) == 0 or memcmp(at, b"null", 4) == 0):
            return at + 4
        return NULL
    if at[0] == 102:
        return at + 5 if end - at >= 5 and memcmp(at, b"false", 5) == 0 else NULL
    cdef Bytes begin = at
    while at < end and (is_digit(at[0]) or at[0] == 46):
        at += 1
    cdef Span number = Span(begin, at - begin)
    return at if is_decimal(number) else NULL


cdef inline bint is_decimal(Span number) noexcept:
    """Whether it is digits, or digits, a point and digits, as JSON has them and Python writes them too."""
    cdef size_t at = 0, point
    if number.length > 19 or number.length == 0 or (number.length > 1 and number.at[0] == 48 and number.at[1] != 46):
        return False
    while at < number.length and is_digit(number.at[at]):
        at += 1
    if at == number.length:
        return True
    point = at
    if point == 0 or number.at[point] != 46 or point + 1 == number.length:
        return False
    at += 1
    while at < number.length and is_digit(number.at[at]):
        at += 1
    return at == number.length
