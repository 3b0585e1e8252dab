# Lines of JSON.

cdef enum:  # what a field is for, in the order of `log_scan`
    TIME
    METHOD
    TARGET
    STATUS
    QUERY
    REQUEST
    ADDRESS
    ROLES

cdef struct Gap:  # what stands before a value of JSON
    uint32_t at  # in the layout's text
    uint32_t length
    int number  # of the value's name among those that are wanted, or -1


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
        if role == ADDRESS and (not self.keeps_clients or kind != 34):
            return not self.keeps_clients or kind == 110
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
        if self.rank[ADDRESS] == MOST_NAMES or self.found[ADDRESS].length > MOST_KEY:
            self.found[ADDRESS] = Span(NULL, 0)
        self.add(self.found[ADDRESS], instant, Span(key, to - key))
        return True


cdef inline size_t whole_second(Span instant, uint8_t *to) noexcept:
    """An instant without fractions of a second, as `second_of` reads it; its length, 0 where it is not plain."""
    cdef Bytes end = instant.at + instant.length
    cdef Bytes zone
    cdef size_t number, digits = 0
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
        zone = instant.at + 19
        if zone < end and zone[0] == 46:
            zone = past_digits(zone + 1, end)
        memcpy(to + 19, zone, end - zone)
        return 19 + (end - zone)
    while digits < instant.length and is_digit(instant.at[digits]):
        digits += 1
        if digits > 19:
            return 0
        whole = 10 * whole + (instant.at[digits - 1] - 48)
    if whole > MOST_WHOLE:
        return 0
    if digits < instant.length:  # a fraction that no float rounds up
        if digits != 10 or instant.at[10] != 46 or instant.length > 17 or past_digits(instant.at + 11, end) != end:
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
    return past_decimal(at, end)


cdef inline Bytes past_decimal(Bytes at, Bytes end) noexcept:
    """What follows digits, or digits, a point and digits, as JSON has them and Python writes them too; else NULL."""
    cdef Bytes begin = at
    cdef Bytes point = past_digits(at, end)
    if point == begin or (point - begin > 1 and begin[0] == 48):
        return NULL
    at = point
    if point < end and point[0] == 46:
        at = past_digits(point + 1, end)
        if at == point + 1 or (at < end and at[0] == 46):
            return NULL
    return at if at - begin <= 19 else NULL
