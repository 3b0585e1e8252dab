"""What the extension `line_scan` offers; `log_scan` is who calls it, and `log_paths`."""

from collections.abc import Sequence

import polars as pl

from loadtest.importing import log_paths

Found = tuple[int, dict[str, int], bytes, bytes, list[int]]
"""How many rows there are; how many lines that were not answered 404 have each instant; `row"client"instant"request`
a line, of those that say whose they are; lines that are not plain; and their rows."""

SOURCES: str
"""`sources.fingerprint` of what it was built from."""

class Paths:
    """`log_paths.Paths` in Cython."""

    def add(self, counted: pl.DataFrame) -> None:
        """Count requests by `shape` and `asked`."""

    def forget_rare(self, most: int, most_bytes: int) -> int:
        """Forget the least requested paths where they are too many; how many requests those had."""

    def most_requested(self, most: int) -> list[tuple[str, list[str], list[int]]]:
        """Each shape with its paths and their requests."""

class Lines:
    """What is found in a piece of a log."""

    def scan(self, data: bytes | memoryview, with_clients: bool = False) -> Found:
        """Read the lines of a piece; clients, which are addresses, only where asked for."""

    def count_into(self, paths: log_paths.Paths) -> tuple[dict[str, int], bytes]:
        """Count the plain lines of the last piece that were not answered 404.

        Paths are counted in `paths`, which has to be the extension's own. How many lines have each method and shape;
        `first"lines"method"target"protocol"status` a line, of each different request and status with a query.
        """

class Combined(Lines):
    """Reads lines of `combined`."""

class Envoy(Lines):
    """Reads lines of Envoy's default text."""

class JsonLines(Lines):
    """Reads lines that are flat objects of JSON."""

    def __init__(self, names: Sequence[Sequence[str]]) -> None:
        """For time, method, target, status, query, request and address: names, of which the first counts."""
