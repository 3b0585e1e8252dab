# Text in lines: what is ASCII, a digit, a request.

cdef struct Span:
    Bytes at
    size_t length


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


cdef inline Bytes past_digits(Bytes at, Bytes end) noexcept:
    while at < end and is_digit(at[0]):
        at += 1
    return at


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
