"""Access logs, counted a batch at a time: seconds, paths, queries and the steps of some clients.

What is kept is bounded whatever is read: seconds of at most 31 days, a tree of templates (`path_tree`), the most
wanted keys, a sample of queries and a sample of clients.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
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
        self._queries_a_batch = _QUERIES_A_BATCH
        self._seen: list[pl.DataFrame] = []
        self._paths: list[pl.DataFrame] = []

    def add(self, rows: pl.DataFrame) -> int | None:
        """Count a batch with the columns of `log_format`; the number of its first broken row, if it has one.

        Equal requests are looked at once: most are asked many times. Raises `ImportingError` where the log goes on
        for longer than a month.
        """
        import polars as pl  # noqa: PLC0415

        each_second, asked = _by_second(rows), _asked(rows)
        seconds = {written: second_of(written) for written in each_second if written is not None}
        first_broken, broken = None, _broken(rows, seconds, asked)
        if broken is not None:
            first_broken = int(broken.arg_true()[0])
            self.broken += int(broken.sum())
            rows = rows.filter(~broken)
            each_second, asked = _by_second(rows), _asked(rows)
        found = asked.filter(pl.col("status").ne_missing("404"))
        not_found = len(rows) - int(found["requests"].sum())
        if not_found:
            self.not_found += not_found
            rows = rows.filter(pl.col("status").ne_missing("404"))
            each_second = _by_second(rows)
        for written, requests in each_second.items():
            at = None if written is None else seconds[written]
            if at is not None:
                self.seconds[at] += requests
        self._check_span()
        self._count(rows, found, seconds)
        return first_broken

    def _count(self, rows: pl.DataFrame, asked: pl.DataFrame, seconds: dict[str, int | None]) -> None:
        import polars as pl  # noqa: PLC0415

        self.requests += len(rows)
        asked = _with_path(asked)
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
        """Keep some queries of each batch: as many of the last as of the first, however many there are."""
        import polars as pl  # noqa: PLC0415

        some = asked.filter(pl.col("query").is_not_null())
        if not len(some):
            return
        counted = some.group_by("method", "path", maintain_order=True).agg(pl.col("requests").sum())
        for method, path, requests in counted.iter_rows():
            if len(self.with_query) < MOST_QUERIES or (method, path) in self.with_query:
                self.with_query[method, path] += requests
        reached = some["requests"].cum_sum()
        step = max(reached[-1] // self._queries_a_batch, 1)
        picked = reached.search_sorted(pl.int_range(step // 2, reached[-1], step, eager=True), side="right")
        self.queries += some.select("method", "path", "query")[picked].iter_rows()
        if len(self.queries) > MOST_QUERIES:
            self.queries = self.queries[::2]
            self._queries_a_batch = max(self._queries_a_batch // 2, 1)

    def _sample_clients(self, rows: pl.DataFrame, seconds: dict[str, int | None]) -> None:
        import polars as pl  # noqa: PLC0415

        known = rows.filter(pl.col("client").is_not_null())
        who = pl.col("client").hash(seed=0).alias("who")
        kept = known.select(who, "second", "request").filter(pl.col("who") % self.one_client_in == 0)
        at = pl.col("second").replace_strict(seconds, default=None, return_dtype=pl.Int64)
        kept = _with_path(_with_parts(kept.with_columns(at.alias("at"))))
        self._seen.append(kept.select("who", "at", "method", "path"))
        while sum(map(len, self._seen)) > MOST_STEPS and self.one_client_in < 1 << 32:
            self.one_client_in *= 2
            self._seen = [pl.concat(self._seen).filter(pl.col("who") % self.one_client_in == 0)]

    @property
    def has_enough_steps(self) -> bool:
        """Whether as many requests are kept with their clients as are needed to tell who goes on how."""
        return self.one_client_in > 1

    def seen(self, names: dict[tuple[str, str], str]) -> pl.DataFrame:
        """Requests as `who`, `at` (the second) and `name` (the endpoint), by client and then as they came.

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
        return joined.sort("who", "at", maintain_order=True).select("who", "at", "name")

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
        paths = merged.agg(pl.col("requests").sum())
        for column in ("path", "method", "requests"):  # one after another takes a third of all at once
            paths = paths.sort(column, descending=column == "requests", maintain_order=True)
        self.forgotten += int(paths[MOST_PATHS:]["requests"].sum())
        self._paths = [paths.head(MOST_PATHS)]


def _by_second(rows: pl.DataFrame) -> dict[str | None, int]:
    """How many rows have each of the instants that stand in them."""
    return dict(rows.group_by("second").len().iter_rows())


def _with_parts(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with method, target and protocol of their `request`."""
    import polars as pl  # noqa: PLC0415

    parts = pl.col("request").str.splitn(" ", 3).struct.rename_fields(["method", "target", "protocol"])
    return rows.with_columns(parts.alias("parts")).unnest("parts")


def _with_path(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with path and query of their `target`."""
    import polars as pl  # noqa: PLC0415

    parts = pl.col("target").str.splitn("?", 2).struct.rename_fields(["path", "query"])
    return rows.with_columns(parts.alias("parts")).unnest("parts")


def _asked(rows: pl.DataFrame) -> pl.DataFrame:
    """The different requests and states of some rows as they first came, with how many there are of each."""
    import polars as pl  # noqa: PLC0415

    counted = rows.group_by("request", "status", maintain_order=True).agg(requests=pl.len())
    return _with_parts(counted)


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


def steps_of(seen: pl.DataFrame) -> list[Step]:
    """What customers did after what, the most usual first; empty for too few clients.

    `seen` are requests as `LogTally.seen` gives them.
    """
    import polars as pl  # noqa: PLC0415

    if seen["who"].n_unique() < FEWEST_CLIENTS:
        return []
    goes_on = (pl.col("who") == pl.col("who").shift()) & (pl.col("at").diff() <= LONGEST_PAUSE_S)
    gaps = seen.select(
        before=pl.col("name").shift(), after="name", pause=pl.col("at").diff(), goes_on=goes_on
    ).filter("goes_on")
    steps = gaps.group_by("before", "after").agg(times=pl.len(), median_s=pl.col("pause").median())
    share = pl.col("times") / pl.col("times").sum().over("before")
    ordered = steps.with_columns(share=share).sort(
        "times", "before", "after", descending=[True, False, False]
    )
    return [Step(*row) for row in ordered.select("before", "after", "share", "median_s").iter_rows()]
