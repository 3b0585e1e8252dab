"""Order numbers, purchases and prices."""

import json

from hypothesis import given
from hypothesis import strategies as st

from target_service.inventory import price_cents
from target_service.orders import (
    OrderIds,
    created_at_ms,
    draft_order,
    order_name,
    order_number,
)

NOW_NS = 1_800_000_000_123 * 1_000_000


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=200), st.integers(0, 10_000))
def test_numbers_grow_whatever_the_wall_clock_does(steps_ms: list[int], writer: int) -> None:
    clock = [NOW_NS]
    ids = OrderIds(writer, lambda: clock[0])
    made = []
    for step in steps_ms:
        clock[0] += step * 1_000_000
        made += [ids.next(), ids.next()]
    assert made == sorted(set(made))


def test_a_millisecond_with_too_many_orders_borrows_from_the_next() -> None:
    ids = OrderIds(1, lambda: NOW_NS)
    made = [ids.next() for _ in range(5000)]
    assert len(set(made)) == 5000
    assert created_at_ms(made[0]) == 1_800_000_000_123
    assert created_at_ms(made[-1]) == 1_800_000_000_123 + 4999 // 1024


def test_two_writers_never_make_the_same_number() -> None:
    one, other = OrderIds(1, lambda: NOW_NS), OrderIds(2, lambda: NOW_NS)
    assert not {one.next() for _ in range(3000)} & {other.next() for _ in range(3000)}


@given(st.integers(0, (1 << 63) - 1))
def test_a_name_leads_back_to_its_number(number: int) -> None:
    assert order_number(order_name(number)) == number


@given(st.text(max_size=20))
def test_what_is_not_a_name_is_no_number(text: str) -> None:
    number = order_number(text)
    assert number is None or order_name(number) == text


def test_an_order_is_priced_line_by_line_and_its_units_added_up() -> None:
    order, quantities = draft_order(5, 7, [(1, 2), (3, 1), (1, 4)])
    assert order.total_cents == 6 * price_cents(1) + price_cents(3)
    assert quantities == {1: 6, 3: 1}
    assert json.loads(order.lines) == [[1, 2, 1999], [3, 1, price_cents(3)], [1, 4, 1999]]
