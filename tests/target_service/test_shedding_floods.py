"""Ten times what a store can do, second by second: goodput stays, the queue is bounded, and the end is the end."""

from functools import cache

import pytest

from target_service.shedding import BATCHES, LONG_QUEUE_S, SHORT_QUEUE_S
from target_service.store.store import LARGEST_BATCH
from tests.target_service.flooded_store import Crowd, FloodedStore, Second, SlowStore

FAST = SlowStore(0.002, 0.00015)
SYNCED = SlowStore(0.02, 0.00015)
"""A disk that takes 20 ms to sync."""
SLOW = SlowStore(0.1, 0.0005)
STUCK = SlowStore(0.6, 0.0005)
"""A commit lasts longer than a fast store's whole queue."""

CALM = Crowd(20, 6)
FLOOD_S, LEARNING_S, AFTER_S = 15, 10, 8


@cache
def flooded(store: SlowStore) -> tuple[list[Second], list[Second], list[Second]]:
    """The flood's first seconds, the rest of it, and half of the capacity afterwards, from when it may be calm."""
    capacity = store.capacity_per_s
    crowds = [CALM, Crowd(10 * capacity, FLOOD_S), Crowd(capacity / 2, AFTER_S)]
    seconds = FloodedStore(store).play(crowds)[int(CALM.seconds) :]
    return seconds[:LEARNING_S], seconds[LEARNING_S:FLOOD_S], seconds[FLOOD_S + 5 : FLOOD_S + AFTER_S - 1]


@pytest.mark.parametrize("store", [FAST, SYNCED, SLOW, STUCK])
def test_under_a_flood_nearly_all_that_can_be_done_is_done(store: SlowStore) -> None:
    _, flood, _ = flooded(store)
    goodput = sum(second.done for second in flood) / len(flood)
    assert goodput >= 0.9 * store.capacity_per_s


@pytest.mark.parametrize(("store", "learned_in_s"), [(FAST, 1), (SYNCED, 1), (SLOW, 5)])
def test_a_store_that_is_not_stuck_is_known_soon(store: SlowStore, learned_in_s: int) -> None:
    first, _, _ = flooded(store)
    soon = first[learned_in_s : learned_in_s + 3]
    assert sum(second.done for second in soon) / len(soon) >= 0.8 * store.capacity_per_s


@pytest.mark.parametrize("store", [FAST, SYNCED, SLOW, STUCK])
def test_whoever_is_let_in_waits_for_the_queue_it_was_promised_and_one_commit_more(store: SlowStore) -> None:
    commit_s = store.commit_s(LARGEST_BATCH)
    promised_s = max(SHORT_QUEUE_S, min(BATCHES * commit_s, LONG_QUEUE_S))
    _, flood, _ = flooded(store)
    assert max(second.longest_s for second in flood) <= promised_s + commit_s


@pytest.mark.parametrize("store", [FAST, SYNCED, SLOW, STUCK])
def test_after_a_flood_half_of_the_capacity_is_served_and_nobody_refused(store: SlowStore) -> None:
    _, _, after = flooded(store)
    assert sum(second.refused for second in after) == 0


def test_a_store_that_becomes_slow_is_not_queued_for_at_the_pace_it_had() -> None:
    flooded_store = FloodedStore(FAST)
    flooded_store.play([Crowd(10 * FAST.capacity_per_s, 3)])
    flooded_store.store = SLOW
    later = flooded_store.play([Crowd(10 * SLOW.capacity_per_s, 12)])
    assert max(second.longest_s for second in later[-4:]) <= LONG_QUEUE_S + SLOW.commit_s(LARGEST_BATCH)
