"""Housekeeping against a scripted store, on clocks that only move when told."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_service.housekeeping import LONGEST_PAUSE_S, Clocks, Housekeeper, Terms
from target_service.metrics import CANCELLED, SharedMetrics
from target_service.orders import first_number_at
from target_service.store.base import CancelUnpaid, ClockReading, ExpireKeys, Tick
from target_service.store.clock import Clock, tick

WALL_MS = 1_800_000_000_000
RESERVATIONS = Terms(60, 0)


class Machine:
    """Two clocks, of which the wall's may be stepped."""

    def __init__(self) -> None:
        self.monotonic_ms = 1_000
        self.wall_ms = WALL_MS

    def pass_ms(self, milliseconds: int) -> None:
        self.monotonic_ms += milliseconds
        self.wall_ms += milliseconds

    @property
    def clocks(self) -> Clocks:
        return Clocks(lambda: self.monotonic_ms * 1_000_000, lambda: self.wall_ms * 1_000_000)


class ScriptedStore:
    """Keeps the clock, notes what it is asked, and answers from a list."""

    def __init__(self, *answers: int) -> None:
        self.clock = Clock(1, 1)
        self.asked: list[Any] = []
        self._answers = list(answers)

    async def write(self, change: Any) -> Any:
        if isinstance(change, Tick):
            clock = tick(self.clock, change)
            self.clock = clock or self.clock
            return ClockReading(self.clock.now_ms, clock is not None)
        self.asked.append(change)
        return self._answers.pop(0) if self._answers else 0


class Keeper:
    """A housekeeper and its machine."""

    def __init__(self, store: ScriptedStore, terms: Terms = RESERVATIONS) -> None:
        self.machine = Machine()
        self._block = SharedMetrics.create(1).blocks[0]
        counter = self._block.counter(CANCELLED)
        self._housekeeper = Housekeeper(store, terms, counter, self.machine.clocks)  # type: ignore[arg-type]  # write only

    def sweep_after(self, milliseconds: int) -> None:
        self.machine.pass_ms(milliseconds)
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
    keeper = Keeper(store, Terms(0, 3600))
    for pause_ms in (0, 5000, 5000):
        keeper.sweep_after(pause_ms)
    assert [type(change) for change in store.asked] == [ExpireKeys, ExpireKeys]
    assert store.asked[-1].numbered_below == first_number_at(WALL_MS + 10_000 - 3_600_000)


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


@given(st.lists(st.tuples(st.integers(0, 6000), st.integers(-(10**10), 10**10)), min_size=1, max_size=30))
def test_no_step_of_the_wall_clock_makes_anything_older_or_younger(steps: list[tuple[int, int]]) -> None:
    store, stepped = ScriptedStore(), ScriptedStore()
    steady, unsteady = Keeper(store), Keeper(stepped)
    for pause_ms, step_ms in steps:
        unsteady.machine.wall_ms += step_ms
        steady.sweep_after(pause_ms)
        unsteady.sweep_after(pause_ms)
    assert store.asked == stepped.asked
    assert store.clock == stepped.clock


LOOKS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 20_000), st.booleans()), max_size=60)
"""Which of three housekeepers looks next, how long after anybody's last look, and whether it was started anew."""


@given(LOOKS)
def test_the_clock_never_runs_faster_than_time_whoever_keeps_it(looks: list[tuple[int, int, bool]]) -> None:
    store = ScriptedStore()
    machine = Machine()
    terms = (Terms(60, 0), Terms(1, 0), Terms(0, 0))

    def started(which: int) -> Housekeeper:
        counter = SharedMetrics.create(1).blocks[0].counter(CANCELLED)
        return Housekeeper(store, terms[which], counter, machine.clocks)  # type: ignore[arg-type]  # write only

    keepers = [started(which) for which in range(3)]
    born: list[tuple[int, int]] = []
    for which, pause_ms, is_new in looks:
        machine.pass_ms(pause_ms)
        born.append((store.clock.now_ms + store.clock.step_ms, machine.monotonic_ms))
        if is_new:
            keepers[which] = started(which)
        asyncio.run(keepers[which].sweep())
        for stored_ms, at_ms in born:
            assert store.clock.now_ms - stored_ms <= machine.monotonic_ms - at_ms


def test_the_clock_goes_on_when_its_keeper_is_gone() -> None:
    store = ScriptedStore()
    first, second = Keeper(store), Keeper(store)
    for keeper in (first, first, second, first, second):
        keeper.sweep_after(3000)
    kept_ms = store.clock.now_ms
    second.sweep_after(3000)
    assert store.clock.now_ms == kept_ms + 3000
    first.sweep_after(0)
    assert store.clock.now_ms == kept_ms + 3000, "who was away for long adds nothing"
