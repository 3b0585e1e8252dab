"""The curve of a query that a Prometheus answers: requests a second, at even steps."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from math import isfinite
from typing import NamedTuple
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from loadtest.address import without_secrets
from loadtest.importing.document import fetched as fetched_from
from loadtest.importing.import_error import ImportingError
from loadtest.plan.duration import parse_duration

MOST_POINTS = 11_000
"""What Prometheus answers at most."""


class Rates(NamedTuple):
    """Rates at even steps; where nothing was measured, on a straight line between its neighbours."""

    first_second: int
    step_s: float
    tps: tuple[float, ...]
    missing: int
    """Steps without a value."""


class _Series(Struct):
    values: list[tuple[float, str]] = []
    """Seconds since 1970, and the number as text; empty where the series is of histograms."""


class _Data(Struct):
    resultType: str  # noqa: N815 - Prometheus' own key
    result: msgspec.Raw


class _Answer(Struct):
    data: _Data


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
    """The address of a range query. Raises `ImportingError` for a server that has no address of HTTP."""
    if not url.startswith(("http://", "https://")):
        raise ImportingError(
            f'URL: expected an address with http:// or https://, got "{without_secrets(url)[:80]}"'
        )
    asked = {"query": query, "start": f"{from_s:.3f}", "end": f"{to_s:.3f}", "step": f"{step_s:g}"}
    return f"{url.rstrip('/')}/api/v1/query_range?{urlencode(asked)}"


def fetched(url: str) -> bytes:
    """What a Prometheus answers. Raises `ImportingError`."""
    return fetched_from(url, without_secrets(url).partition("/api/v1/")[0])


def rates_of(answer: bytes, url: str, step_s: float) -> Rates:
    """The one series of an answer. Raises `ImportingError` where there are none, or several."""
    values = {round(at, 3): value for at, value in _one_series(answer, url)}
    first = min(values)
    steps = round((max(values) - first) / step_s) + 1
    measured = [values.get(round(first + number * step_s, 3)) for number in range(steps)]
    good = [max(value, 0.0) if value is not None and isfinite(value) else None for value in measured]
    if not any(good):
        raise ImportingError("QUERY: expected rates above 0, got none")
    return Rates(round(first), step_s, tuple(_without_gaps(good)), good.count(None))


def _one_series(answer: bytes, url: str) -> list[tuple[float, float]]:
    """(seconds since 1970, value) of the only series, at least one. Raises `ImportingError`."""
    try:
        data = msgspec.json.decode(answer, type=_Answer).data
        series = msgspec.json.decode(data.result, type=list[_Series]) if data.resultType == "matrix" else []
        numbers = [(at, float(value)) for one in series[:1] for at, value in one.values]
    except (msgspec.DecodeError, ValueError) as error:
        shown = answer[:60].decode("utf-8", "replace")
        raise ImportingError(
            f"{without_secrets(url)}: expected the answer of a Prometheus, got {shown!r}"
        ) from error
    if data.resultType != "matrix" or len(series) != 1:
        got = f"{len(series)} series" if data.resultType == "matrix" else f"a {data.resultType}"
        raise ImportingError(
            f"QUERY: expected one series, such as that of sum(rate(http_requests_total[1m])), got {got}"
        )
    if not numbers:
        raise ImportingError("QUERY: expected a series of numbers, got one of histograms")
    return numbers


def _without_gaps(values: Sequence[float | None]) -> list[float]:
    """The values, with straight lines across gaps, and the nearest value before the first and after the last."""
    known = [(at, value) for at, value in enumerate(values) if value is not None]
    filled = [known[0][1]] * known[0][0]
    for (at, value), (until, following) in pairwise(known):
        filled += [value + (following - value) * step / (until - at) for step in range(until - at)]
    return filled + [known[-1][1]] * (len(values) - known[-1][0])


def instant_s(written: str, flag: str) -> float:
    """An instant of a flag as seconds since 1970. Raises `ImportingError` naming the flag."""
    try:
        at = datetime.fromisoformat(written)
    except ValueError as error:
        raise ImportingError(
            f'{flag}: expected an instant such as 2025-11-10T23:50:00Z, got "{written}"'
        ) from error
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
