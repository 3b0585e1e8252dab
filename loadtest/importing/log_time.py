"""The instant that a log writes, as whole seconds since 1970."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

_LARGEST_S = 1e11
"""Larger numbers are of a smaller unit: the year 5138 in seconds is 1973 in milliseconds."""


@lru_cache(maxsize=100_000)
def second_of(written: str) -> int | None:
    """The second of an instant as any of the formats writes it; None if it is none.

    `10/Nov/2025:23:59:59 +0800`, ISO 8601, or a number of seconds, milliseconds, microseconds or nanoseconds.
    """
    try:
        if written[:1].isdigit() and written[2:3] == "/":
            return int(datetime.strptime(written, "%d/%b/%Y:%H:%M:%S %z").timestamp())
        if "-" in written[4:5]:
            at = datetime.fromisoformat(written)
            return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())
        number = float(written)
        for _ in range(3):  # nanoseconds are a thousandth of a thousandth of a thousandth
            if number > _LARGEST_S:
                number /= 1000
        return int(number) if 0 < number <= _LARGEST_S else None
    except (ValueError, OverflowError):
        return None


def whole_seconds(written: pl.Series) -> pl.Series:
    """Instants as text without fractions of a second, so that those of one second are equal; what is none stays.

    Only fractions that the first one has are looked for: a log writes all its instants alike.
    """
    import polars as pl  # noqa: PLC0415 - the extra `import`

    first, text = next(iter(written.drop_nulls().head(1)), ""), pl.col(written.name)
    if first[19:20] == ".":
        zone = text.str.slice(20).str.strip_chars_start("0123456789")
        cut = pl.when(text.str.slice(19, 1) == ".").then(text.str.head(19) + zone).otherwise(text)
    elif first[:1].isdigit() and "-" not in first and "/" not in first:
        number = text.cast(pl.Float64, strict=False)
        for _ in range(3):
            number = pl.when(number > _LARGEST_S).then(number / 1000).otherwise(number)
        whole = pl.when(number.is_between(1, _LARGEST_S)).then(number.cast(pl.Int64, strict=False))
        cut = pl.coalesce(whole.cast(pl.String), text)
    else:
        return written
    return written.to_frame().select(cut.alias(written.name)).to_series()
