"""The audit: every way two books can disagree has its own count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.judge.audit import StockLine, StoredOrders, reconcile
from loadtest.measure.ledger import LedgerEntry, OrderState


def entries(**states: OrderState) -> list[LedgerEntry]:
    """The client's books: a key for each state."""
    return [LedgerEntry(key, state) for key, state in states.items()]


ACK, INTENT, REJECTED, UNKNOWN = (
    OrderState.ACKNOWLEDGED,
    OrderState.INTENT,
    OrderState.REJECTED,
    OrderState.UNKNOWN,
)


def test_books_that_agree_balance() -> None:
    audit = reconcile(
        entries(a=ACK, b=ACK, c=REJECTED),
        StoredOrders(["a", "b"], stock=[StockLine("sku-1", initial=10, available=8, sold=2)]),
    )
    assert audit.balanced
    assert (audit.acknowledged, audit.stored) == (2, 2)


def test_an_acknowledged_order_that_is_not_stored_is_lost() -> None:
    audit = reconcile(entries(a=ACK, b=ACK), StoredOrders(["a"]))
    assert (audit.lost, audit.balanced) == (1, False)


def test_an_order_stored_twice_is_duplicated_and_counted_once_as_stored() -> None:
    audit = reconcile(entries(a=ACK), StoredOrders(["a", "a", "a"]))
    assert (audit.duplicated, audit.stored, audit.balanced) == (2, 1, False)


@pytest.mark.parametrize("state", [INTENT, UNKNOWN])
@pytest.mark.parametrize("stored", [[], ["a"]])
def test_an_order_that_was_never_answered_may_be_stored_or_not(state: OrderState, stored: list[str]) -> None:
    audit = reconcile(entries(a=state), StoredOrders(stored))
    assert audit.balanced
    assert audit.unknown == 1


def test_an_order_that_was_refused_and_stored_all_the_same_is_a_phantom() -> None:
    assert reconcile(entries(a=REJECTED), StoredOrders(["a"])).phantom == 1


def test_an_order_nobody_sent_is_a_phantom() -> None:
    assert reconcile(entries(a=ACK), StoredOrders(["a", "z"])).phantom == 1


def test_orders_of_the_run_among_the_live_ones_are_leaks() -> None:
    audit = reconcile([], StoredOrders([], leaked=3))
    assert (audit.shadow_leaks, audit.balanced) == (3, False)


@pytest.mark.parametrize(
    ("line", "oversold"),
    [
        (StockLine("s", initial=10, available=0, sold=10), 0),
        (StockLine("s", initial=10, available=0, sold=12), 2),
        (StockLine("s", initial=10, available=-1, sold=11), 1),
        (StockLine("s", initial=10, available=7, sold=2), 1),  # a unit left the shelf without an order
        (StockLine("s", initial=10, available=9, sold=2), 1),  # an order took no unit off the shelf
    ],
)
def test_stock_must_agree_with_what_was_sold(line: StockLine, oversold: int) -> None:
    assert reconcile([], StoredOrders([], stock=[line])).oversold == oversold


@given(
    states=st.dictionaries(
        st.text("abcdef", min_size=1, max_size=2), st.sampled_from([ACK, INTENT, REJECTED, UNKNOWN])
    ),
    stored=st.lists(st.text("abcdef", min_size=1, max_size=2), max_size=30),
)
def test_stored_orders_are_acknowledged_unknown_or_phantom_and_nothing_else(
    states: dict[str, OrderState], stored: list[str]
) -> None:
    audit = reconcile([LedgerEntry(key, state) for key, state in states.items()], StoredOrders(stored))
    known = {key for key, state in states.items() if state is not REJECTED}
    assert audit.stored + audit.duplicated == len(stored)
    assert audit.stored - audit.phantom == len(known & set(stored))
    assert audit.acknowledged - audit.lost == sum(states.get(key) is ACK for key in set(stored))
