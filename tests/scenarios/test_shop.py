"""What the shop's scenarios know beforehand."""

from loadtest.records import endpoint_and_region
from loadtest.scenarios.shop import ORDERS_BY_REGION, REGION_WEIGHTS, REGIONS


def test_orders_are_named_by_regions_whose_shares_add_up() -> None:
    assert [endpoint_and_region(name) for name in ORDERS_BY_REGION] == [("/orders", name) for name in REGIONS]
    assert len(REGIONS) == len(REGION_WEIGHTS)
    assert sum(REGION_WEIGHTS) == 100
