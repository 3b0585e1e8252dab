"""The instant that a log writes, as whole seconds since 1970."""

from datetime import UTC, datetime
from functools import lru_cache


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
        while number > 1e11:
            number /= 1000
        return int(number) if number > 0 else None
    except (ValueError, OverflowError):
        return None
