"""Housekeeping against a scripted store, on clocks that only move when told."""

import asyncio
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_service.housekeeping import (
    CHUNK,
    LARGEST_CHUNK,
    LONGEST_PAUSE_S,
    LONGEST_WORK_S,
    WANTED_PER_S,
    Housekeeper,
    Terms,
    next_chunk,
)
from target_service.metrics import CANCELLED, SharedMetrics
from target_service.store.base import CancelUnpaid, ExpireKeys, Swept, Tick
from target_service.store.store import Store
from target_service.store.sweeps import SWEEPS

RESERVATIONS = Terms(60, 0)


class Machine:
    """A clock that only moves when told."""

    def __init__(self) -> None:
        self.monotonic_ms = 1_000

    def now_ns(self) -> int:
        return self.monotonic_ms * 1_000_000


class ScriptedStore:
    """Keeps the clock by the store's own rules, notes what it is asked, and answers from a list."""

    initial_units, locked, unlocked_only = 0, "", ""

    def __init__(self, *answers: int) -> None:
        self.now_ms = self.step_ms = 1
        self.asked: list[Any] = []
        self._answers = list(answers)

    async def write(self, change: Any) -> Any:
        if isinstance(change, Tick):
            return await SWEEPS[Tick](self, change)  # type: ignore[arg-type]  # of a session, what it asks of the clock
        self.asked.append(change)
        swept = Swept(self._answers.pop(0) if self._answers else 0)
        swept.took_s = 0.0
        return swept

    async def fetch(self, _sql: str) -> list[tuple[int, int]]:
        return [(self.now_ms, self.step_ms)]

    async def execute(self, _sql: str, now_ms: int, step_ms: int) -> None:
        self.now_ms, self.step_ms = now_ms, step_ms


class Keeper:
    """A housekeeper and its machine."""

    def __init__(self, store: ScriptedStore, terms: Terms = RESERVATIONS) -> None:
        self.machine = Machine()
        self._block = SharedMetrics.create(1).blocks[0]
        counter = self._block.counter(CANCELLED)
        self._housekeeper = Housekeeper(cast("Store", store), terms, counter, self.machine.now_ns)

    def sweep_after(self, milliseconds: int) -> None:
        self.machine.monotonic_ms += milliseconds
        asyncio.run(self._housekeeper.sweep())

    @property
    def cancelled(self) -> float:
        return self._block.series(CANCELLED)[0]


def test_the_first_look_only_sees_whether_somebody_else_keeps_the_clock() -> None:
    store = ScriptedStore()
    keeper = Keeper(store)
    keeper.sweep_after(0)
    assert store.asked == []
    keeper.sweep_after(3000)
    assert [type(change) for change in store.asked] == [CancelUnpaid]


def test_a_sweep_goes_on_until_nothing_is_left() -> None:
    store = ScriptedStore(500, 3)
    keeper = Keeper(store)
    keeper.sweep_after(0)
    keeper.sweep_after(3000)
    assert keeper.cancelled == 503
    assert len(store.asked) == 3


def test_keys_expire_by_a_term_of_their_own() -> None:
    store = ScriptedStore()
    keeper = Keeper(store, Terms(0, 20))
    for pause_ms in (0, *[2000] * 15):
        keeper.sweep_after(pause_ms)
    assert {type(change) for change in store.asked} == {ExpireKeys}
    assert store.asked[0].stored_before_ms == 1, "what bears no time is due, and nothing else so far"
    assert store.asked[-1].stored_before_ms == store.now_ms - 20_000 > 1


def test_what_lasts_for_ever_is_never_swept() -> None:
    store = ScriptedStore()
    keeper = Keeper(store, Terms(0, 0))
    for _ in range(3):
        keeper.sweep_after(5000)
    assert store.asked == []


@pytest.mark.parametrize(
    ("terms", "pause_s"), [(Terms(0, 0), LONGEST_PAUSE_S), (Terms(5, 0), 0.25), (Terms(1800, 86_400), 5.0)]
)
def test_the_pause_is_a_twentieth_of_the_shortest_term(terms: Terms, pause_s: float) -> None:
    assert terms.pause_s == pause_s


@given(st.integers(100, 5000), st.floats(0, 0.1), st.floats(0, 0.2))
def test_a_chunk_grows_until_it_keeps_up_and_shrinks_where_it_takes_too_long(
    chunk: int, work_s: float, longer_s: float
) -> None:
    after = next_chunk(chunk, work_s, work_s + longer_s)
    if work_s > LONGEST_WORK_S:
        assert after < chunk or after == CHUNK // 4
    elif chunk < WANTED_PER_S * (work_s + longer_s):
        assert after == min(LARGEST_CHUNK, 2 * chunk)
    else:
        assert after <= max(chunk, CHUNK)


LOOKS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 20_000), st.booleans()), max_size=60)
"""Which of three housekeepers looks next, how long after anybody's last look, and whether it was started anew."""


@given(LOOKS)
def test_the_clock_never_runs_faster_than_time_whoever_keeps_it(looks: list[tuple[int, int, bool]]) -> None:
    store = ScriptedStore()
    machine = Machine()
    terms = (Terms(60, 0), Terms(1, 0), Terms(0, 0))

    def started(which: int) -> Housekeeper:
        counter = SharedMetrics.create(1).blocks[0].counter(CANCELLED)
        return Housekeeper(cast("Store", store), terms[which], counter, machine.now_ns)

    keepers = [started(which) for which in range(3)]
    born: list[tuple[int, int]] = []
    for which, pause_ms, is_new in looks:
        machine.monotonic_ms += pause_ms
        born.append((store.now_ms + store.step_ms, machine.monotonic_ms))
        if is_new:
            keepers[which] = started(which)
        asyncio.run(keepers[which].sweep())
        for stored_ms, at_ms in born:
            assert store.now_ms - stored_ms <= machine.monotonic_ms - at_ms


def test_the_clock_goes_on_when_its_keeper_is_gone() -> None:
    store = ScriptedStore()
    first, second = Keeper(store), Keeper(store)
    for keeper in (first, first, second, first, second):
        keeper.sweep_after(3000)
    kept_ms = store.now_ms
    second.sweep_after(3000)
    assert store.now_ms == kept_ms + 3000
    first.sweep_after(0)
    assert store.now_ms == kept_ms + 3000, "who was away for long adds nothing"
