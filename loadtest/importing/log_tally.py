"""Access logs, counted a batch at a time: seconds, paths, queries and the steps of some clients.

What is kept is bounded whatever is read: seconds of at most 31 days, a tree of templates (`path_tree`), the most
wanted keys, a sample of queries, a sample of clients and the mix of some thousand parts. So is what a batch takes,
however many came before it.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from math import inf
from typing import TYPE_CHECKING

from loadtest.importing.import_error import ImportingError
from loadtest.importing.log_batch import Batch, path_shape, with_parts, with_path
from loadtest.importing.log_paths import no_paths
from loadtest.importing.log_time import second_of
from loadtest.importing.path_tree import PathTree
from loadtest.importing.shares import Part, halved
from loadtest.importing.traffic import Step
from loadtest.importing.visits import LONGEST_PAUSE_S

if TYPE_CHECKING:
    import polars as pl

MOST_PATHS = 500_000
"""Different paths that are counted one by one; of twice as many, the least requested are forgotten."""
MOST_PATH_BYTES = 64 << 20
"""Of all of them; the same holds for twice as many."""
MOST_QUERIES = 50_000
MOST_STEPS = 200_000
"""Requests that are kept with their clients: of all clients, or of an even part of them."""
MOST_SHAPES = 200
"""Different shapes of paths whose requests are kept of each batch, to tell how shares change."""
MOST_PARTS = 2_000
"""Batches whose requests are kept apart for that; of more, neighbours are put together."""
_MOST_FRAMES = 100
"""Of steps, before they are put into one: of few clients, a batch has hardly any."""
LONGEST_S = 31 * 86_400
FEWEST_CLIENTS = 20
_QUERIES_A_BATCH = 2_000


class LogTally:
    """What was read so far."""

    def __init__(self) -> None:
        self.seconds: Counter[int] = Counter()
        self.tree = PathTree()
        self.paths = no_paths()
        """Whoever makes a batch counts its paths here."""
        self.requests = 0
        self.broken = 0
        self.not_found = 0
        self.forgotten = 0
        """Requests of paths that are no longer counted one by one."""
        self.queries: list[tuple[str, str, str]] = []
        """Method, shape and query of some requests."""
        self.with_query: Counter[tuple[str, str]] = Counter()
        """Requests by method and what was the template of their path when they came; `PathTree` knows it still."""
        self.one_client_in = 1
        """Of how many clients one has its steps kept; it doubles whenever they become too many."""
        self._queries_a_batch = _QUERIES_A_BATCH
        self._seen: list[pl.DataFrame] = []
        self._steps = 0
        self._parts: list[Part] = []
        self._first, self._last = inf, -inf

    def add(self, batch: Batch) -> None:
        """Count a batch. Raises `ImportingError` where the log goes on for longer than a month."""
        self.broken += batch.broken
        self.not_found += batch.not_found
        self.requests += batch.seconds.total()
        self.seconds.update(batch.seconds)
        for (method, path), requests in batch.shapes.items():
            self.tree.add(method, path, requests)
        if batch.seconds:
            self._add_part(batch)
        self.forgotten += self.paths.forget_rare(MOST_PATHS, MOST_PATH_BYTES)
        self._sample_queries(batch.queried)
        self._sample_clients(batch.known)

    def _add_part(self, batch: Batch) -> None:
        first, last = min(batch.seconds), max(batch.seconds)
        self._check_span(first, last)
        self._parts.append(Part(first, last, dict(batch.shapes.most_common(MOST_SHAPES))))
        if len(self._parts) > MOST_PARTS:
            self._parts = halved(self.parts(), MOST_SHAPES)

    def _check_span(self, first: int, last: int) -> None:
        self._first, self._last = min(self._first, first), max(self._last, last)
        if self._last - self._first >= LONGEST_S:
            raise ImportingError(
                "expected logs of at most 31 days, got requests "
                f"{(self._last - self._first) / 86_400:,.1f} days apart"
            )

    def _sample_queries(self, queried: pl.DataFrame) -> None:
        """Keep some queries of each batch: as many of the last as of the first, however many there are."""
        import polars as pl  # noqa: PLC0415

        if not len(queried):
            return
        some = with_path(queried).with_columns(path_shape("path"))
        counted = some.group_by("method", "path").agg(pl.col("requests").sum())
        for method, shape, requests in counted.iter_rows():
            self.with_query[method, self.tree.template_of(method, shape)] += requests
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
        self._steps += len(kept)
        if len(self._seen) > _MOST_FRAMES:
            self._seen = [pl.concat(self._seen, rechunk=True)]
        while self._steps > MOST_STEPS and self.one_client_in < 1 << 32:
            self.one_client_in *= 2
            self._seen = [pl.concat(self._seen).filter(pl.col("who") % self.one_client_in == 0)]
            self._steps = len(self._seen[0])

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
