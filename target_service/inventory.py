"""The catalogue and the rule that stock never goes below zero.

Products are not rows: `sku-000001` … `sku-<n>` exist by being numbered, and their price follows from the
number, so a catalogue of a million costs nothing and is the same on every machine. Stock becomes a row when
the first unit is sold. `take_units` is the one place that decides who gets the last unit, in memory, on what the
store read inside its transaction: a hot product costs one read and one write a batch, however many want it (S[51][52]
of docs/traffic.md).
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from target_service import problem
from target_service.problem import ProblemError

SKU_PATTERN = r"^sku-[0-9]{6,9}$(?!\n)"
"""What a SKU looks like; numbers above 999,999 have more digits and no leading zero.

The same in Python and in JSON Schema: Python's `$` alone would let a line end through."""

_SKU = re.compile(SKU_PATTERN, re.ASCII)

PRICE_STEPS = 500
"""Prices run from 0.99 to 499.99 in steps of one (A: any spread will do, it only has to be deterministic)."""


SELLERS = 1000
"""Sellers the catalogue is spread over (A)."""


class Catalogue(NamedTuple):
    """The products on sale: numbers 1 to `size`."""

    size: int

    def number(self, sku: str) -> int | None:
        """The product's number, from any text; None if the catalogue does not hold it, also for a second spelling."""
        if _SKU.fullmatch(sku) is None or (len(sku) > 10 and sku[4] == "0"):
            return None
        sku_no = int(sku[4:])
        return sku_no if 1 <= sku_no <= self.size else None


def sku_name(sku_no: int) -> str:
    """How the product of this number is written."""
    return f"sku-{sku_no:06d}"


def price_cents(sku_no: int) -> int:
    """The product's price in cents: 1999 for the first, then scattered (7919 is coprime to the steps)."""
    return (19 + 7919 * (sku_no - 1)) % PRICE_STEPS * 100 + 99


def seller_of(sku_no: int) -> int:
    """Who sells the product."""
    return sku_no % SELLERS


def take_units(quantities: Mapping[int, int], left: dict[int, int]) -> ProblemError | None:
    """Take a purchase's units (by product number) from what is left, lowered in place: all or none.

    A refusal that names the first product of which there is too little, if any.
    """
    for sku_no, units in quantities.items():
        if left[sku_no] < units:
            detail = f"{sku_name(sku_no)}: {units} wanted, {left[sku_no]} left"
            return ProblemError(problem.SOLD_OUT, detail)
    for sku_no, units in quantities.items():
        left[sku_no] -= units
    return None
