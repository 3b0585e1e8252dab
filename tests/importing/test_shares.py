"""When an endpoint's share changes, and when what looks like it is chance."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.importing.shares import Part, Share, counts_of, halved, shares_of

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


def two_servers() -> list[Part]:
    """A quiet one, whose parts are minutes, and a busy one, whose parts are seconds and which sells less later."""
    quiet = [Part(begin, begin + 59, {PAGE: 90, ORDER: 10}) for begin in range(0, 3840, 60)]
    busy = [Part(at, at, {PAGE: 900, ORDER: 100 if at < 1920 else 50}) for at in range(3840)]
    return quiet + busy


def test_parts_that_were_put_together_tell_of_the_same_change() -> None:
    whole = shares_of(two_servers(), 0, 3840)[ORDER]
    parts = two_servers()
    for _ in range(4):
        parts = halved(parts, 200)
    assert len(parts) < 250
    some = shares_of(parts, 0, 3840)[ORDER]
    assert [step.from_s for step in some] == [step.from_s for step in whole] == [0, 1920]
    assert [step.share for step in some] == pytest.approx([step.share for step in whole], rel=0.01)


@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 500), st.integers(1, 99)), max_size=80))
def test_parts_put_together_are_half_as_many_and_hold_the_same_requests(
    written: list[tuple[int, int, int]],
) -> None:
    parts = [Part(first, first + more, {PAGE: many, ORDER: 1}) for first, more, many in written]
    fewer = halved(parts, 200)
    assert len(fewer) <= len(parts) // 2 + 10  # one left over of each length
    for endpoint in (PAGE, ORDER):
        assert sum(part.requests[endpoint] for part in fewer) == sum(
            part.requests[endpoint] for part in parts
        )
    assert {part.first for part in fewer} <= {part.first for part in parts}
    assert max((part.last for part in fewer), default=0) == max((part.last for part in parts), default=0)


def test_of_parts_put_together_the_usual_endpoints_are_kept() -> None:
    (one,) = halved([Part(0, 9, {PAGE: 5, ORDER: 1}), Part(10, 19, {PAGE: 5, ("GET", "/a"): 2})], 2)
    assert one == Part(0, 19, {PAGE: 10, ("GET", "/a"): 2})
