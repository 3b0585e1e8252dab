"""Pieces of logs to `Batch`es: plain lines by the extension `line_scan`, where it is built, all others by polars.

Both say the same of the same lines (`tests/importing/test_log_scan.py`); the extension takes a quarter of the time.
Clients it tells by their addresses only; what tells them otherwise is read by polars.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from loadtest.importing.log_batch import PARTS, Batch, batch_of, by_shape, merged
from loadtest.importing.log_format import BY_ADDRESS, INSIDE, NOBODY, LogFormat, Who
from loadtest.importing.log_paths import Paths, PolarsPaths
from loadtest.importing.log_time import second_of

if TYPE_CHECKING:
    import polars as pl

    from loadtest.importing.line_scan import Lines


def batch_in(piece: bytes | memoryview, log_format: LogFormat, who: Who | None, paths: Paths) -> Batch:
    """The lines of a piece, counted, and their paths in `paths`."""
    scanner = None
    if who in (NOBODY, BY_ADDRESS) and not isinstance(paths, PolarsPaths):
        scanner = _scanner(log_format)
    found = scanner and _scanned(scanner, piece, log_format, who, paths)
    return found or batch_of(log_format.rows(bytes(piece), who), paths)


@cache
def _scanner(log_format: LogFormat) -> Lines | None:
    """What of the extension reads plain lines of a format; None where nothing does."""
    from loadtest.importing import line_scan  # noqa: PLC0415 - not built everywhere

    fields = log_format.fields
    if fields is None:
        of_text = {"combined": line_scan.Combined, "envoy": line_scan.Envoy}.get(log_format.name)
        return of_text and of_text()
    roles = (
        fields.time,
        fields.method,
        fields.target,
        fields.status,
        fields.query,
        fields.request,
        fields.address,
    )
    if any(INSIDE in name for names in roles for name in names):
        return None  # a line with an object in it is never plain
    return line_scan.JsonLines(roles)


def _scanned(
    scanner: Lines, piece: bytes | memoryview, log_format: LogFormat, who: Who | None, paths: Paths
) -> Batch | None:
    """What is found in a piece; None where an instant is none, since its lines have to be told apart."""
    rows, instants, known, odd, odd_rows = scanner.scan(piece, who is not NOBODY)
    seconds: Counter[int] = Counter()
    for written, lines in instants.items():
        second = second_of(written)
        if second is None:
            return None
        if lines:
            seconds[second] += lines
    shapes, queried = scanner.count_into(paths)
    plain = Batch(
        seconds,
        by_shape(shapes.items()),
        _frame(queried, ("first", "requests"), PARTS).select(*PARTS, "requests", "first"),
        rows - len(odd_rows) - seconds.total(),
        0,
        None,
        _frame(known, ("row",), ("client", "second", "request")),
    )
    return merged([plain, _numbered(odd, odd_rows, log_format, who, paths)]) if odd_rows else plain


def _frame(lines: bytes, numbers: Sequence[str], texts: Sequence[str]) -> pl.DataFrame:
    """Lines of numbers and then texts, with quotes between them, under such names."""
    import polars as pl  # noqa: PLC0415 - the extra `import`

    columns = {**dict.fromkeys(numbers, pl.UInt32), **dict.fromkeys(texts, pl.String)}
    return pl.read_csv(lines, separator='"', quote_char=None, has_header=False, schema=columns)


def _numbered(
    lines: bytes, numbers: list[int], log_format: LogFormat, who: Who | None, paths: Paths
) -> Batch:
    """Lines that have such numbers among the rows of a piece."""
    import polars as pl  # noqa: PLC0415

    rows = log_format.rows(lines, who)
    return batch_of(rows.with_columns(pl.Series("row", numbers, pl.UInt32)), paths)
