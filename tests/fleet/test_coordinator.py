"""The coordinator with simulated workers, on virtual time: slots, leases, losses and the identity."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.fleet.bundle import Bundle, WorkerSums
from loadtest.fleet.coordinator import Phase, Wanted
from loadtest.fleet.messages import Ack, Clock, Hello, Refuse, Report, UserCount
from loadtest.fleet.snapshot import arrivals
from loadtest.measure.second import COUNTERS
from tests.fleet.simulated_fleet import NS, RATE, SimulatedFleet, SimulatedWorker, slice_of


def test_the_slices_of_all_workers_are_the_schedule() -> None:
    fleet = SimulatedFleet(workers=3, duration_s=5)
    fleet.run_to_end()
    assert fleet.served == [offset for offset, _ in slice_of(0, 1, 0, 5 * NS)]
    result = arrivals(fleet.coordinator.merge.total, fleet.coordinator.planned())
    assert (result.planned, result.scheduled, result.lost) == (500, 500, 0)


def test_waits_until_every_expected_worker_is_ready() -> None:
    fleet = SimulatedFleet(workers=1, duration_s=5)
    fleet.coordinator._wanted = Wanted(2)
    for _ in range(50):
        fleet.step()
    assert fleet.coordinator.phase is Phase.WAITING
    fleet.add()
    fleet.run_until(0)
    assert len(fleet.coordinator.roster.live) == 2


def test_lost_worker_is_noticed_within_three_seconds_and_its_share_is_served_again() -> None:
    fleet = SimulatedFleet(workers=2, duration_s=20)
    fleet.run_until(5)
    fleet.workers["w0"].stopped = True
    fleet.run_to_end()
    gap = [n for n in range(2000) if (2 * n + 1) * NS // (2 * RATE) not in set(fleet.served)]
    assert all(n % 2 == 0 for n in gap), "only the lost worker's slot may be missing"
    assert max(gap) / RATE < 5 + 3.5, "the share of the lost worker came back too late"
    assert any("worker 1 was lost" in text for _, text in fleet.coordinator.notes)


def test_arrivals_that_died_with_a_worker_are_lost_and_the_identity_holds() -> None:
    fleet = SimulatedFleet(workers=2, duration_s=10)
    fleet.run_until(3)
    fleet.workers["w1"].stopped = True
    fleet.run_to_end()
    total = fleet.coordinator.merge.total
    result = arrivals(total, fleet.coordinator.planned())
    assert result.planned == 1000
    assert result.lost > 0
    assert result.planned == result.scheduled + result.lost


def test_worker_that_joins_late_gets_a_slot_and_nothing_is_served_twice() -> None:
    fleet = SimulatedFleet(workers=1, duration_s=10)
    fleet.run_until(4)
    fleet.add()
    fleet.run_to_end()
    assert fleet.served == [offset for offset, _ in slice_of(0, 1, 0, 10 * NS)]
    assert fleet.workers["w1"].served


def test_paused_worker_stops_by_its_lease_and_comes_back_with_a_new_slot() -> None:
    fleet = SimulatedFleet(workers=2, duration_s=30)
    fleet.run_until(5)
    fleet.workers["w0"].stopped = True
    fleet.run_until(12)
    fleet.workers["w0"].stopped = False
    fleet.run_to_end()
    assert len(fleet.served) == len(set(fleet.served)), "an arrival was served twice"
    late = [offset for offset in fleet.workers["w0"].served if offset > 14 * NS]
    assert late, "the worker was not taken back"
    result = arrivals(fleet.coordinator.merge.total, fleet.coordinator.planned())
    assert result.planned == 3000
    assert result.lost == 3000 - len(fleet.served)


def test_abort_ends_the_schedule_for_all_workers_at_one_instant() -> None:
    fleet = SimulatedFleet(workers=3, duration_s=60)
    fleet.run_until(7)
    fleet.coordinator.abort("enough")
    aborted_ns = fleet.clock.now_ns()
    fleet.run_to_end()
    assert fleet.clock.now_ns() - aborted_ns < 2 * NS
    assert fleet.served == [offset for offset, _ in slice_of(0, 1, 0, fleet.served[-1] + 1)]
    result = arrivals(fleet.coordinator.merge.total, fleet.coordinator.planned())
    assert result.lost == 0
    assert fleet.coordinator.aborted == "enough"


def test_busy_worker_that_says_hello_while_it_drains_is_waited_for() -> None:
    fleet = SimulatedFleet(workers=1, duration_s=2)
    fleet.run_until(1.9)
    worker = fleet.workers["w0"]
    while fleet.coordinator.phase is Phase.RUNNING:
        fleet.step()
    fleet.coordinator.on_hello("w0", Hello("run", 1, ready=False))
    fleet.coordinator.tick()
    assert fleet.coordinator.phase is Phase.DRAINING, "its final report has not come"
    fleet.run_to_end()
    assert worker.finished
    assert fleet.coordinator.notes == []


@pytest.mark.parametrize("woken_s", [4.1, 5.5, 9, 13])
def test_a_master_that_stood_still_does_not_take_its_workers_for_lost(woken_s: float) -> None:
    fleet = SimulatedFleet(workers=2, duration_s=10)
    fleet.run_until(3)
    fleet.master_stopped = True
    fleet.run_until(woken_s)
    fleet.wake_master()
    fleet.run_to_end()
    assert fleet.coordinator.aborted is None
    assert [text for _, text in fleet.coordinator.notes if "was paused" not in text] == []
    assert any("the master was paused for" in text for _, text in fleet.coordinator.notes)
    result = arrivals(fleet.coordinator.merge.total, fleet.coordinator.planned())
    assert (result.planned, result.lost) == (1000, 0)


def test_a_worker_that_died_while_the_master_stood_still_is_lost_in_the_end() -> None:
    fleet = SimulatedFleet(workers=2, duration_s=20)
    fleet.run_until(3)
    fleet.master_stopped = fleet.workers["w1"].stopped = True
    fleet.run_until(8)
    fleet.wake_master()
    fleet.run_to_end()
    assert any("worker 2 was lost" in text for _, text in fleet.coordinator.notes)
    result = arrivals(fleet.coordinator.merge.total, fleet.coordinator.planned())
    assert result.planned == 2000
    assert result.lost >= 2000 - len(fleet.served) > 0, "and what it had served and not reported"


@pytest.mark.parametrize("left_s", [0.3, 5, 9.9])
def test_a_worker_that_leaves_is_replaced_at_once_and_what_nobody_served_is_lost(left_s: float) -> None:
    fleet = SimulatedFleet(workers=2, duration_s=10)
    fleet.run_until(left_s)
    fleet.workers["w1"].leave()
    fleet.workers["w1"].stopped = True
    fleet.run_to_end()
    result = arrivals(fleet.coordinator.merge.total, fleet.coordinator.planned())
    assert result.planned == 1000
    assert result.lost == 1000 - len(fleet.served)
    assert result.lost < RATE, "the others took over long before it would have been silent for two seconds"
    assert any(
        "worker 2 was lost: its process was told to end" in text for _, text in fleet.coordinator.notes
    )


def test_the_last_worker_that_leaves_ends_the_run() -> None:
    fleet = SimulatedFleet(workers=1, duration_s=10)
    fleet.run_until(5)
    fleet.workers["w0"].leave()
    fleet.run_to_end()
    assert fleet.coordinator.aborted == "the last worker was lost"


def test_last_worker_lost_aborts_the_run() -> None:
    fleet = SimulatedFleet(workers=1, duration_s=60)
    fleet.run_until(3)
    fleet.workers["w0"].stopped = True
    fleet.run_to_end()
    assert fleet.coordinator.aborted == "the last worker was lost"


def test_a_run_ends_when_fewer_workers_are_left_than_it_needs_at_least() -> None:
    fleet = SimulatedFleet(workers=3, duration_s=60, least=2)
    fleet.run_until(3)
    fleet.workers["w0"].stopped = True
    fleet.run_until(9)
    assert fleet.coordinator.phase is Phase.RUNNING, "two are enough"
    fleet.workers["w1"].stopped = True
    fleet.run_to_end()
    assert fleet.coordinator.aborted == "1 worker left, fewer than --min-workers 2"
    result = arrivals(fleet.coordinator.merge.total, fleet.coordinator.planned())
    assert result.planned == result.scheduled + result.lost


def test_a_run_does_not_begin_with_fewer_workers_than_it_needs_at_least() -> None:
    fleet = SimulatedFleet(workers=2, duration_s=5, least=2)
    del fleet.workers["w1"]
    fleet.run_to_end()
    assert fleet.coordinator.aborted == "1 worker became ready in time, fewer than --min-workers 2"


def test_a_worker_that_is_made_of_something_else_ends_a_run_that_has_not_begun() -> None:
    fleet = waiting(2)
    fleet.coordinator._wanted = Wanted(build={"singlesday": "0.2.0"})
    fleet.coordinator.on_hello("w0", hello())
    assert fleet.coordinator.phase is Phase.DONE
    assert fleet.coordinator.aborted is not None
    assert "worker 1 has an older singlesday instead of the master's 0.2.0" in fleet.coordinator.aborted
    assert any(isinstance(message, Refuse) for message in fleet.workers["w0"].inbox)


def test_a_worker_that_is_made_of_something_else_gets_nothing_of_a_run_that_goes_on() -> None:
    fleet = SimulatedFleet(workers=1, duration_s=8)
    fleet.run_until(1)
    fleet.coordinator._wanted = Wanted(build={"singlesday": "0.2.0"})
    stranger = fleet.add()
    fleet.run_to_end()
    assert not stranger.served
    assert fleet.coordinator.aborted is None
    assert (
        len([note for _, note in fleet.coordinator.notes if "worker 2 has an older singlesday" in note]) == 1
    )


@pytest.mark.parametrize("phase", ["before the start", "running"])
def test_abort_twice_is_one_abort(phase: str) -> None:
    fleet = SimulatedFleet(workers=1, duration_s=60)
    if phase == "running":
        fleet.run_until(1)
    fleet.coordinator.abort("first")
    fleet.coordinator.abort("second")
    fleet.run_to_end()
    assert fleet.coordinator.aborted == "first"


incidents = st.lists(
    st.tuples(st.floats(0.5, 18), st.sampled_from(["stop", "wake", "add"]), st.integers(0, 4)),
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(workers=st.integers(1, 4), incidents=incidents)
def test_identity_holds_and_nothing_is_served_twice_whatever_happens(
    workers: int, incidents: list[tuple[float, str, int]]
) -> None:
    fleet = SimulatedFleet(workers=workers, duration_s=20)
    for at_s, what, which in sorted(incidents):
        if fleet.coordinator.phase in (Phase.DRAINING, Phase.DONE):
            break
        while fleet.coordinator.phase in (Phase.WAITING, Phase.RUNNING) and (
            fleet.coordinator.phase is Phase.WAITING or fleet.coordinator.offset_ns < at_s * NS
        ):
            fleet.step()
        names = list(fleet.workers)
        if what == "add" and len(names) < 6:
            fleet.add()
        elif what != "add":
            fleet.workers[names[which % len(names)]].stopped = what == "stop"
    fleet.run_to_end()
    assert len(fleet.served) == len(set(fleet.served))
    result = arrivals(fleet.coordinator.merge.total, fleet.coordinator.planned())
    assert result.planned == result.scheduled + result.lost
    assert result.lost >= 0
    assert result.scheduled == result.started == result.ok
    if fleet.coordinator.aborted is None:
        assert result.planned == 2000


def hello(*counts: UserCount, ready: bool = False, offset_ns: int | None = 0, error_ns: int = 0) -> Hello:
    """What a worker says whose users are coming so."""
    return Hello("run", sum(c.ready for c in counts), ready, list(counts), 77, offset_ns, error_ns)


def waiting(workers: int = 1) -> SimulatedFleet:
    """A fleet whose workers have not come yet."""
    fleet = SimulatedFleet(workers=workers, duration_s=5)
    fleet.workers.clear()
    for number in range(workers):
        fleet.workers[f"w{number}"] = SimulatedWorker(f"w{number}", fleet, fleet.duration_ns, stopped=True)
    return fleet


def test_a_run_whose_users_cannot_start_ends_at_once_and_says_how_many_and_why() -> None:
    fleet = waiting()
    why = "IndexError: pop from empty list (shop.py:17 in on_start)"
    fleet.coordinator.on_hello("w0", hello(UserCount("Shopper", 20, 3, 1, why)))
    fleet.step()
    assert fleet.coordinator.phase.value == "waiting", "others may still come"
    fleet.coordinator.on_hello("w0", hello(UserCount("Shopper", 20, 10, 10, why), UserCount("Page", 5, 5)))
    assert fleet.coordinator.phase is Phase.DONE
    assert fleet.coordinator.aborted == f"on_start failed for 10 of 20 users of Shopper: {why}"
    assert fleet.coordinator.roster.users({})["Shopper"].failed == 10


def test_users_that_failed_are_summed_over_the_fleet_before_the_run_ends() -> None:
    fleet = waiting(2)
    fleet.coordinator.on_hello("w0", hello(UserCount("Shopper", 10, 5, 5, "Full")))
    assert fleet.coordinator.phase is Phase.WAITING
    fleet.coordinator.on_hello("w1", hello(UserCount("Shopper", 10, 7, 3, "Full")))
    assert fleet.coordinator.aborted == "on_start failed for 8 of 20 users of Shopper: Full"


def test_a_run_that_nobody_is_ready_for_says_which_users_were_awaited() -> None:
    fleet = waiting()
    fleet.coordinator.on_hello("w0", hello(UserCount("Shopper", 20, 15)))
    while fleet.coordinator.phase is Phase.WAITING:
        fleet.step()
    assert fleet.coordinator.aborted is not None
    assert "5 of 20 users of Shopper were still in on_start at worker 1" in fleet.coordinator.aborted


def test_a_hello_is_answered_with_the_masters_clock() -> None:
    fleet = waiting()
    fleet.coordinator.on_hello("w0", hello(UserCount("Shopper", 20, 15)))
    assert fleet.workers["w0"].inbox == [Clock("run", 77, fleet.clock.wall_ns())]


@pytest.mark.parametrize(
    ("offset_ms", "error_ms", "noted"), [(9, 0, False), (11, 0, True), (-11, 0, True), (500, 495, False)]
)
def test_a_clock_that_is_certainly_off_by_more_than_ten_ms_is_noted_once(
    offset_ms: int, error_ms: int, noted: bool
) -> None:
    fleet = waiting()
    for _ in range(3):
        fleet.coordinator.on_hello("w0", hello(offset_ns=offset_ms * 10**6, error_ns=error_ms * 10**6))
    assert len(fleet.coordinator.notes) == noted
    assert fleet.coordinator.roster.clock_offsets_ns["w0"] == offset_ms * 10**6


def test_a_clock_that_is_off_by_more_than_a_minute_ends_a_run_that_waits_for_it() -> None:
    fleet = waiting()
    fleet.coordinator.on_hello("w0", hello(ready=True, offset_ns=75 * NS))
    assert fleet.coordinator.phase is Phase.DONE
    assert fleet.coordinator.aborted is not None
    assert "the clock of worker 1 is 75.0 s ahead of the master's" in fleet.coordinator.aborted


def test_a_worker_that_joins_a_running_fleet_with_such_a_clock_gets_nothing_to_do() -> None:
    fleet = SimulatedFleet(workers=1, duration_s=10)
    fleet.run_until(2)
    late = fleet.add()
    late.stopped = True
    fleet.coordinator.on_hello(late.name, hello(ready=True, offset_ns=-75 * NS))
    fleet.run_to_end()
    assert fleet.served == [offset for offset, _ in slice_of(0, 1, 0, 10 * NS)]
    assert any("75.0 s behind the master's" in text for _, text in fleet.coordinator.notes)


def test_a_worker_that_stood_still_is_named_with_what_it_dropped_and_each_time_only_once() -> None:
    fleet = SimulatedFleet(workers=1, duration_s=5)
    fleet.run_until(1)
    for number, missed in enumerate((0, 600, 600, 700)):
        fleet.coordinator.on_report("w0", Report("run", 1000 + number, [], 0, 0, 0.0, 0.0, missed=missed))
    notes = [text for _, text in fleet.coordinator.notes]
    assert [text.partition(": ")[2].split()[0] for text in notes] == ["600", "100"]
    assert "worker 1 was paused" in notes[0]
    assert "dropped instead of sent as a burst" in notes[0]


def bundle_of(*workers: str) -> Bundle:
    """A relay's sums of one empty report of each."""
    nothing = [0] * len(COUNTERS)
    return Bundle(
        "run", 1, [], [WorkerSums(worker, [500], nothing, -1, 0, 0, [(0.1, 0.0)]) for worker in workers]
    )


def test_a_bundle_counts_for_workers_of_this_part_of_the_run_alone() -> None:
    fleet = SimulatedFleet(2, 5)
    fleet.run_until(1.0)
    coordinator, totals = fleet.coordinator, fleet.coordinator.merge.workers
    assert coordinator.on_bundle(bundle_of("of another part")), "nobody needs to send it again"
    assert "of another part" not in totals
    assert not coordinator.on_bundle(bundle_of("w0", "of another part")), "each has to come by itself"
    assert not totals["w0"].has(500)
    assert coordinator.on_bundle(bundle_of("w0", "w1"))
    assert totals["w0"].has(500)


def test_workers_are_told_once_all_that_they_reported_is_saved() -> None:
    fleet = SimulatedFleet(2, 2)
    fleet.run_to_end()
    for worker in fleet.workers.values():
        worker.inbox.clear()
    fleet.coordinator.tell_all_is_saved()
    for name, worker in fleet.workers.items():
        reports = fleet.coordinator.merge.workers[name].reports
        assert worker.inbox == [Ack("run", reports - 1, reports)]
