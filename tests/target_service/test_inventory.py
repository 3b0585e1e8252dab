"""The catalogue, and who gets the last unit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_service.inventory import (
    Catalogue,
    price_cents,
    sku_name,
    take_units,
)

BASKETS = st.lists(st.dictionaries(st.integers(1, 4), st.integers(1, 5), min_size=1), max_size=30)


@given(BASKETS, st.integers(0, 30))
def test_units_are_neither_made_nor_lost_and_nobody_gets_half(
    wanted: list[dict[int, int]], initial: int
) -> None:
    left = {sku_no: initial for basket in wanted for sku_no in basket}
    served: list[dict[int, int]] = []
    for basket in wanted:
        short = take_units(basket, left)
        if short is None:
            served.append(basket)
        else:
            assert any(left[sku_no] < units for sku_no, units in basket.items())
    for sku_no, units in left.items():
        assert units >= 0
        assert units + sum(basket.get(sku_no, 0) for basket in served) == initial


def test_the_first_come_are_the_first_served() -> None:
    left = {1: 3}
    assert take_units({1: 2}, left) is None
    assert str(take_units({1: 2}, left)) == "sku-000001: 2 wanted, 1 left"
    assert take_units({1: 1}, left) is None


@given(st.integers(1, 999_999_999))
def test_every_product_has_one_name_and_a_price_within_bounds(sku_no: int) -> None:
    assert Catalogue(999_999_999).number(sku_name(sku_no)) == sku_no
    assert 99 <= price_cents(sku_no) <= 49_999


@pytest.mark.parametrize(
    "sku", ["sku-000000", "sku-000101", "sku-0000001", "sku-1", "SKU-000001", "sku-00000a", "", "sku-000001 "]
)
def test_what_is_not_in_the_catalogue_is_unknown(sku: str) -> None:
    assert Catalogue(100).number(sku) is None


def test_the_first_price_is_that_of_the_design() -> None:
    assert price_cents(1) == 1999
