"""What stops an import: one sentence that names the file, the line or the key, and what was expected."""

from loadtest.importing.one_line import one_line


class ImportingError(ValueError):
    """An input that no plan can be made of. It is one line, whatever the input holds."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))
