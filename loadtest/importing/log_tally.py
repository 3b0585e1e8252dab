"""Access logs, counted a batch at a time: seconds, paths, queries and the steps of some clients.

What is kept is bounded whatever is read: seconds of at most 31 days, a tree of templates (`path_tree`), the most
wanted keys, a sample of queries and a sample of clients.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from loadtest.importing.import_error import ImportingError
from loadtest.importing.log_time import second_of
from loadtest.importing.path_tree import DATA_SEGMENT, PARAMETER, PathTree
from loadtest.importing.traffic import Step

if TYPE_CHECKING:
    import polars as pl

MOST_PATHS = 500_000
"""Different paths that are counted one by one; of more, the least requested are forgotten."""
MOST_QUERIES = 50_000
MOST_STEPS = 200_000
LONGEST_S = 31 * 86_400
ONE_CLIENT_IN = 32
FEWEST_CLIENTS = 20
LONGEST_VISIT_S = 1800
"""A client that was away for longer comes anew (half an hour, as web analytics count visits)."""
_QUERIES_A_BATCH = 2_000
_METHOD = r"^[A-Z]{3,10}$"


class Seen(NamedTuple):
    """One request of a client whose steps are kept."""

    client: int
    second: int
    method: str
    path: str


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
        self.seen: list[Seen] = []
        self._paths: list[pl.DataFrame] = []

    def add(self, rows: pl.DataFrame) -> int | None:
        """Count a batch with the columns of `log_format`; the number of its first broken row, if it has one.

        Raises `ImportingError` where the log goes on for longer than a month.
        """
        import polars as pl  # noqa: PLC0415

        seconds = {each: second_of(each) for each in rows["second"].unique() if each is not None}
        times = pl.col("second").replace_strict(seconds, default=None, return_dtype=pl.Int64)
        good = (
            times.is_not_null()
            & pl.col("method").str.contains(_METHOD)
            & pl.col("target").str.starts_with("/")
            & pl.col("protocol").str.starts_with("HTTP")
        ).fill_null(False)
        marked = rows.with_columns(times.alias("at"), good.alias("good"))
        first_broken = None
        whole = int(marked["good"].sum())
        if whole < len(marked):
            self.broken += len(marked) - whole
            first_broken = int(marked["good"].not_().arg_true()[0])
            marked = marked.filter("good")
        self._count(marked)
        return first_broken

    def _count(self, rows: pl.DataFrame) -> None:
        import polars as pl  # noqa: PLC0415

        found = rows.filter(pl.col("status").is_null() | (pl.col("status") != "404"))
        self.not_found += len(rows) - len(found)
        self.requests += len(found)
        for second, requests in found.group_by("at").len().iter_rows():
            self.seconds[second] += requests
        self._check_span()
        parts = pl.col("target").str.splitn("?", 2).struct.rename_fields(["path", "query"])
        found = found.with_columns(parts.alias("parts")).unnest("parts")
        paths = found.group_by("method", "path").agg(pl.len().alias("requests"))
        shape = pl.col("path").str.replace_all(DATA_SEGMENT, f"/{PARAMETER}")
        shapes = paths.group_by("method", shape).agg(pl.col("requests").sum())
        for method, path, requests in shapes.iter_rows():
            self.tree.add(method, path, requests)
        self._paths.append(paths)
        if sum(map(len, self._paths)) > 2 * MOST_PATHS:
            self._merge_paths()
        self._sample(found)

    def _check_span(self) -> None:
        first, last = min(self.seconds, default=0), max(self.seconds, default=0)
        if last - first >= LONGEST_S:
            raise ImportingError(
                f"expected logs of at most 31 days, got requests {(last - first) / 86_400:,.1f} days apart"
            )

    def _sample(self, found: pl.DataFrame) -> None:
        import polars as pl  # noqa: PLC0415

        asked = found.filter(pl.col("query").is_not_null())
        for method, path, requests in (
            asked.group_by("method", "path").len().iter_rows() if len(asked) else ()
        ):
            if len(self.with_query) < MOST_QUERIES or (method, path) in self.with_query:
                self.with_query[method, path] += requests
        if len(asked) and len(self.queries) < MOST_QUERIES:
            some = asked.gather_every(max(len(asked) // _QUERIES_A_BATCH, 1)).head(_QUERIES_A_BATCH)
            self.queries += some.select("method", "path", "query").iter_rows()
        if len(self.seen) < MOST_STEPS:
            client = pl.col("client").hash(seed=0)
            kept = found.with_columns(client.alias("who")).filter(pl.col("who") % ONE_CLIENT_IN == 0)
            self.seen += map(Seen._make, kept.select("who", "at", "method", "path").iter_rows())

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


def steps_of(tally: LogTally, names: dict[tuple[str, str], str]) -> list[Step]:
    """What customers did after what, the most usual first; empty for too few clients.

    `names` are what endpoints are called, by method and template.
    """
    visits: dict[int, list[Seen]] = defaultdict(list)
    for seen in tally.seen:
        visits[seen.client].append(seen)
    if len(visits) < FEWEST_CLIENTS:
        return []
    gaps: dict[tuple[str, str], list[int]] = defaultdict(list)
    for visit in visits.values():
        visit.sort(key=lambda each: each.second)
        for before, after in pairwise(visit):
            pair = [
                names.get((each.method, tally.tree.template_of(each.method, each.path)))
                for each in (before, after)
            ]
            if pair[0] and pair[1] and after.second - before.second <= LONGEST_VISIT_S:
                gaps[pair[0], pair[1]].append(after.second - before.second)
    followed: Counter[str] = Counter()
    for (name, _), some in gaps.items():
        followed[name] += len(some)
    steps = [Step(a, b, len(some) / followed[a], median(some)) for (a, b), some in gaps.items()]
    return sorted(steps, key=lambda step: (-len(gaps[step.before, step.after]), step))
