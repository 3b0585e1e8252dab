"""What stops an import: one sentence that names the file, the line or the key, and what was expected."""


class ImportingError(ValueError):
    """An input that no plan can be made of. It is one line, whatever the input holds."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


def printable(text: str) -> str:
    """Text with an escape in the place of whatever ends a line, moves a cursor or cannot be written."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def one_line(text: str) -> str:
    """Somebody's text as a line of its own, between words of ours: white space is joined, the rest `printable`."""
    return printable(" ".join(text.split()))
