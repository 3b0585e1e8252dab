# How many lines have each of some texts.

cdef struct Counted:
    uint64_t hashed
    size_t at  # in the table's text
    uint32_t length
    uint32_t note  # the row of the first of them, or what else the table's owner notes
    uint64_t lines


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

    cdef Py_ssize_t count(self, Bytes at, size_t length, uint32_t note, uint64_t lines) except -1:
        """Count lines of a text, with a note where it is new; its number."""
        cdef uint64_t hashed = hash_of(at, length, self.seed)
        cdef size_t place = hashed & (self.room - 1)
        cdef Counted *one
        while self.places[place]:
            one = &self.each[self.places[place] - 1]
            if one.hashed == hashed and one.length == length and memcmp(self.text + one.at, at, length) == 0:
                one.lines += lines
                return self.places[place] - 1
            place = (place + 1) & (self.room - 1)
        if 2 * self.used >= self.room:
            self.widen(4 * self.room)
            return self.count(at, length, note, lines)
        if self.text_used + length > self.text_room:
            self.lengthen(length)
        one = &self.each[self.used]
        one.hashed, one.at, one.length, one.lines, one.note = hashed, self.text_used, <uint32_t> length, lines, note
        memcpy(self.text + self.text_used, at, length)
        self.text_used += length
        self.used += 1
        self.places[place] = <uint32_t> self.used
        return self.used - 1

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
        for number in range(self.used):
            found[self.text_of(number)] = self.each[number].lines
        return found

    cdef str text_of(self, size_t number):
        cdef Counted *one = &self.each[number]
        return self.text[one.at:one.at + one.length].decode()

    cdef bytes written_in_parts(self):
        """`note"lines"method"rest` a line, of texts that are a method, a space and a rest."""
        cdef size_t number
        cdef Counted *one
        cdef bytes written = PyBytes_FromStringAndSize(NULL, self.text_used + (2 * MOST_DIGITS + 4) * self.used)
        cdef char *to = PyBytes_AS_STRING(written)
        cdef char *begin = to
        for number in range(self.used):
            one = &self.each[number]
            to = with_number(to, one.note)
            to[0] = b'"'
            to += 1
            to = with_number(to, one.lines)
            to[0] = b'"'
            to += 1
            memcpy(to, self.text + one.at, one.length)
            (<char *> memchr(to, 32, one.length))[0] = b'"'
            to += one.length
            to[0] = b"\n"
            to += 1
        return written[:to - begin]


cdef inline char *with_number(char *to, uint64_t number) noexcept:
    """Write a number's digits; what follows them."""
    cdef char[MOST_DIGITS] digits
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


cdef class Text:
    """Text that grows."""

    cdef char *begin
    cdef size_t room, used

    def __dealloc__(self):
        free(self.begin)

    cdef char *end(self, size_t more) except NULL:
        """Where it goes on, with room for so many bytes."""
        cdef size_t room = 2 * self.room + more
        cdef char *longer
        if self.used + more > self.room:
            longer = <char *> realloc(self.begin, room)
            if longer == NULL:
                raise MemoryError
            self.begin, self.room = longer, room
        return self.begin + self.used

    cdef bytes written(self):
        return self.begin[:self.used] if self.used else b""
