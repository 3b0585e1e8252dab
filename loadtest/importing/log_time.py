"""The instant that a log writes, as whole seconds since 1970."""

from datetime import UTC, datetime
from functools import lru_cache

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
