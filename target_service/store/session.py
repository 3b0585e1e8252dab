"""What both databases are asked in the same words: SQL in which `$1` stands for the first argument."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class Session(Protocol):
    """A connection inside a transaction, or one that only reads.

    A store whose calls do not wait (SQLite) has coroutines that end at once.
    """

    initial_units: int
    """Units of a product before its first sale."""
    locked: str
    """The clause that locks the rows of a SELECT until the transaction ends; empty where the store has one lock."""
    unlocked_only: str
    """The same, passing over rows that somebody else has locked."""

    async def fetch(self, sql: str, *arguments: object) -> Sequence[Sequence[Any]]:
        """The rows of a query that has few."""
        ...

    async def fetch_many(self, columns: str, source: str, *arguments: object) -> Sequence[Sequence[Any]]:
        """The rows of `SELECT columns source`, where there may be thousands."""
        ...

    async def execute(self, sql: str, *arguments: object) -> int:
        """Run a statement; how many rows it changed."""
        ...

    async def with_rows(
        self, columns: Mapping[str, str], rows: Sequence[Sequence[object]], statement: str
    ) -> None:
        """Run a statement, if there are rows, in which `new` is a table of them; each column with its SQL type."""
        ...

    def among(self, place: int, kind: str = "bigint") -> str:
        """SQL for "is one of the values, of this type, in this argument", which `listed` makes."""
        ...

    def listed(self, values: Sequence[object]) -> object:
        """Values as one argument."""
        ...
