"""What the logistics scenario sends, held against what the service accepts."""

from itertools import pairwise

from loadtest.scenarios.logistics import DESTINATIONS, EVENTS, ORIGIN, WEIGHTS
from target_service.parcels import NEXT, Region


def test_a_parcel_has_twelve_events_and_each_may_follow_the_one_before() -> None:
    chain = ("accepted", *EVENTS)
    assert len(chain) == 12
    assert all(after in NEXT[before] for before, after in pairwise(chain))


def test_parcels_go_where_the_service_knows_a_region_and_shares_add_up() -> None:
    regions = set(Region.__args__)  # type: ignore[attr-defined]  # a Literal's choices
    assert {ORIGIN, *DESTINATIONS} <= regions
    assert sum(WEIGHTS) == 100
