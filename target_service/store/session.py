"""What both databases are asked in the same words: SQL in which `$1` stands for the first argument."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from target_service.store.base import Restock, StockLevel


class Session(Protocol):
    """A connection inside a transaction, or one that only reads.

    A store whose calls do not wait (SQLite) has coroutines that end at once.
    """

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

    def among(self, place: int) -> str:
        """SQL for "is one of the numbers in this argument", which `numbers` makes."""
        ...

    def numbers(self, values: Sequence[int]) -> object:
        """Numbers as one argument."""
        ...

    async def restock(self, more: Restock) -> StockLevel:
        """Add units to a product."""
        ...

    async def put_back(self, table: str, units: Mapping[tuple[str, int], int]) -> None:
        """Put units on sale again, by run and product."""
        ...

    async def lock_stock(self, table: str, run_id: str, skus: object) -> None:
        """Lock these `numbers` of products of a run, in all rows they have, until the transaction ends."""
        ...
