# Paths, counted over all pieces of a log, with their shapes.

cdef class Paths:
    """How many requests each different method and path has, and the shape of each; `log_paths` says what it offers.

    Texts are a method, a space and a path, `GET /orders/17`, or a shape, `GET /orders/{}`.
    """

    cdef Table asked  # each with the number of its shape as its note
    cdef Table shapes  # each with the lines of the last piece
    cdef uint8_t[2 * MOST_KEY] text
    cdef uint64_t drawn

    def __cinit__(self):
        self.asked, self.shapes = Table(), Table()
        self.drawn = self.asked.seed | 1

    def add(self, counted):
        cdef bytes asked, shape
        cdef size_t number
        for shape_text, asked_text, requests in counted.select("shape", "asked", "requests").iter_rows():
            asked, shape = asked_text.encode(), shape_text.encode()
            number = self.shapes.count(<Bytes> PyBytes_AS_STRING(shape), len(shape), 0, 0)
            self.asked.count(<Bytes> PyBytes_AS_STRING(asked), len(asked), number, requests)

    def forget_rare(self, size_t most, size_t most_bytes):
        cdef uint64_t forgotten = 0
        cdef size_t number
        cdef uint32_t *order
        if self.asked.used <= 2 * most and self.asked.text_used <= 2 * most_bytes:
            return 0
        most = min(most, self.asked.used // 2)
        order = numbers(self.asked.used)
        self.put_in_order(order, 0, self.asked.used, most, most + 1)
        for number in range(most, self.asked.used):
            forgotten += self.asked.each[order[number]].lines
        self.keep(order, most)
        free(order)
        return forgotten

    def most_requested(self, size_t most):
        cdef size_t number, begin, end, used = self.asked.used
        cdef uint32_t *order = self.by_shape()
        cdef list found = []
        begin = 0
        try:
            while begin < used:
                end = begin + 1
                while end < used and self.asked.each[order[end]].note == self.asked.each[order[begin]].note:
                    end += 1
                self.put_in_order(order, begin, end, begin, begin + most)
                found.append(self.rows_of(order + begin, min(most, end - begin)))
                begin = end
        finally:
            free(order)
        return found

    cdef tuple rows_of(self, uint32_t *order, size_t many):
        """A shape, its paths and their requests."""
        cdef size_t number, method
        cdef Counted *one
        cdef str shape = self.shapes.text_of(self.asked.each[order[0]].note)
        cdef list paths = [], requests = []
        method = shape.index(" ") + 1
        for number in range(many):
            one = &self.asked.each[order[number]]
            paths.append(self.asked.text[one.at + method:one.at + one.length].decode())
            requests.append(one.lines)
        return shape, paths, requests

    cdef void begin_piece(self) noexcept:
        cdef size_t number
        for number in range(self.shapes.used):
            self.shapes.each[number].lines = 0

    cdef int count(self, Bytes at, size_t length, uint64_t lines) except -1:
        """Count lines of a piece that are plain."""
        cdef size_t used = self.asked.used
        cdef Counted *one
        cdef Bytes path
        cdef size_t method
        cdef size_t number = self.asked.count(at, length, 0, lines)
        if self.asked.used > used:
            path = find(at, at + length, 47)
            method = path - at
            memcpy(self.text, at, method)
            method += with_shape(path, at + length, self.text + method)
            self.asked.each[number].note = <uint32_t> self.shapes.count(self.text, method, 0, 0)
        self.shapes.each[self.asked.each[number].note].lines += lines
        return 0

    cdef dict shapes_asked(self):
        """The lines of the last piece by shape."""
        cdef size_t number
        cdef dict found = {}
        for number in range(self.shapes.used):
            if self.shapes.each[number].lines:
                found[self.shapes.text_of(number)] = self.shapes.each[number].lines
        return found

    cdef int keep(self, uint32_t *order, size_t many) except -1:
        """Forget all paths but the first of an order, and shapes that no other path has."""
        cdef Table asked = Table(), shapes = Table()
        cdef Counted *one
        cdef Counted *shape
        cdef size_t number, kept
        for number in range(many):
            one = &self.asked.each[order[number]]
            shape = &self.shapes.each[one.note]
            kept = shapes.count(<Bytes> self.shapes.text + shape.at, shape.length, 0, 0)
            asked.count(<Bytes> self.asked.text + one.at, one.length, <uint32_t> kept, one.lines)
        self.asked, self.shapes = asked, shapes
        return 0

    cdef uint32_t *by_shape(self) except NULL:
        """The numbers of all paths, those of one shape together."""
        cdef uint32_t *order = numbers(self.asked.used)
        cdef size_t *places = <size_t *> calloc(self.shapes.used + 1, sizeof(size_t))
        cdef size_t number
        if places == NULL:
            free(order)
            raise MemoryError
        for number in range(self.asked.used):
            places[self.asked.each[number].note + 1] += 1
        for number in range(self.shapes.used):
            places[number + 1] += places[number]
        for number in range(self.asked.used):
            order[places[self.asked.each[number].note]] = <uint32_t> number
            places[self.asked.each[number].note] += 1
        free(places)
        return order

    cdef void put_in_order(self, uint32_t *order, size_t begin, size_t end, size_t first, size_t last) noexcept:
        """Put what is between `begin` and `end` in order, as far as it comes to a place from `first` to `last`.

        Quicksort, which leaves alone what lies outside (Hoare's "Find", for one place).
        """
        cdef size_t place, middle
        cdef uint32_t pivot
        while end - begin > 1 and begin < last and first < end:
            self.drawn ^= self.drawn << 13
            self.drawn ^= self.drawn >> 7
            self.drawn ^= self.drawn << 17
            middle = begin + self.drawn % (end - begin)
            pivot = order[middle]
            order[middle] = order[end - 1]
            middle = begin
            for place in range(begin, end - 1):
                if self.is_before(order[place], pivot):
                    order[place], order[middle] = order[middle], order[place]
                    middle += 1
            order[end - 1] = order[middle]
            order[middle] = pivot
            self.put_in_order(order, begin, middle, first, last)
            begin = middle + 1

    cdef inline bint is_before(self, uint32_t number, uint32_t other_number) noexcept:
        """Whether a path is more requested than another, or as much and before it by method and path."""
        cdef Counted *one = &self.asked.each[number]
        cdef Counted *other = &self.asked.each[other_number]
        cdef int differ
        if one.lines != other.lines:
            return one.lines > other.lines
        differ = memcmp(self.asked.text + one.at, self.asked.text + other.at, min(one.length, other.length))
        return differ < 0 or (differ == 0 and one.length < other.length)


cdef uint32_t *numbers(size_t many) except NULL:
    """The numbers from 0 on."""
    cdef uint32_t *each = <uint32_t *> calloc(many + 1, sizeof(uint32_t))
    cdef size_t number
    if each == NULL:
        raise MemoryError
    for number in range(many):
        each[number] = <uint32_t> number
    return each


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
    at = past_digits(segment, end)
    return 0 if at < end and is_letter(at[0]) else at - segment


cdef inline bint is_letter(uint8_t byte) noexcept:
    """Whether a number does not end before it."""
    return 65 <= (byte & 0xDF) <= 90 or byte == 95
