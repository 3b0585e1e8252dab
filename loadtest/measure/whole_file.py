"""Writes files completely or not at all, even if the process is killed meanwhile."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def whole_file(path: Path) -> Iterator[IO[str]]:
    """A UTF-8 text file beside `path`, renamed into place at the end. Raises `OSError`, leaving nothing behind."""
    with _put_in_place(path) as partial, partial.open("w", encoding="utf-8", newline="\n") as file:
        yield file


def write_whole(text: str, path: Path) -> None:
    """Write `text` to `path` whole or not at all. Raises `OSError`."""
    with whole_file(path) as file:
        file.write(text)


def write_durably(data: bytes, path: Path) -> None:
    """Write `data` to `path` whole or not at all, on the disk when this returns. Raises `OSError`.

    For what must outlive the machine's sudden end too: the file and its name are synchronised.
    """
    with _put_in_place(path) as partial, partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _put_in_place(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to, which becomes `path` at the end.

    After an `OSError`, which bears that path, neither is there anew.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)  # on a full disk the next file may need its place
        error.filename = str(path)  # a full disk says no name
        raise
