"""The curve of a query that a Prometheus answers: requests a second, at even steps."""

import json
from datetime import UTC, datetime
from math import isfinite
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

from loadtest.importing.document import fetched as fetched_from
from loadtest.importing.import_error import ImportingError
from loadtest.plan.duration import parse_duration

MOST_POINTS = 11_000
"""What Prometheus answers at most."""


class Rates(NamedTuple):
    """Rates at even steps; where nothing was measured, 0."""

    first_second: int
    step_s: float
    tps: tuple[float, ...]
    missing: int
    """Steps without a value."""


def time_range(begin: str | None, end: str | None, step: str, now_s: float) -> tuple[float, float, float]:
    """From, to and step in seconds, as flags say them. Raises `ImportingError` naming the flag."""
    to_s = instant_s(end, "--to") if end else now_s
    from_s = instant_s(begin, "--from") if begin else to_s - 3600
    try:
        step_s = parse_duration(step)
    except ValueError as error:
        raise ImportingError(f"--step: {error}") from error
    if not from_s < to_s:
        raise ImportingError("--from: expected an instant before --to")
    if not 0 < step_s <= to_s - from_s:
        raise ImportingError(f'--step: expected more than 0 s and at most the whole range, got "{step}"')
    if (to_s - from_s) / step_s > MOST_POINTS:
        least_s = (to_s - from_s) / MOST_POINTS
        raise ImportingError(f'--step: expected at least {least_s:.3g}s for so long a range, got "{step}"')
    return from_s, to_s, step_s


def query_url(url: str, query: str, from_s: float, to_s: float, step_s: float) -> str:
    """The address of a range query."""
    asked = {"query": query, "start": f"{from_s:.3f}", "end": f"{to_s:.3f}", "step": f"{step_s:g}"}
    return f"{url.rstrip('/')}/api/v1/query_range?{urlencode(asked)}"


def fetched(url: str) -> bytes:
    """What a Prometheus answers. Raises `ImportingError`."""
    parts = urlsplit(url)
    return fetched_from(url, f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")


def rates_of(answer: bytes, url: str, step_s: float) -> Rates:
    """The one series of an answer. Raises `ImportingError` where there are none, or several."""
    try:
        data = json.loads(answer)["data"]
        kind, series = data["resultType"], data["result"]
    except (ValueError, LookupError, TypeError) as error:
        raise ImportingError(f"{url}: expected the answer of a Prometheus, got {answer[:60]!r}") from error
    if kind != "matrix" or len(series) != 1:
        shown = f"{len(series)} series" if kind == "matrix" else f"a {kind}"
        raise ImportingError(
            f"QUERY: expected one series, such as that of sum(rate(http_requests_total[1m])), got {shown}"
        )
    values = {round(float(at), 3): float(value) for at, value in series[0]["values"]}
    first = min(values)
    steps = round((max(values) - first) / step_s) + 1
    measured = [values.get(round(first + number * step_s, 3)) for number in range(steps)]
    good = [value if value is not None and isfinite(value) else None for value in measured]
    if not any(good):
        raise ImportingError("QUERY: expected rates above 0, got none")
    tps = tuple(max(value or 0.0, 0.0) for value in good)
    return Rates(round(first), step_s, tps, good.count(None))


def instant_s(written: str, flag: str) -> float:
    """An instant of a flag as seconds since 1970. Raises `ImportingError` naming the flag."""
    try:
        at = datetime.fromisoformat(written)
    except ValueError as error:
        raise ImportingError(
            f'{flag}: expected an instant such as 2025-11-10T23:50:00Z, got "{written}"'
        ) from error
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
