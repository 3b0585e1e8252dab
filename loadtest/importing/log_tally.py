"""Access logs, counted a batch at a time: seconds, paths, queries and the steps of some clients.

What is kept is bounded whatever is read: seconds of at most 31 days, a tree of templates (`path_tree`), the most
wanted keys, a sample of queries and a sample of clients.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from loadtest.importing.import_error import ImportingError
from loadtest.importing.log_batch import Batch, path_shape, with_parts, with_path
from loadtest.importing.log_time import second_of
from loadtest.importing.path_tree import PathTree
from loadtest.importing.shares import Part
from loadtest.importing.traffic import Step
from loadtest.importing.visits import LONGEST_PAUSE_S

if TYPE_CHECKING:
    import polars as pl

MOST_PATHS = 500_000
"""Different paths that are counted one by one; of more, the least requested are forgotten."""
MOST_QUERIES = 50_000
MOST_STEPS = 200_000
"""Requests that are kept with their clients: of all clients, or of an even part of them."""
MOST_SHAPES = 200
"""Different shapes of paths whose requests are kept of each batch, to tell how shares change."""
LONGEST_S = 31 * 86_400
FEWEST_CLIENTS = 20
_QUERIES_A_BATCH = 2_000


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
        self._parts: list[Part] = []
        self._paths: list[pl.DataFrame] = []

    def add(self, batch: Batch) -> None:
        """Count a batch. Raises `ImportingError` where the log goes on for longer than a month."""
        self.broken += batch.broken
        self.not_found += batch.not_found
        self.requests += batch.seconds.total()
        self.seconds.update(batch.seconds)
        for (method, path), requests in batch.shapes.items():
            self.tree.add(method, path, requests)
        if batch.seconds:
            usual = dict(batch.shapes.most_common(MOST_SHAPES))
            self._parts.append(Part(min(batch.seconds), max(batch.seconds), usual))
            self._check_span()
        self._paths.append(batch.paths)
        if sum(map(len, self._paths)) > 2 * MOST_PATHS:
            self._merge_paths()
        self._sample_queries(batch.queried)
        self._sample_clients(batch.known)

    def _check_span(self) -> None:
        first, last = min(part.first for part in self._parts), max(part.last for part in self._parts)
        if last - first >= LONGEST_S:
            raise ImportingError(
                f"expected logs of at most 31 days, got requests {(last - first) / 86_400:,.1f} days apart"
            )

    def _sample_queries(self, queried: pl.DataFrame) -> None:
        """Keep some queries of each batch: as many of the last as of the first, however many there are."""
        import polars as pl  # noqa: PLC0415

        if not len(queried):
            return
        some = with_path(queried)
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

    def _sample_clients(self, known: pl.DataFrame) -> None:
        import polars as pl  # noqa: PLC0415

        if not len(known):
            return
        who = pl.col("client").hash(seed=0).alias("who")
        kept = known.select(who, "second", "request").filter(pl.col("who") % self.one_client_in == 0)
        instants = {written: second_of(written) for written in kept["second"].unique()}
        at = pl.col("second").replace_strict(instants, default=None, return_dtype=pl.Int64)
        kept = with_path(with_parts(kept.with_columns(at.alias("at"))))
        self._seen.append(kept.select("who", "at", "method", "path"))
        while sum(map(len, self._seen)) > MOST_STEPS and self.one_client_in < 1 << 32:
            self.one_client_in *= 2
            self._seen = [pl.concat(self._seen).filter(pl.col("who") % self.one_client_in == 0)]

    def parts(self) -> list[Part]:
        """Each batch's requests by method and template."""
        template_of = cache(self.tree.template_of)
        found = []
        for first, last, by_shape in self._parts:
            requests: Counter[tuple[str, str]] = Counter()
            for (method, shape), many in by_shape.items():
                requests[method, template_of(method, shape)] += many
            found.append(Part(first, last, requests))
        return found

    @property
    def has_enough_steps(self) -> bool:
        """Whether enough requests with their clients are kept to find the usual next steps."""
        return self.one_client_in > 1

    def seen(self, names: dict[tuple[str, str], str]) -> pl.DataFrame:
        """Requests as `who`, `at` (the second) and `name` (the endpoint), by client and then as they came.

        `names` are what endpoints are called, by method and template; other requests are left out.
        """
        import polars as pl  # noqa: PLC0415

        columns = {"who": pl.UInt64, "at": pl.Int64, "method": pl.String, "path": pl.String}
        rows = pl.concat(self._seen) if self._seen else pl.DataFrame(schema=columns)
        rows = rows.with_columns(path_shape("path").alias("shape"))
        known = [
            (method, shape, name)
            for method, shape in rows.select("method", "shape").unique().iter_rows()
            if (name := names.get((method, self.tree.template_of(method, shape))))
        ]
        named = pl.DataFrame(
            known, schema=dict.fromkeys(("method", "shape", "name"), pl.String), orient="row"
        )
        joined = rows.join(named, on=["method", "shape"], how="inner", maintain_order="left")
        return joined.sort("who", "at", maintain_order=True).select("who", "at", "name")

    def keyed_paths(self, most: int) -> Iterator[tuple[str, str, str, int]]:
        """Method, shape, path and requests, the most requested first; at most so many of one shape."""
        import polars as pl  # noqa: PLC0415

        self._merge_paths()
        shaped = self._paths[0].with_columns(path_shape("asked").alias("shape"))
        many = shaped.group_by("shape").len().filter(pl.col("len") > most)["shape"]
        few = shaped.filter(~pl.col("shape").is_in(many.implode()))
        larger = [_most_requested(shaped.filter(pl.col("shape") == shape), most) for shape in many]
        paths = pl.concat([few, *larger]).sort("requests", "asked", descending=[True, False])
        for shape, asked, requests in paths.select("shape", "asked", "requests").iter_rows():
            method, _, path = asked.partition(" ")
            yield method, shape[len(method) + 1 :], path, requests

    def _merge_paths(self) -> None:
        import polars as pl  # noqa: PLC0415

        empty = pl.DataFrame(schema={"asked": pl.String, "requests": pl.UInt32})
        merged = pl.concat([empty, *self._paths], how="vertical_relaxed").group_by("asked")
        paths = merged.agg(pl.col("requests").sum())
        kept = _most_requested(paths, MOST_PATHS)
        self.forgotten += int(paths["requests"].sum()) - int(kept["requests"].sum())
        self._paths = [kept]


def _most_requested(paths: pl.DataFrame, most: int) -> pl.DataFrame:
    """The most requested paths, in no order; of equally requested ones the first by method and path.

    Most paths of a long log are asked for once, and to sort them takes longer than to read the log.
    """
    import polars as pl  # noqa: PLC0415

    if len(paths) <= most:
        return paths
    least = paths["requests"].sort(descending=True)[most - 1]
    more, as_many = paths.filter(pl.col("requests") > least), paths.filter(pl.col("requests") == least)
    return pl.concat([more, as_many.bottom_k(most - len(more), by="asked")])


def steps_of(seen: pl.DataFrame) -> list[Step]:
    """Which endpoint customers asked for after which, the most frequent first; empty for too few clients.

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
