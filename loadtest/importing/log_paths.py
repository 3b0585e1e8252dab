"""How often each path of a log was requested: counted over all its pieces, within bounds.

By the extension `line_scan` where it is built, else by polars; both say the same.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from loadtest.sources import why_pure

if TYPE_CHECKING:
    import polars as pl


class Paths(Protocol):
    """Requests by method and path, written as one text: `GET /orders/17`, of the shape `GET /orders/{}`."""

    def add(self, counted: pl.DataFrame) -> None:
        """Count `requests` by `shape` and `asked`, the text."""

    def forget_rare(self, most: int, most_bytes: int) -> int:
        """Keep the most requested paths where there are more than twice as many, or texts twice as long.

        Then at most half of them are kept, and of equally requested ones the first by text. How many requests those
        had that are forgotten.
        """

    def most_requested(self, most: int) -> list[tuple[str, list[str], list[int]]]:
        """Each shape with its paths, without the method, and their requests; at most so many of a shape.

        The most requested come first, then the first by text; shapes have no order.
        """


@cache
def _is_native() -> bool:
    """Whether the extension is there."""
    return not why_pure("loadtest.importing.line_scan", Path(__file__).parent)


def no_paths() -> Paths:
    """An empty table of them."""
    if _is_native():
        from loadtest.importing import line_scan  # noqa: PLC0415 - not built everywhere

        return line_scan.Paths()
    return PolarsPaths()


class PolarsPaths:
    """`Paths` by polars: pieces are merged as soon as they may be too many."""

    def __init__(self) -> None:
        self._counted: list[pl.DataFrame] = []
        self._rows = self._bytes = 0

    def add(self, counted: pl.DataFrame) -> None:
        """Count some."""
        self._counted.append(counted)
        self._rows += len(counted)
        self._bytes += _text_bytes(counted)

    def forget_rare(self, most: int, most_bytes: int) -> int:
        """Keep the most requested ones."""
        if self._rows <= 2 * most and self._bytes <= 2 * most_bytes:
            return 0
        merged = kept = self._merged()
        if len(merged) > 2 * most or _text_bytes(merged) > 2 * most_bytes:
            kept = _most_requested(merged, min(most, len(merged) // 2))
        self._counted, self._rows, self._bytes = [kept], len(kept), _text_bytes(kept)
        return int(merged["requests"].sum()) - int(kept["requests"].sum())

    def most_requested(self, most: int) -> list[tuple[str, list[str], list[int]]]:
        """Each shape with its paths."""
        import polars as pl  # noqa: PLC0415 - the extra `import`

        merged = self._merged()
        many = merged.group_by("shape").len().filter(pl.col("len") > most)["shape"]
        few = merged.filter(~pl.col("shape").is_in(many.implode()))
        larger = [_most_requested(merged.filter(pl.col("shape") == shape), most) for shape in many]
        ordered = pl.concat([few, *larger]).sort("requests", "asked", descending=[True, False])
        path = pl.col("asked").str.splitn(" ", 2).struct.field("field_1")
        return ordered.group_by("shape").agg(path, "requests").rows()

    def _merged(self) -> pl.DataFrame:
        import polars as pl  # noqa: PLC0415

        empty = pl.DataFrame(schema={"shape": pl.String, "asked": pl.String, "requests": pl.UInt32})
        merged = pl.concat([empty, *self._counted], how="vertical_relaxed")
        return merged.group_by("shape", "asked").agg(pl.col("requests").sum())


def _text_bytes(counted: pl.DataFrame) -> int:
    return int(counted["asked"].str.len_bytes().sum())


def _most_requested(paths: pl.DataFrame, most: int) -> pl.DataFrame:
    """The most requested paths, in no order; of equally requested ones the first by method and path.

    Most paths of a long log are asked for once, and to sort them takes longer than to read the log.
    """
    import polars as pl  # noqa: PLC0415

    if len(paths) <= most:
        return paths
    if not most:
        return paths.head(0)
    least = paths["requests"].sort(descending=True)[most - 1]
    more, as_many = paths.filter(pl.col("requests") > least), paths.filter(pl.col("requests") == least)
    return pl.concat([more, as_many.bottom_k(most - len(more), by="asked")])
