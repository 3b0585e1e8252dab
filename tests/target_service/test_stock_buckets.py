"""Which rows of a product a batch takes, and what is left in each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_service.inventory import take_units
from target_service.stock_buckets import TRUNK, Buckets, Demand, Reach, demands, reach, spread, take

HELD = st.dictionaries(st.integers(0, 6), st.integers(0, 1000), min_size=1)
MOST = st.integers(1, 6)


@given(HELD, st.integers(0, 3000), MOST)
def test_whatever_is_taken_the_units_left_are_those_held_less_those_taken(
    held: dict[int, int], units: int, count: int
) -> None:
    if units > sum(held.values()):
        with pytest.raises(ValueError, match=f"{units} units of {sum(held.values())}"):
            take(held, units, count)
        return
    after = take(held, units, count)
    assert sum(after.values()) == sum(held.values()) - units
    assert min(after.values()) >= 0
    assert after.keys() == held.keys() | set(range(count))


@given(HELD, st.integers(0, 3000), MOST)
def test_the_shares_are_level_and_depend_on_nothing_but_the_sum(
    held: dict[int, int], units: int, count: int
) -> None:
    units = min(units, sum(held.values()))
    after = take(held, units, count)
    shares = [after[bucket] for bucket in range(count)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] - shares[-1] <= 1
    assert all(after[bucket] == 0 for bucket in held if bucket >= count)
    gathered = dict.fromkeys(held, 0) | {max(held): sum(held.values())}
    assert (
        take(dict(sorted(held.items(), reverse=True)), units, count) == take(gathered, units, count) == after
    )


@given(st.lists(st.dictionaries(st.integers(1, 3), st.integers(1, 5), min_size=1), max_size=12), HELD, MOST)
def test_a_batch_sells_from_the_rows_it_reaches_what_it_would_sell_from_all_in_one(
    wanted: list[dict[int, int]], held: dict[int, int], own: int
) -> None:
    total = sum(held.values())
    reachable = {}
    for sku_no, demand in demands(wanted).items():
        found = reach(held, demand, Buckets(3, own))
        reachable[sku_no] = {Reach.OWN: held.get(own, 0), Reach.TRUNK: held.get(TRUNK, 0)}.get(found, total)
    all_in_one = dict.fromkeys(reachable, total)
    for basket in wanted:
        assert (take_units(basket, reachable) is None) == (take_units(basket, all_in_one) is None)


@given(HELD, st.integers(1, 50), st.integers(1, 5), MOST)
def test_nothing_is_locked_only_where_nobody_can_be_served(
    held: dict[int, int], least: int, purchases: int, own: int
) -> None:
    demand = Demand(least * purchases, least, purchases)
    assert (reach(held, demand, Buckets(3, own)) is Reach.NONE) == (sum(held.values()) < least)


def test_a_process_takes_from_its_own_bucket_while_that_covers_the_batch() -> None:
    demand = Demand(units=10, least=1, purchases=10)
    assert reach({0: 90, 1: 10}, demand, Buckets(2, own=1)) is Reach.OWN
    assert reach({0: 90, 1: 9}, demand, Buckets(2, own=1)) is Reach.ALL
    assert reach({0: 90}, demand, Buckets(2, own=1)) is Reach.ALL
    assert reach({0: 90, 1: 10}, demand, Buckets(2, own=1, one_row=False)) is Reach.ALL


def test_what_is_not_hot_stays_in_its_trunk() -> None:
    demand = Demand(units=5, least=5, purchases=1)
    assert reach({0: 5}, demand, Buckets(4, own=1)) is Reach.TRUNK
    assert reach({0: 4, 3: 1}, demand, Buckets(4, own=1)) is Reach.ALL
    assert spread({0: 5}, demand, 4) == 1
    assert spread({0: 4, 3: 1}, demand, 4) == spread({0: 9}, Demand(9, 1, 2), 4) == 4


def test_a_demand_adds_up_the_purchases_of_a_product() -> None:
    baskets = [{1: 2}, {1: 5, 2: 1}, {1: 3}]
    assert demands(baskets) == {1: Demand(10, 2, 3), 2: Demand(1, 1, 1)}
