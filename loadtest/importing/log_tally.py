"""Access logs, counted a batch at a time: seconds, paths, queries and the steps of some clients.

What is kept is bounded whatever is read: seconds of at most 31 days, a tree of templates (`path_tree`), the most
wanted keys, a sample of queries and a sample of clients.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import groupby, pairwise
from statistics import median
from typing import TYPE_CHECKING

from loadtest.importing.import_error import ImportingError
from loadtest.importing.log_time import second_of
from loadtest.importing.path_tree import DATA_SEGMENT, PARAMETER, PathTree
from loadtest.importing.traffic import Step
from loadtest.importing.visits import LONGEST_PAUSE_S

if TYPE_CHECKING:
    import polars as pl

MOST_PATHS = 500_000
"""Different paths that are counted one by one; of more, the least requested are forgotten."""
MOST_QUERIES = 50_000
MOST_STEPS = 200_000
"""Requests that are kept with their clients: of all clients, or of an even part of them."""
LONGEST_S = 31 * 86_400
FEWEST_CLIENTS = 20
_QUERIES_A_BATCH = 2_000
_METHOD = r"^[A-Z]{3,10}$"


class LogTally:
    """What was read so far."""

    def __init__(self) -> None:
        self.seconds: Counter[int] = Counter()
        self.tree = PathTree()
        self.requests = 0
        self.broken = 0
        self.not_found = 0
        self.forgotten = 0
        """Requests of paths that are no longer counted one by one."""
        self.queries: list[tuple[str, str, str]] = []
        """Method, path and query of some requests."""
        self.with_query: Counter[tuple[str, str]] = Counter()
        self.one_client_in = 1
        """Of how many clients one has its steps kept; it doubles whenever they become too many."""
        self._seen: list[pl.DataFrame] = []
        self._paths: list[pl.DataFrame] = []

    def add(self, rows: pl.DataFrame) -> int | None:
        """Count a batch with the columns of `log_format`; the number of its first broken row, if it has one.

        Equal requests are looked at once: most are asked many times. Raises `ImportingError` where the log goes on
        for longer than a month.
        """
        import polars as pl  # noqa: PLC0415

        seconds = {each: second_of(each) for each in rows["second"].unique() if each is not None}
        asked = _asked(rows)
        first_broken, broken = None, _broken(rows, seconds, asked)
        if broken is not None:
            first_broken = int(broken.arg_true()[0])
            self.broken += int(broken.sum())
            rows = rows.filter(~broken)
            asked = _asked(rows)
        found = asked.filter(pl.col("status").ne_missing("404"))
        not_found = int(asked["requests"].sum()) - int(found["requests"].sum())
        if not_found:
            self.not_found += not_found
            rows = rows.filter(pl.col("status").ne_missing("404"))
        self._count(rows, found, seconds)
        return first_broken

    def _count(self, rows: pl.DataFrame, asked: pl.DataFrame, seconds: dict[str, int | None]) -> None:
        import polars as pl  # noqa: PLC0415

        self.requests += len(rows)
        for written, requests in rows.group_by("second").len().iter_rows():
            at = seconds[written]
            if at is not None:
                self.seconds[at] += requests
        self._check_span()
        parts = pl.col("target").str.splitn("?", 2).struct.rename_fields(["path", "query"])
        asked = asked.with_columns(parts.alias("parts")).unnest("parts")
        paths = asked.group_by("method", "path").agg(pl.col("requests").sum())
        shape = pl.col("path").str.replace_all(DATA_SEGMENT, f"/{PARAMETER}")
        shapes = paths.group_by("method", shape).agg(pl.col("requests").sum())
        for method, path, requests in shapes.iter_rows():
            self.tree.add(method, path, requests)
        self._paths.append(paths)
        if sum(map(len, self._paths)) > 2 * MOST_PATHS:
            self._merge_paths()
        self._sample_queries(asked)
        self._sample_clients(rows, seconds)

    def _check_span(self) -> None:
        first, last = min(self.seconds, default=0), max(self.seconds, default=0)
        if last - first >= LONGEST_S:
            raise ImportingError(
                f"expected logs of at most 31 days, got requests {(last - first) / 86_400:,.1f} days apart"
            )

    def _sample_queries(self, asked: pl.DataFrame) -> None:
        import polars as pl  # noqa: PLC0415

        some = asked.filter(pl.col("query").is_not_null())
        if not len(some):
            return
        for method, path, requests in (
            some.group_by("method", "path").agg(pl.col("requests").sum()).iter_rows()
        ):
            if len(self.with_query) < MOST_QUERIES or (method, path) in self.with_query:
                self.with_query[method, path] += requests
        if len(self.queries) < MOST_QUERIES:
            reached = some["requests"].cum_sum()
            step = max(reached[-1] // _QUERIES_A_BATCH, 1)
            picked = reached.search_sorted(
                pl.int_range(step // 2, reached[-1], step, eager=True), side="right"
            )
            self.queries += some.select("method", "path", "query")[picked].iter_rows()

    def _sample_clients(self, rows: pl.DataFrame, seconds: dict[str, int | None]) -> None:
        import polars as pl  # noqa: PLC0415

        known = rows.filter(pl.col("client").is_not_null())
        who = pl.col("client").hash(seed=0).alias("who")
        kept = known.select(who, "second", "request").filter(pl.col("who") % self.one_client_in == 0)
        at = pl.col("second").replace_strict(seconds, default=None, return_dtype=pl.Int64)
        parts = pl.col("target").str.splitn("?", 2).struct.field("field_0").alias("path")
        kept = _with_parts(kept.with_columns(at.alias("at"))).with_columns(parts)
        self._seen.append(kept.select("who", "at", "method", "path"))
        while sum(map(len, self._seen)) > MOST_STEPS and self.one_client_in < 1 << 32:
            self.one_client_in *= 2
            self._seen = [pl.concat(self._seen).filter(pl.col("who") % self.one_client_in == 0)]

    @property
    def has_enough_steps(self) -> bool:
        """Whether as many requests are kept with their clients as are needed to tell who goes on how."""
        return self.one_client_in > 1

    def seen(self, names: dict[tuple[str, str], str]) -> Iterator[tuple[int, int, str]]:
        """Requests as (client, second, endpoint), by client and then as they came.

        `names` are what endpoints are called, by method and template; other requests are left out.
        """
        import polars as pl  # noqa: PLC0415

        rows = pl.concat(self._seen) if self._seen else pl.DataFrame(schema=["who", "at", "method", "path"])
        paths = rows.select("method", "path").unique()
        known = [
            (method, path, name)
            for method, path in paths.iter_rows()
            if (name := names.get((method, self.tree.template_of(method, path))))
        ]
        named = pl.DataFrame(known, schema=dict.fromkeys(("method", "path", "name"), pl.String), orient="row")
        joined = rows.join(named, on=["method", "path"], how="inner", maintain_order="left")
        yield from joined.sort("who", "at", maintain_order=True).select("who", "at", "name").iter_rows()

    def keyed_paths(self, most: int) -> Iterator[tuple[str, str, str, int]]:
        """Method, shape, path and requests, the most requested first; at most so many of one shape.

        A shape is a path without what looks like data by itself; many have one.
        """
        import polars as pl  # noqa: PLC0415

        self._merge_paths()
        shape = pl.col("path").str.replace_all(DATA_SEGMENT, f"/{PARAMETER}").alias("shape")
        paths = self._paths[0].with_columns(shape).group_by("method", "shape", maintain_order=True).head(most)
        paths = paths.sort("requests", descending=True, maintain_order=True)
        yield from paths.select("method", "shape", "path", "requests").iter_rows()

    def _merge_paths(self) -> None:
        import polars as pl  # noqa: PLC0415

        empty = pl.DataFrame(schema={"method": pl.String, "path": pl.String, "requests": pl.UInt32})
        merged = pl.concat([empty, *self._paths], how="vertical_relaxed").group_by("method", "path")
        paths = merged.agg(pl.col("requests").sum()).sort(
            "requests", "method", "path", descending=[True, False, False]
        )
        self.forgotten += int(paths[MOST_PATHS:]["requests"].sum())
        self._paths = [paths.head(MOST_PATHS)]


def _with_parts(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with method, target and protocol of their `request`."""
    import polars as pl  # noqa: PLC0415

    parts = pl.col("request").str.splitn(" ", 3).struct.rename_fields(["method", "target", "protocol"])
    return rows.with_columns(parts.alias("parts")).unnest("parts")


def _asked(rows: pl.DataFrame) -> pl.DataFrame:
    """The different requests and states of some rows, with how many there are of each."""
    import polars as pl  # noqa: PLC0415

    return _with_parts(rows.group_by("request", "status").agg(pl.len().alias("requests")))


def _broken(rows: pl.DataFrame, seconds: dict[str, int | None], asked: pl.DataFrame) -> pl.Series | None:
    """Which rows have no instant or no request; None if all have both."""
    import polars as pl  # noqa: PLC0415

    good = (
        pl.col("method").str.contains(_METHOD)
        & pl.col("target").str.starts_with("/")
        & pl.col("protocol").str.starts_with("HTTP")
    ).fill_null(False)
    bad = asked.filter(~good)["request"]
    never = [written for written, second in seconds.items() if second is None]
    if not len(bad) and not never and not rows["second"].null_count():
        return None
    wrong = pl.col("request").is_in(bad.drop_nulls().implode()) | pl.col("request").is_null()
    late = pl.col("second").is_null() | pl.col("second").is_in(never)
    return rows.select((wrong | late).fill_null(True).alias("broken"))["broken"]


def steps_of(seen: Iterable[tuple[int, int, str]]) -> list[Step]:
    """What customers did after what, the most usual first; empty for too few clients.

    `seen` are requests as `LogTally.seen` gives them.
    """
    gaps: dict[tuple[str, str], list[int]] = defaultdict(list)
    clients = 0
    for _, requests in groupby(seen, key=lambda each: each[0]):
        clients += 1
        for (_, second, before), (_, at, after) in pairwise(requests):
            if at - second <= LONGEST_PAUSE_S:
                gaps[before, after].append(at - second)
    if clients < FEWEST_CLIENTS:
        return []
    followed: Counter[str] = Counter()
    for (name, _), some in gaps.items():
        followed[name] += len(some)
    steps = [Step(a, b, len(some) / followed[a], median(some)) for (a, b), some in gaps.items()]
    return sorted(steps, key=lambda step: (-len(gaps[step.before, step.after]), step))
