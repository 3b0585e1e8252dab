"""What stops an import: one sentence that names the file, the line or the key, and what was expected."""


class ImportingError(ValueError):
    """An input that no plan can be made of. It is one line, whatever the input holds."""

    def __init__(self, message: str) -> None:
        super().__init__(
            "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in message)
        )
