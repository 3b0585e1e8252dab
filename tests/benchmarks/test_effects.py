"""A run's seconds are dealt into the blocks in which something was, or was not, tried."""

import pytest

from benchmarks.paired import ORDERS
from benchmarks.service.effects import EFFECTS, WARM_UP_S, Plan, check_kept_up
from benchmarks.service.seconds import SecondLine
from loadtest.measure import codec
from loadtest.measure.histogram import Histogram


def second(index: int, orders: int = 100) -> SecondLine:
    histogram = Histogram()
    histogram.record_many(1000 + index, orders)
    return SecondLine(index, {"response": codec.encode(histogram)})


PLAN = Plan(EFFECTS["slow-clients"]._replace(guard_s=1, counted_s=2), list(ORDERS))


def test_something_is_tried_in_b_of_every_other_quartet_only() -> None:
    tried = [offset_s for offset_s, treated in PLAN.blocks() if treated]
    assert tried == [WARM_UP_S + 4 * 3, WARM_UP_S + 7 * 3]  # the second quartet is BAAB


def test_a_block_counts_its_own_seconds_without_the_guard() -> None:
    seconds = {index: second(index) for index in range(PLAN.duration_s)}
    aa, ab = PLAN.quartets(seconds)
    assert (aa.treated, ab.treated) == (False, True)
    assert [block.label for block in ab.blocks] == list("BAAB")
    first = codec.decode(ab.blocks[0].latencies["response"])
    from_s = WARM_UP_S + 4 * 3 + 1
    assert (first.min_us, first.max_us, first.count) == (1000 + from_s, 1000 + from_s + 1, 200)


def test_a_run_that_did_not_keep_up_is_refused() -> None:
    seconds = {index: second(index, orders=50) for index in range(PLAN.duration_s)}
    with pytest.raises(RuntimeError, match="lower --rate"):
        check_kept_up(PLAN.quartets(seconds), orders=200)
    check_kept_up(PLAN.quartets(seconds), orders=100)
