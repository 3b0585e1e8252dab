"""Which file is open, and whether it is still the one at its path.

An operator who restores a backup or tidies up may move, delete or overwrite a database that is in use. SQLite does
not notice: it goes on in a file that has no name any more, and what it acknowledges is gone with the process; or,
where `cp` put an older copy into the same file, on pages of two ages.

So that a copy shows its age, each process that commits counts on a number in the file's header, once a second
(`count_on`). A copy that is not older than what was last moved from the log into the file does no harm: it has the
same pages.
"""

import os
import sqlite3
from pathlib import Path
from typing import NamedTuple

AGE_OFFSET = 68
"""Where the header has its "application ID", which means nothing to SQLite (its file format, section 1.3.14).

Its own change counter does not do: with the log, and one process that writes, it stays as it is.
"""
LARGEST_AGE = (1 << 31) - 1
"""After it comes 0."""


REMEDY = "put it back with its log, or restart the service on what is there"


class FileMovedError(sqlite3.OperationalError):
    """The database at the path is not the one that is open."""


def count_on(connection: sqlite3.Connection) -> None:
    """Make the file one change older, inside the open transaction."""
    (age,) = connection.execute("PRAGMA application_id").fetchone()
    connection.execute(f"PRAGMA application_id = {age + 1 if age < LARGEST_AGE else 0}")


def check_whole(connection: sqlite3.Connection) -> None:
    """Raise FileMovedError if pages do not belong together, as of a copy under a newer log."""
    ((found,),) = connection.execute("PRAGMA integrity_check(1)").fetchall()
    if found != "ok":
        raise FileMovedError(f"stop the service and restore the database with its log: {found}")


class OpenFile:
    """The files of one database as they were when it was opened."""

    def __init__(self, path: Path) -> None:
        self._database = str(path)
        self._files = {name: _file_at(name) for name in (self._database, f"{self._database}-wal")}
        # Never closed while SQLite has the file open: that would end all locks that this process has on it.
        self._descriptor = os.open(self._database, os.O_RDONLY)
        self._age = self._read_age()

    def check(self) -> None:
        """Raise FileMovedError if database or log was moved, deleted, replaced, cut short or overwritten."""
        # As few calls as do: each lets go of the interpreter lock, which a busy event loop is slow to give back.
        for name, before in self._files.items():
            found = _file_at(name)
            if found.identity != before.identity:
                raise FileMovedError(f"{Path(name).name} was moved, deleted or replaced: {REMEDY}")
            if name == self._database and found.size_bytes < before.size_bytes:
                raise FileMovedError(f"{Path(name).name} was cut short: {REMEDY}")
            self._files[name] = found
        age = self._read_age()
        if (age - self._age) % (LARGEST_AGE + 1) > LARGEST_AGE // 2:
            raise FileMovedError(f"{Path(self._database).name} was overwritten by an older copy: {REMEDY}")
        self._age = age

    def _read_age(self) -> int:
        return int.from_bytes(os.pread(self._descriptor, 4, AGE_OFFSET))


class _File(NamedTuple):
    identity: tuple[int, int]
    """Device and number; zeros where there is none."""
    size_bytes: int


def _file_at(name: str) -> _File:
    try:
        found = os.stat(name)
    except FileNotFoundError:
        return _File((0, 0), 0)
    return _File((found.st_dev, found.st_ino), found.st_size)
