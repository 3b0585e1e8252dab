"""What the extension `line_scan` offers; `log_scan` is who calls it."""

from collections.abc import Sequence

Found = tuple[int, dict[str, int], dict[str, int], bytes, bytes, bytes, list[int]]
"""How many rows there are; of lines that were not answered 404 how many have each instant, and each method and shape;
`lines"method path` a line, of each different path; `first"lines"method"target"protocol"status` a line, of each
different request and status with a query; lines that are not plain; and their rows."""

SOURCES: str
"""`sources.fingerprint` of what it was built from."""

class Combined:
    """Reads lines of `combined`."""

    def scan(self, data: bytes | memoryview) -> Found:
        """Count the lines of a piece."""

class JsonLines:
    """Reads lines that are flat objects of JSON."""

    def __init__(self, names: Sequence[Sequence[str]]) -> None:
        """For time, method, target, status, query and request: the names of each, of which the first counts."""

    def scan(self, data: bytes | memoryview) -> Found:
        """Count the lines of a piece."""
