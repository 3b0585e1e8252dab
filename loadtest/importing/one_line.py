"""Text of somebody's document where one line is meant: nothing of it begins another, or moves a terminal's cursor."""


def one_line(text: str) -> str:
    """The text with what is not printable, such as a line break or half a surrogate pair, as an escape sequence."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
