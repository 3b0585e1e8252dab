"""What the logistics scenario sends, held against what the service accepts."""

from collections import Counter
from itertools import pairwise
from random import Random

import pytest

from loadtest.scenarios.logistics import (
    CROSS_BORDER,
    CROSS_BORDER_EVENTS,
    DESTINATIONS,
    EVENTS,
    FAILED_AT_FIRST,
    MISROUTED,
    ORIGIN,
    SENT_BACK,
    WEIGHTS,
    chain_to,
)
from target_service.parcels import NEXT, Region


def test_a_parcel_has_twelve_events_and_each_may_follow_the_one_before() -> None:
    chain = ("accepted", *EVENTS)
    assert len(chain) == 12
    assert all(after in NEXT[before] for before, after in pairwise(chain))


def test_a_parcel_across_a_border_has_twenty_events() -> None:
    assert len(("accepted", *CROSS_BORDER_EVENTS)) == 20
    assert set(CROSS_BORDER) < set(DESTINATIONS)


def test_every_chain_is_one_that_the_service_takes_and_the_exceptions_are_few() -> None:
    random, ends = Random(7), Counter[str]()
    for _ in range(20_000):
        chain = ("accepted", *chain_to(random.choice(DESTINATIONS), random))
        assert all(after in NEXT[before] for before, after in pairwise(chain)), chain
        assert not NEXT[chain[-1]], "the chain goes on to its end"
        ends.update(set(chain))
    assert ends["returned"] / 20_000 == pytest.approx(SENT_BACK, rel=0.3)
    assert ends["error"] / 20_000 == pytest.approx(MISROUTED, rel=0.3)
    assert ends["failed"] / 20_000 == pytest.approx(FAILED_AT_FIRST + SENT_BACK, rel=0.2)


def test_parcels_go_where_the_service_knows_a_region_and_shares_add_up() -> None:
    regions = set(Region.__args__)  # type: ignore[attr-defined]  # a Literal's choices
    assert {ORIGIN, *DESTINATIONS} <= regions
    assert sum(WEIGHTS) == 100
