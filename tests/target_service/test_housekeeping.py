"""Housekeeping against a scripted store, on a wall clock that only moves when told."""

import asyncio
from typing import Any

import pytest

from target_service.housekeeping import LONGEST_PAUSE_S, Housekeeper, Terms
from target_service.metrics import CANCELLED, SharedMetrics
from target_service.orders import first_number_at
from target_service.store.base import CancelUnpaid, ExpireKeys

NOW_MS = 1_800_000_000_000


class ScriptedStore:
    """Notes what it is asked, and answers from a list."""

    def __init__(self, *answers: int) -> None:
        self.asked: list[Any] = []
        self._answers = list(answers)

    async def write(self, change: Any) -> int:
        self.asked.append(change)
        return self._answers.pop(0) if self._answers else 0


def sweep(store: ScriptedStore, terms: Terms, *instants_ms: int) -> float:
    """Sweep at each instant; returns how many orders were counted as cancelled."""
    block = SharedMetrics.create(1).blocks[0]
    clock = [0]
    housekeeper = Housekeeper(store, terms, block.counter(CANCELLED), lambda: clock[0])  # type: ignore[arg-type]  # write only
    for instant_ms in instants_ms:
        clock[0] = instant_ms * 1_000_000
        asyncio.run(housekeeper.sweep())
    return block.series(CANCELLED)[0]


def test_a_sweep_goes_on_until_nothing_is_left_and_the_next_begins_there() -> None:
    store = ScriptedStore(500, 3)
    assert sweep(store, Terms(60, 0), NOW_MS, NOW_MS + 1000) == 503
    first, second = first_number_at(NOW_MS - 60_000), first_number_at(NOW_MS - 59_000)
    assert store.asked == [CancelUnpaid(0, first)] * 3 + [CancelUnpaid(first - 1, second)]


def test_keys_expire_by_a_term_of_their_own() -> None:
    store = ScriptedStore()
    sweep(store, Terms(0, 3600), NOW_MS)
    assert store.asked == [ExpireKeys(0, first_number_at(NOW_MS - 3_600_000))]


def test_what_lasts_for_ever_is_never_swept() -> None:
    store = ScriptedStore()
    sweep(store, Terms(0, 0), NOW_MS)
    assert store.asked == []


@pytest.mark.parametrize(
    ("terms", "pause_s"), [(Terms(0, 0), LONGEST_PAUSE_S), (Terms(5, 0), 0.5), (Terms(1800, 86_400), 60.0)]
)
def test_the_pause_is_a_tenth_of_the_shortest_term(terms: Terms, pause_s: float) -> None:
    assert terms.pause_s == pause_s
