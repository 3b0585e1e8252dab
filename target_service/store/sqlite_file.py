"""Which file is open, and whether it is still the one at its path.

Whoever restores a backup, or tidies up, may move, delete or overwrite a database that is in use. SQLite notices
nothing: it goes on in a file that has no name any more, and what it acknowledges is gone with the process.
"""

import os
import sqlite3
from pathlib import Path


class FileMovedError(sqlite3.OperationalError):
    """The database at the path is not the one that is open."""


class OpenFile:
    """The files of one database as they were when it was opened."""

    def __init__(self, path: Path) -> None:
        self._database = str(path)
        self._files = {name: _identity(name) for name in (self._database, f"{self._database}-wal")}
        self._size_bytes = 0

    def check(self) -> None:
        """Raise FileMovedError if the database, or its log, has been moved, deleted, replaced or cut short."""
        for name, opened in self._files.items():
            if _identity(name) != opened:
                raise FileMovedError(f"{name} was moved, deleted or replaced while it was in use")
        size_bytes = os.stat(self._database).st_size
        if size_bytes < self._size_bytes:
            raise FileMovedError(f"{self._database} was cut short while it was in use")
        self._size_bytes = size_bytes


def _identity(name: str) -> tuple[int, int] | None:
    try:
        found = os.stat(name)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
