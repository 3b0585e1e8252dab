"""The audit: every way two books can disagree has its own count."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.judge import audit as auditing
from loadtest.judge.audit import Reconciliation, StockLine, StoredOrders
from loadtest.measure.ledger import LedgerFile, OrderState
from loadtest.measure.run_result import Audit


def entries(**states: OrderState) -> dict[str, OrderState]:
    """The client's books: a name for each order."""
    return states


def reconcile(
    states: Mapping[str, OrderState],
    stored: Sequence[str] = (),
    leaked: int = 0,
    stock: Sequence[StockLine] = (),
) -> Audit:
    """Compare the books of orders that have names, half of them in one book and half in another."""
    books: list[list[OrderState]] = [[], []]
    keys = {}
    for number, (name, state) in enumerate(states.items()):
        keys[name] = f"r:{number % 2}:{len(books[number % 2])}"
        books[number % 2].append(state)
    compared = Reconciliation([LedgerFile(f"r:{number}", bytes(book)) for number, book in enumerate(books)])
    compared.add(keys.get(name, f"stranger:{name}") for name in stored)
    return compared.audit(StoredOrders(leaked, stock))


ACK, INTENT, REJECTED, UNKNOWN = (
    OrderState.ACKNOWLEDGED,
    OrderState.INTENT,
    OrderState.REJECTED,
    OrderState.UNKNOWN,
)


def test_books_that_agree_balance() -> None:
    audit = reconcile(
        entries(a=ACK, b=ACK, c=REJECTED),
        ["a", "b"],
        stock=[StockLine("sku-1", initial=10, available=8, sold=2)],
    )
    assert audit.balanced
    assert (audit.acknowledged, audit.stored) == (2, 2)


def test_an_acknowledged_order_that_is_not_stored_is_lost() -> None:
    audit = reconcile(entries(a=ACK, b=ACK), ["a"])
    assert (audit.lost, audit.balanced) == (1, False)


def test_an_order_stored_twice_is_duplicated_and_counted_once_as_stored() -> None:
    audit = reconcile(entries(a=ACK), ["a", "a", "a"])
    assert (audit.duplicated, audit.stored, audit.balanced) == (2, 1, False)


@pytest.mark.parametrize("state", [INTENT, UNKNOWN])
@pytest.mark.parametrize("stored", [[], ["a"]])
def test_an_order_that_was_never_answered_may_be_stored_or_not(state: OrderState, stored: list[str]) -> None:
    audit = reconcile(entries(a=state), stored)
    assert audit.balanced
    assert audit.unknown == 1


def test_an_order_that_was_refused_and_stored_all_the_same_is_a_phantom() -> None:
    assert reconcile(entries(a=REJECTED), ["a"]).phantom == 1


def test_an_order_nobody_sent_is_a_phantom() -> None:
    assert reconcile(entries(a=ACK), ["a", "z"]).phantom == 1


def test_orders_of_the_run_among_the_live_ones_are_leaks() -> None:
    audit = reconcile({}, leaked=3)
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
    assert reconcile({}, stock=[line]).oversold == oversold


@given(
    states=st.dictionaries(
        st.text("abcdef", min_size=1, max_size=2), st.sampled_from([ACK, INTENT, REJECTED, UNKNOWN])
    ),
    stored=st.lists(st.text("abcdef", min_size=1, max_size=2), max_size=30),
)
def test_stored_orders_are_acknowledged_unknown_or_phantom_and_nothing_else(
    states: dict[str, OrderState], stored: list[str]
) -> None:
    audit = reconcile(states, stored)
    known = {key for key, state in states.items() if state is not REJECTED}
    assert audit.stored + audit.duplicated == len(stored)
    assert audit.stored - audit.phantom == len(known & set(stored))
    assert audit.acknowledged - audit.lost == sum(states.get(key) is ACK for key in set(stored))


KEYS = st.sampled_from(
    [
        *(f"r:b:{number}" for number in range(5)),
        "r:c:0",
        "r:b:01",
        "r:b:+1",
        "r:b:",
        "x",
        "r:b:\u0661",
        "r:b:\u00b2",
    ]
)
"""Orders of a book, and keys that are none of its own, however much they look like it."""


@given(
    states=st.lists(st.sampled_from([OrderState.UNUSED, ACK, INTENT, REJECTED, UNKNOWN]), max_size=4),
    stored=st.lists(KEYS, max_size=40),
)
def test_counting_by_place_comes_to_what_sets_of_keys_come_to(
    states: list[OrderState], stored: list[str]
) -> None:
    """The slow way: every key in memory."""
    known = {f"r:b:{number}": state for number, state in enumerate(states)}
    compared = Reconciliation([LedgerFile("r:b", bytes(states))])
    compared.add(stored)
    found = compared.audit(StoredOrders())
    assert found.stored == len(set(stored))
    assert found.duplicated == len(stored) - len(set(stored))
    assert found.lost == sum(state is ACK and key not in stored for key, state in known.items())
    assert found.phantom == sum(known.get(key) not in (ACK, INTENT, UNKNOWN) for key in set(stored))
    assert found.acknowledged == states.count(ACK)
    assert found.unknown == states.count(INTENT) + states.count(UNKNOWN)
    assert compared.noted == len(states) - states.count(OrderState.UNUSED)


def test_books_longer_than_a_piece_and_an_order_stored_a_thousand_times_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(auditing, "CHUNK", 8)
    compared = Reconciliation([LedgerFile("r:b", bytes([ACK]) * 100)])
    compared.add([*(f"r:b:{number}" for number in range(99)), *["r:b:17"] * 999])
    found = compared.audit(StoredOrders())
    assert (found.acknowledged, found.stored, found.lost, found.duplicated) == (100, 99, 1, 999)


def test_a_file_that_is_no_ledger_is_refused_by_its_name_wherever_it_is_damaged() -> None:
    damaged = bytearray(auditing.CHUNK + 2)
    damaged[-1] = 9
    sound = LedgerFile("r:a", bytes(3))
    for states, byte in ((b"hello", ord("h")), (bytes(damaged), 9)):
        with pytest.raises(ValueError, match=rf"b\.ledger has a byte {byte}, .* was not written by a run"):
            Reconciliation([sound, LedgerFile("r:b", states)])


def test_a_problem_that_an_auditor_tells_unbalances_the_books() -> None:
    found = Reconciliation([]).audit(StoredOrders(), ["a payment was taken twice"])
    assert not found.balanced
    assert found.problems == ["a payment was taken twice"]
