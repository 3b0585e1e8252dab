"""The plan of a batch's purchases, without a database."""

from hypothesis import given
from hypothesis import strategies as st

from target_service import problem
from target_service.orders import Order, Purchase, Receipt
from target_service.store.purchases import by_run, plan
from target_service.store.sweeps import units_of
from tests.target_service.refusals import kind_of


def purchase(
    order_id: int, sku_no: int = 1, units: int = 1, key: str | None = None, run_id: str = ""
) -> Purchase:
    order = Order(order_id, 0, 7, 100, f"[[{sku_no},{units},100]]")
    return Purchase(run_id, key, (order,), {sku_no: units})


def test_a_batch_is_split_by_run() -> None:
    batch = [purchase(1, key="k"), purchase(2, key="k"), purchase(3, key="k", run_id="a"), purchase(4)]
    places = {run_id: [place for place, _ in share] for run_id, share in by_run(batch).items()}
    assert places == {"": [0, 1, 3], "a": [2]}


def test_a_key_that_comes_again_in_its_batch_gets_the_first_ones_order() -> None:
    first = purchase(1, key="k")
    batch = [(0, first), (1, purchase(2, key="k")), (2, purchase(3, units=2, key="k")), (3, purchase(4))]
    decided = plan(batch, {}, {1: 2})
    assert [decided.answers[place] for place in (0, 1)] == [
        Receipt(first.orders, replayed=again) for again in (False, True)
    ]
    assert kind_of(decided.answers[2]) is problem.KEY_REUSED
    assert [each.orders[0].order_id for each in decided.new] == [1, 4]


def test_a_key_of_a_refused_purchase_may_be_tried_again_in_its_batch() -> None:
    decided = plan([(0, purchase(1, units=3, key="k")), (1, purchase(2, key="k"))], {}, {1: 2})
    assert kind_of(decided.answers[0]) is problem.SOLD_OUT
    assert decided.answers[1] == Receipt(purchase(2, key="k").orders, replayed=False)


def test_known_keys_are_answered_without_touching_stock() -> None:
    stored = purchase(1, key="k")
    batch = [(0, purchase(2, key="k")), (1, purchase(3, units=2, key="k"))]
    left = {1: 5}
    decided = plan(batch, {"k": stored}, left)
    assert decided.answers[0] == Receipt(stored.orders, replayed=True)
    assert kind_of(decided.answers[1]) is problem.KEY_REUSED
    assert (decided.new, left) == ([], {1: 5})


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 5)), max_size=40), st.integers(0, 20))
def test_what_is_taken_is_what_the_new_orders_hold(wanted: list[tuple[int, int]], initial: int) -> None:
    batch = [(n, purchase(n, sku_no, units)) for n, (sku_no, units) in enumerate(wanted)]
    left = {1: initial, 2: initial, 3: initial}
    decided = plan(batch, {}, left)
    assert set(decided.answers) == set(range(len(wanted)))
    for sku_no, units in left.items():
        assert initial - units == sum(new.quantities.get(sku_no, 0) for new in decided.new)
    assert sum(kind_of(answer) is problem.SOLD_OUT for answer in decided.answers.values()) == len(
        wanted
    ) - len(decided.new)


def test_units_of_are_added_up_by_run_and_product() -> None:
    rows = [(1, "", "[[5,2,100],[6,1,100]]"), (2, "", "[[5,1,100]]"), (3, "a", "[[5,4,100]]")]
    assert units_of(rows) == {("", 5): 3, ("", 6): 1, ("a", 5): 4}
