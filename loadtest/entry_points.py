"""The entry points of all installed packages, read once.

gevent asks for them 25 times while Locust is imported, and Python reads every package's metadata each time: 0.14 s of
CPU a process where 170 packages are installed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import Any


@contextmanager
def entry_points_read_once() -> Iterator[None]:
    """Answer whoever asks for entry points meanwhile from what is read now."""
    read = metadata.entry_points
    every = read()

    def chosen(**wanted: Any) -> Any:
        return every.select(**wanted)

    metadata.entry_points = chosen
    try:
        yield
    finally:
        metadata.entry_points = read
