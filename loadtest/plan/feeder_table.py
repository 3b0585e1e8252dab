"""`[scenario.feeder]`: where the rows of a scenario come from, and how its workers share them."""

from typing import Annotated

from msgspec import Meta, Struct

from loadtest.plan.plan_error import PlanError
from loadtest.plan.plan_key import key

SOURCES = ("csv", "json_lines", "sqlite", "generator")
_DRAWN = "random"

Order = Annotated[str, Meta(pattern="^(sequential|random)$")]
Share = Annotated[str, Meta(pattern="^(whole|split)$")]
AtEnd = Annotated[str, Meta(pattern="^(recycle|refuse)$")]
Skew = Annotated[float, Meta(gt=0, le=5)]


class FeederTable(Struct, frozen=True, forbid_unknown_fields=True):
    """The data of a scenario, a row for each `self.feeder.next()` of its class; one of the first four keys."""

    csv: Annotated[
        str | None,
        key("A CSV file beside the plan; its first line names the columns.", example="buyers.csv"),
    ] = None
    json_lines: Annotated[
        str | None, key("A file beside the plan with a JSON object on each line.", example="bodies.jsonl")
    ] = None
    sqlite: Annotated[
        str | None, key("An SQLite file beside the plan; `table` names its table.", example="shop.db")
    ] = None
    generator: Annotated[
        str | None,
        key(
            "A function of (worker, workers) that yields rows; its module is found like the user class's.",
            unit="module:function",
            example="coupons:numbers",
        ),
    ] = None
    table: Annotated[str | None, key("The table or view of an SQLite file.", example="buyers")] = None
    order: Annotated[
        Order,
        key("Rows in the order of the file, or drawn at random, each equally likely.", example="random"),
    ] = "sequential"
    share: Annotated[
        Share,
        key("Whether every worker uses all rows, or each row is used by one worker only.", example="split"),
    ] = "whole"
    at_end: Annotated[
        AtEnd, key("After the last row: begin again, or fail the arrival.", example="refuse")
    ] = "recycle"
    skew: Annotated[
        Skew | None,
        key("Draw rows by Zipf's law with this exponent; the first row comes most often.", example=0.9),
    ] = None

    @property
    def source(self) -> str:
        """Which of the first four keys is given."""
        return next(name for name in SOURCES if getattr(self, name) is not None)


def check_feeder(feeder: FeederTable, where: str) -> None:
    """Check what the types cannot express. Raises `PlanError`, which begins with `where`."""
    given = [name for name in SOURCES if getattr(feeder, name) is not None]
    if len(given) != 1:
        got = " and ".join(given) or "none"
        raise PlanError(f"{where}: expected one of {', '.join(SOURCES)}, got {got}")
    if (feeder.table is not None) != (feeder.sqlite is not None):
        given_key = "table" if feeder.table is not None else "sqlite"
        wanted = "sqlite" if feeder.table is not None else "table"
        raise PlanError(f"{where}.{given_key}: expected together with {wanted}")
    if feeder.at_end == "refuse" and (feeder.order == _DRAWN or feeder.skew is not None):
        raise PlanError(
            f'{where}.at_end: "refuse": expected only with order = "sequential"; rows drawn at random never run out'
        )
    if feeder.generator is not None and feeder != FeederTable(generator=feeder.generator):
        raise PlanError(
            f"{where}.generator: expected without other keys, since the function decides which rows come"
        )
