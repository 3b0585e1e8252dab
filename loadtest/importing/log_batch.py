"""A piece of a log, counted: how many requests when, of each shape, and each different one with a query once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from loadtest.importing.log_time import second_of
from loadtest.importing.path_tree import DATA_SEGMENT, PARAMETER

if TYPE_CHECKING:
    import polars as pl

    from loadtest.importing.log_paths import Paths

_METHOD = r"^[A-Z]{3,10}$"
NOT_FOUND = "404"
PARTS = ("method", "target", "protocol", "status")


class Batch(NamedTuple):
    """What a piece holds, without its broken lines and what was answered 404.

    A row is a line that is not blank, numbered from 0.
    """

    seconds: Counter[int]
    """Requests by the second since 1970."""
    shapes: Counter[tuple[str, str]]
    """Requests by method and shape (`path_shape`)."""
    queried: pl.DataFrame
    """Each different request and status whose target has a query, as they first came: `PARTS`, how many `requests`
    there were and the row of the `first`."""
    not_found: int
    broken: int
    first_broken: int | None
    """A row."""
    known: pl.DataFrame
    """`row`, `client`, `second` as the log has it, and `request` of each row that says whose it is."""


def batch_of(rows: pl.DataFrame, paths: Paths) -> Batch:
    """Count rows with the columns of `log_format`. Equal requests are looked at once: most are asked many times.

    They may be numbered by another column, `row`. Their paths are counted in `paths`.
    """
    import polars as pl  # noqa: PLC0415 - the extra `import`

    if "row" not in rows.columns:
        rows = rows.with_row_index("row")
    asked, instants = _asked(rows), _instants(rows)
    first_broken, broken = None, _broken(rows, instants, asked)
    if broken is not None:
        first_broken = rows["row"].filter(broken)[0]
        rows = rows.filter(~broken)
        asked = _asked(rows)
    found = asked.filter(pl.col("status").ne_missing(NOT_FOUND))
    not_found = len(rows) - int(found["requests"].sum())
    if not_found:
        rows = rows.filter(pl.col("status").ne_missing(NOT_FOUND))
    seconds: Counter[int] = Counter()
    for written, requests in rows.group_by("second").len().iter_rows():
        if (second := instants[written]) is not None:
            seconds[second] += requests
    known = rows.filter(pl.col("client").is_not_null()).select("row", "client", "second", "request")
    many_broken = 0 if broken is None else int(broken.sum())
    asked_of = pl.concat_str("method", "path", separator=" ").alias("asked")
    asked_for = with_path(found).group_by(asked_of).agg(pl.col("requests").sum())
    asked_for = asked_for.with_columns(path_shape("asked").alias("shape"))
    paths.add(asked_for.select("shape", "asked", "requests"))
    queried = found.filter(pl.col("target").str.contains("?", literal=True))
    queried = queried.select(*PARTS, "requests", "first")
    shapes = by_shape(asked_for.group_by("shape").agg(pl.col("requests").sum()).iter_rows())
    return Batch(seconds, shapes, queried, not_found, many_broken, first_broken, known)


def merged(batches: list[Batch]) -> Batch:
    """Batches of one piece, whose rows are numbered together, as one."""
    import polars as pl  # noqa: PLC0415

    queried = pl.concat([batch.queried for batch in batches], how="vertical_relaxed")
    same = queried.group_by(PARTS).agg(pl.col("requests").sum(), pl.col("first").min())
    return Batch(
        sum((batch.seconds for batch in batches), Counter()),
        sum((batch.shapes for batch in batches), Counter()),
        same.sort("first"),
        sum(batch.not_found for batch in batches),
        sum(batch.broken for batch in batches),
        min((batch.first_broken for batch in batches if batch.first_broken is not None), default=None),
        pl.concat([batch.known for batch in batches], how="vertical_relaxed").sort("row"),
    )


def with_parts(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with method, target and protocol of their `request`."""
    return _split(rows, "request", " ", ["method", "target", "protocol"])


def with_path(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with path and query of their `target`."""
    return _split(rows, "target", "?", ["path", "query"])


def _split(rows: pl.DataFrame, column: str, separator: str, names: list[str]) -> pl.DataFrame:
    import polars as pl  # noqa: PLC0415

    parts = pl.col(column).str.splitn(separator, len(names)).struct.rename_fields(names)
    return rows.with_columns(parts.alias("parts")).unnest("parts")


def path_shape(column: str) -> pl.Expr:
    """Paths without what looks like data by itself; many have one shape, and each of a shape the same template."""
    import polars as pl  # noqa: PLC0415

    return pl.col(column).str.replace_all(DATA_SEGMENT, f"/{PARAMETER}")


def by_shape(counted: Iterable[tuple[str, int]]) -> Counter[tuple[str, str]]:
    """Requests by method and shape, of those by both as one text."""
    found: Counter[tuple[str, str]] = Counter()
    for text, requests in counted:
        method, _, shape = text.partition(" ")
        found[method, shape] = requests
    return found


def _asked(rows: pl.DataFrame) -> pl.DataFrame:
    """The different requests and states of some rows as they first came."""
    import polars as pl  # noqa: PLC0415

    counted = rows.group_by("request", "status").agg(requests=pl.len(), first=pl.col("row").min())
    return with_parts(counted.sort("first"))


def _instants(rows: pl.DataFrame) -> dict[str, int | None]:
    """The seconds that the different instants of some rows are."""
    return {written: second_of(written) for written in rows["second"].drop_nulls().unique()}


def _broken(rows: pl.DataFrame, instants: dict[str, int | None], asked: pl.DataFrame) -> pl.Series | None:
    """Which rows have no instant or no request; None if all have both."""
    import polars as pl  # noqa: PLC0415

    good = (
        pl.col("method").str.contains(_METHOD)
        & pl.col("target").str.starts_with("/")
        & pl.col("protocol").str.starts_with("HTTP")
    ).fill_null(False)
    bad = asked.filter(~good)["request"]
    never = [written for written, second in instants.items() if second is None]
    if not len(bad) and not never and not rows["second"].null_count():
        return None
    wrong = pl.col("request").is_in(bad.drop_nulls().implode()) | pl.col("request").is_null()
    late = pl.col("second").is_null() | pl.col("second").is_in(never)
    return rows.select((wrong | late).fill_null(True).alias("broken"))["broken"]
