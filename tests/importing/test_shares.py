"""When an endpoint's share changes, and when what looks like it is chance."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.importing.shares import Part, Share, counts_of, shares_of

PAGE, ORDER = ("GET", "/"), ("POST", "/orders")


def parts_of(pages: list[int], orders: list[int], each_s: int = 10) -> list[Part]:
    return [
        Part(number * each_s, (number + 1) * each_s - 1, {PAGE: page, ORDER: order})
        for number, (page, order) in enumerate(zip(pages, orders, strict=True))
    ]


def test_a_share_that_halves_is_told_with_its_second() -> None:
    shares = shares_of(parts_of([8000] * 6, [2000] * 3 + [1000] * 3), 0, 60)
    before, after = shares[ORDER]
    assert (before.from_s, after.from_s) == (0, 30)
    assert [before.share, after.share] == pytest.approx([0.2, 1 / 9])


def test_chance_is_no_change() -> None:
    random = Random(5)
    orders = [sum(random.random() < 0.1 for _ in range(1000)) for _ in range(40)]
    assert shares_of(parts_of([1000 - order for order in orders], orders), 0, 400) == {}


def test_logs_of_several_servers_are_one() -> None:
    """Of the same time, with other mixes: the mix of both together never changes."""
    parts = parts_of([9000] * 6, [1000] * 6) + parts_of([5000] * 3, [5000] * 3, 20)
    assert shares_of(parts, 0, 60) == {}


@given(
    st.lists(st.integers(0, 1000), min_size=1, max_size=60),
    st.lists(st.floats(0.01, 1), min_size=1, max_size=5),
    st.integers(1, 10_000),
)
def test_no_request_is_lost_or_added(counts: list[int], shares: list[float], requests: int) -> None:
    steps = [Share(number, share) for number, share in enumerate(shares[: len(counts)])]
    found = counts_of(counts, steps, requests)
    assert len(found) == len(counts)
    assert sum(found) == pytest.approx(requests if any(counts) else 0)
