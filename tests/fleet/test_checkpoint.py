"""A run that is interrupted and resumed is the same run: same identity, same histograms, same time axis."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.fleet import checkpoint as checkpoints
from loadtest.fleet.checkpoint import Checkpoint, CheckpointError, differences, interruption, restore
from loadtest.fleet.coordinator import Phase
from loadtest.fleet.messages import Message, Refuse
from loadtest.fleet.recovered import recover
from loadtest.fleet.snapshot import PeriodRecords, arrivals, snapshot
from loadtest.fleet.timeline import Bin
from loadtest.measure.run_result import Arrivals, RunInfo, RunResult
from loadtest.virtual_time import VirtualClock
from tests.fleet.simulated_fleet import NS, RATE, SimulatedFleet, slice_of

DURATION_S = 12
PLANNED = DURATION_S * RATE
INFO = RunInfo(
    id="run", plan="p", started_at="", duration_s=float(DURATION_S), seed=1, versions={}, machine={"cores": 2}
)


def take(fleet: SimulatedFleet) -> bytes:
    """A checkpoint of `fleet`, now."""
    return checkpoints.encode(
        Checkpoint(
            info=INFO,
            plan=b"{}",
            slos=["p99(*) < 1s"],
            periods=[],
            history=fleet.coordinator.history(),
            totals=fleet.coordinator.merge.pack(),
            gauges={"memory": [(0.5, 1e6)]},
            written_wall_ns=fleet.clock.wall_ns(),
        )
    )


def resumed(data: bytes, workers: int, *, takes_s: float = 0.0, away_s: float = 600) -> SimulatedFleet:
    """Another fleet, on another machine's clock, that goes on from a checkpoint."""
    checkpoint = checkpoints.decode(data)
    clock = VirtualClock(now_ns=5 * NS, wall_ns=checkpoint.written_wall_ns + round(away_s * NS))
    fleet = SimulatedFleet(workers, DURATION_S, takes_s=takes_s, clock=clock)
    restore(checkpoint, fleet.coordinator, interruption(checkpoint, clock.wall_ns()))
    return fleet


def run_until_level(fleet: SimulatedFleet, offset_s: float) -> None:
    fleet.run_until(offset_s)
    while not fleet.coordinator.level:
        fleet.step()


def books_of(fleet: SimulatedFleet) -> RunResult:
    return snapshot(
        fleet.coordinator,
        INFO,
        planned=lambda from_s, to_s: RATE * (to_s - from_s),
        periods=PeriodRecords(),
    )


def assert_identity(books: Arrivals) -> None:
    assert books.planned == books.scheduled + books.lost
    assert books.scheduled == books.started + books.dropped
    assert books.started == books.ok + books.failed + books.cancelled


def whole_run() -> RunResult:
    fleet = SimulatedFleet(2, DURATION_S)
    fleet.run_to_end()
    return books_of(fleet)


def test_part_and_rest_measure_what_the_whole_measures() -> None:
    first = SimulatedFleet(2, DURATION_S)
    run_until_level(first, 5.7)
    saved = take(first)
    first.run_until(7.9)  # played, and in no books: nobody will ever know of it
    second = resumed(saved, workers=3)
    second.run_to_end()
    together, whole = books_of(second), whole_run()
    assert together.arrivals == whole.arrivals
    assert together.arrivals.planned == together.arrivals.ok == PLANNED
    assert together.endpoints == whole.endpoints
    assert together.transactions == whole.transactions
    assert [(p.t_s, p.scheduled, p.requests, p.heat, p.response_ms) for p in together.timeline] == [
        (p.t_s, p.scheduled, p.requests, p.heat, p.response_ms) for p in whole.timeline
    ]
    at_s, note = second.coordinator.notes[0]
    assert (at_s, "resumed 600 s after the last checkpoint" in note) == (5.0, True)


def test_a_worker_that_outlived_its_master_is_not_heard_by_the_one_that_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = SimulatedFleet(1, DURATION_S)
    run_until_level(first, 4.6)
    saved = checkpoints.decode(take(first))
    first.run_until(5.9)
    second = SimulatedFleet(2, DURATION_S, clock=first.clock)
    restore(saved, second.coordinator, "resumed")
    [old] = first.workers.values()
    old.name, old.fleet = "old", second
    second.workers["old"] = old
    refused: list[Message] = []
    monkeypatch.setattr(old, "on_message", refused.append)
    second.run_to_end()
    assert {type(message) for message in refused} == {Refuse}
    assert all(message.anew for message in refused if isinstance(message, Refuse)), "another may come for it"
    books = books_of(second)
    assert books.arrivals == whole_run().arrivals
    assert [note for _, note in second.coordinator.notes] == ["resumed"]
    assert set(second.coordinator.merge.workers) == {"#1", "w0", "w1"}


def test_the_schedule_goes_on_where_the_books_end_and_not_before() -> None:
    first = SimulatedFleet(1, DURATION_S)
    run_until_level(first, 4.6)
    second = resumed(take(first), workers=1)
    second.run_to_end()
    known_ns = 4 * NS
    assert second.served == [offset for offset, _ in slice_of(0, 1, known_ns, DURATION_S * NS)]


def test_what_was_in_flight_is_cancelled_and_what_was_not_reported_is_lost() -> None:
    first = SimulatedFleet(2, DURATION_S, takes_s=0.25)
    first.run_until(3.7)
    first.workers["w0"].stopped = True
    first.run_until(4.6)  # the other's seconds go on: what w0 had in the last of them is unknown
    second = resumed(take(first), workers=2, takes_s=0.25)
    second.run_to_end()
    books = books_of(second).arrivals
    assert_identity(books)
    assert books.planned == PLANNED
    assert books.lost == 50, "half of the one second that only one of two workers had reported"
    assert books.cancelled > 0
    assert books.dropped == 0, "an interruption is no reason to count customers that gave up"


def test_an_aborted_run_goes_on_at_the_instant_where_its_schedule_ended() -> None:
    first = SimulatedFleet(2, DURATION_S)
    first.run_until(3.33)
    first.coordinator.abort("a signal")
    first.run_to_end()
    second = resumed(take(first), workers=2)
    second.run_to_end()
    together = books_of(second)
    assert together.arrivals == whole_run().arrivals
    assert sorted([*first.served, *second.served]) == [o for o, _ in slice_of(0, 1, 0, DURATION_S * NS)]


def test_a_run_without_anything_left_to_play_ends_by_itself() -> None:
    first = SimulatedFleet(1, DURATION_S)
    while first.coordinator.phase is not Phase.DRAINING:
        first.step()
    first.coordinator.abort("killed while it drained")
    second = resumed(take(first), workers=1)
    second.run_to_end()
    assert second.coordinator.aborted is None
    assert_identity(books_of(second).arrivals)


def test_a_resumed_run_that_never_gets_a_worker_keeps_its_books() -> None:
    first = SimulatedFleet(1, DURATION_S)
    run_until_level(first, 6)
    before = checkpoints.decode(take(first))
    second = resumed(take(first), workers=0)
    second.coordinator.abort("a signal")
    assert second.coordinator.phase is Phase.DONE
    books = books_of(second).arrivals
    assert_identity(books)
    assert books.planned == books.ok == before.known_to_s * RATE
    assert second.coordinator.history().known_to_ns == before.history.known_to_ns


@settings(max_examples=40, deadline=None)
@given(
    kills=st.lists(st.tuples(st.floats(0.2, 6), st.floats(0, 3)), min_size=1, max_size=3),
    workers=st.integers(1, 3),
    takes_s=st.sampled_from([0.0, 0.2, 1.7]),
    silent=st.booleans(),
)
def test_identity_holds_over_any_number_of_interruptions(
    kills: list[tuple[float, float]], workers: int, takes_s: float, silent: bool
) -> None:
    fleet = SimulatedFleet(workers, DURATION_S, takes_s=takes_s)
    for number, (checkpoint_after_s, killed_after_s) in enumerate(kills):
        started_s = fleet.coordinator.offset_ns / NS
        if started_s + checkpoint_after_s >= DURATION_S:
            break
        fleet.run_until(started_s + checkpoint_after_s)
        if silent and workers > 1:
            fleet.workers["w0"].stopped = True
            fleet.run_until(min(started_s + checkpoint_after_s + 1.2, DURATION_S - 0.1))
        saved = take(fleet)
        fleet.run_until(min(fleet.coordinator.offset_ns / NS + killed_after_s, DURATION_S))
        fleet = resumed(saved, workers, takes_s=takes_s, away_s=10 * number)
    fleet.run_to_end()
    books = books_of(fleet)
    assert_identity(books.arrivals)
    assert books.arrivals.planned == PLANNED
    assert 0 <= books.arrivals.lost <= len(kills) * 3 * RATE
    assert sum(point.scheduled for point in books.timeline) >= books.arrivals.scheduled
    assert books.generator.report_gaps == 0


def test_the_books_survive_their_file_exactly(tmp_path: Path) -> None:
    fleet = SimulatedFleet(2, DURATION_S, takes_s=0.3)
    fleet.run_until(7)
    saved = take(fleet)
    checkpoints.write(saved, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [checkpoints.CHECKPOINT]
    read = checkpoints.read(tmp_path)
    assert checkpoints.encode(read) == saved
    assert (read.info, read.slos, read.gauges) == (INFO, ["p99(*) < 1s"], {"memory": [(0.5, 1e6)]})
    assert read.totals == checkpoints.decode(saved).totals
    total = fleet.coordinator.merge.total
    fresh = resumed(saved, workers=1).coordinator.merge.total
    assert fresh.endpoints == total.endpoints
    assert arrivals(fresh, fresh.scheduled).ok == total.ok


def test_what_is_another_than_it_was_is_said() -> None:
    before = RunInfo(
        id="r",
        plan="p",
        started_at="",
        duration_s=1,
        seed=1,
        versions={"locust": "2.47"},
        machine={"cores": 2},
    )
    now = msgspec.structs.replace(before, versions={"locust": "2.48"}, machine={"cores": 4})
    assert differences(before, before) == ""
    assert differences(before, now) == "; with locust 2.48 instead of 2.47, cores 4 instead of 2"


SPOILED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "another file": (lambda data: b"PK" + data, "expected a checkpoint of a run"),
    "an empty file": (lambda data: data[:0], "expected a checkpoint of a run"),
    "a later version": (lambda data: data.replace(b"checkpoint 2\n", b"checkpoint 9\n", 1), "got version 9"),
    "half a file": (lambda data: data[: len(data) // 2], "damaged"),
}


@pytest.mark.parametrize("case", SPOILED)
def test_a_file_that_is_no_checkpoint_is_refused_by_name(case: str, tmp_path: Path) -> None:
    fleet = SimulatedFleet(1, DURATION_S)
    fleet.run_until(2)
    spoil, named = SPOILED[case]
    (tmp_path / checkpoints.CHECKPOINT).write_bytes(spoil(take(fleet)))
    with pytest.raises(CheckpointError, match=named) as refused:
        checkpoints.read(tmp_path)
    assert checkpoints.CHECKPOINT in str(refused.value)


def test_books_that_do_not_fit_together_are_refused() -> None:
    fleet = SimulatedFleet(1, DURATION_S)
    fleet.run_until(2)
    checkpoint = checkpoints.decode(take(fleet))
    checkpoint.history.names.clear()
    with pytest.raises(CheckpointError, match="do not fit together"):
        restore(checkpoint, SimulatedFleet(1, DURATION_S).coordinator, "note")


def test_a_run_killed_while_arrivals_waited_for_seconds_can_be_resumed_and_killed_again() -> None:
    first = SimulatedFleet(2, DURATION_S)
    first.run_until(1)
    first.workers["w0"].stuck = True
    run_until_level(first, 5.6)
    second = resumed(take(first), workers=2)
    second.run_until(6)
    third = resumed(take(second), workers=2)
    third.run_to_end()
    books = books_of(third)
    assert_identity(books.arrivals)
    assert books.arrivals.lost > 2 * RATE, "more than the newest second had"
    assert min(point.scheduled for point in books.timeline) >= 0
    assert sum(point.scheduled for point in books.timeline) == books.arrivals.scheduled


@pytest.mark.parametrize("spoiled", [Bin(response=b"cut"), Bin(failed_response=b"cut")])
def test_damaged_times_of_a_second_are_refused_when_totals_are_taken_up_not_when_they_are_drawn(
    spoiled: Bin,
) -> None:
    fleet = SimulatedFleet(1, DURATION_S)
    fleet.run_until(2)
    checkpoint = checkpoints.decode(take(fleet))
    checkpoint.totals.timeline.bins[0] = spoiled
    with pytest.raises(CheckpointError, match="do not fit together"):
        restore(checkpoint, SimulatedFleet(1, DURATION_S).coordinator, "note")
    with pytest.raises(CheckpointError, match="do not fit together"):
        recover(checkpoint, [], lambda from_s, to_s: RATE * (to_s - from_s))


def test_how_far_a_clock_was_off_is_still_told_after_a_resumption() -> None:
    first = SimulatedFleet(2, DURATION_S)
    first.coordinator.roster.clock_offsets_ns["w1"] = 40_000_000
    run_until_level(first, 4.6)
    second = resumed(take(first), workers=1)
    second.run_to_end()
    told = {worker["name"]: worker["clock_offset_ms"] for worker in books_of(second).generator.per_worker}
    assert told == {"worker 1": 0.0, "worker 2": 40.0, "worker 3": 0.0}
