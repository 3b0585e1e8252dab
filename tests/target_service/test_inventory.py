"""The catalogue, and who gets the last unit."""

from collections.abc import Mapping
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_service.inventory import (
    Catalogue,
    UnknownSkuError,
    allot,
    price_cents,
    sku_name,
    wanted_skus,
)


class Basket(NamedTuple):
    quantities: Mapping[int, int]


BASKETS = st.lists(st.dictionaries(st.integers(1, 4), st.integers(1, 5), min_size=1), max_size=30)


@given(BASKETS, st.integers(0, 30))
def test_units_are_neither_made_nor_lost_and_nobody_gets_half(
    wanted: list[dict[int, int]], initial: int
) -> None:
    baskets = [Basket(quantities) for quantities in wanted]
    left = dict.fromkeys(wanted_skus(baskets), initial)
    served, refused = allot(baskets, left)
    assert len(served) + len(refused) == len(baskets)
    for sku_no, units in left.items():
        assert units >= 0
        assert units + sum(basket.quantities.get(sku_no, 0) for basket in served) == initial
    for basket, short in refused:
        # What it lacked can only have become scarcer since.
        assert left[short.sku_no] < basket.quantities[short.sku_no]


def test_the_first_come_are_the_first_served() -> None:
    baskets = [Basket({1: 2}), Basket({1: 2}), Basket({1: 1})]
    served, refused = allot(baskets, {1: 3})
    assert served == [baskets[0], baskets[2]]
    assert [(basket, str(short)) for basket, short in refused] == [
        (baskets[1], "sku-000001: 2 wanted, 1 left")
    ]


@given(st.integers(1, 999_999_999))
def test_every_product_has_one_name_and_a_price_within_bounds(sku_no: int) -> None:
    assert Catalogue(999_999_999).parse(sku_name(sku_no)) == sku_no
    assert 99 <= price_cents(sku_no) <= 49_999


@pytest.mark.parametrize(
    "sku", ["sku-000000", "sku-000101", "sku-0000001", "sku-1", "SKU-000001", "sku-00000a", "", "sku-000001 "]
)
def test_what_is_not_in_the_catalogue_is_unknown(sku: str) -> None:
    with pytest.raises(UnknownSkuError):
        Catalogue(100).parse(sku)


def test_the_first_price_is_that_of_the_design() -> None:
    assert price_cents(1) == 1999
