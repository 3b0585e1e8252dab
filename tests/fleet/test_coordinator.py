"""The coordinator with simulated workers, on virtual time: slots, leases, losses and the identity."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.drive.start import ArrivalStream, Assignment
from loadtest.fleet.coordinator import Coordinator, Phase
from loadtest.fleet.merge import Merge
from loadtest.fleet.messages import Ack, Assign, Halt, Hello, Lease, Message
from loadtest.fleet.snapshot import arrivals
from loadtest.fleet.worker_report import Reporter
from loadtest.measure.window import Window
from loadtest.virtual_time import VirtualClock

NS = 1_000_000_000
RATE = 100
STEP_NS = NS // 20


def slice_of(slot: int, slots: int, from_ns: int, to_ns: int | None) -> Iterator[tuple[int, int]]:
    """The n-th arrival at (n + 1/2) / RATE, for n = slot mod slots."""
    n = slot
    while True:
        offset_ns = (2 * n + 1) * NS // (2 * RATE)
        if to_ns is not None and offset_ns >= to_ns:
            return
        if offset_ns >= from_ns:
            yield offset_ns, 0
        n += slots


def count(slot: int, slots: int, from_ns: int, to_ns: int) -> int:
    return sum(1 for _ in slice_of(slot, slots, from_ns, to_ns))


@dataclass
class SimulatedWorker:
    """Does what `plugin.worker.WorkerRun` does, without Locust: serves every arrival at once."""

    name: str
    fleet: "SimulatedFleet"
    duration_ns: int
    stopped: bool = False
    served: list[int] = field(default_factory=list)
    stream: ArrivalStream | None = None
    window: Window | None = None
    halted: bool = False
    finished: bool = False

    def __post_init__(self) -> None:
        self.reporter = Reporter("run")
        self.inbox: list[Message] = []
        self.report_due_ns = 0

    def step(self) -> None:
        if self.stopped:
            return
        for message in self.inbox:
            self.on_message(message)
        self.inbox.clear()
        now_ns = self.fleet.clock.now_ns()
        if self.stream is None or self.window is None:
            self.fleet.coordinator.on_hello(self.name, Hello("run", 1, True))
            return
        if now_ns - self.window.zero_ns > self.stream.lease_ns + NS:
            self.fleet.coordinator.on_hello(self.name, Hello("run", 1, True))
        if self.finished:
            return
        while (due := self.stream.due(now_ns - self.window.zero_ns)) is not None:
            self.served.append(due[0])
            second = self.window.second(self.window.zero_ns + due[0])
            second.scheduled += 1
            second.started += 1
            second.ok += 1
        if now_ns >= self.report_due_ns:
            self.report_due_ns = now_ns + NS // 2
            self.report(final=False)
        if self.halted and self.stream.exhausted(now_ns - self.window.zero_ns):
            self.finished = True
            self.report(final=True)

    def report(self, *, final: bool) -> None:
        assert self.window is not None
        assert self.stream is not None
        now_ns = self.fleet.clock.now_ns()
        seconds = self.window.take(None if final else now_ns)
        ended_ns = self.stream.end_ns if final else 0
        report = self.reporter.report(seconds, now_ns, final=final, ended_ns=ended_ns)
        self.fleet.coordinator.on_report(self.name, report)

    def on_message(self, message: Message) -> None:
        match message:
            case Assign():
                if self.stream is None:
                    wall_ns = self.fleet.clock.wall_ns()
                    self.window = Window(self.fleet.clock.now_ns() + message.zero_wall_ns - wall_ns)
                    self.stream = ArrivalStream(slice_of, self.duration_ns)
                self.stream.assign(
                    Assignment(message.slot, message.slots, message.from_ns, message.before_ns)
                )
            case Lease() if self.stream is not None:
                self.stream.extend(message.until_ns)
            case Halt() if self.stream is not None:
                self.halted = True
                self.stream.halt(message.at_ns)
            case Ack():
                self.reporter.acknowledge(message.number)


class SimulatedFleet:
    """A coordinator and its workers on one virtual clock."""

    def __init__(self, workers: int, duration_s: float) -> None:
        self.clock = VirtualClock()
        self.duration_ns = int(duration_s * NS)
        self.workers: dict[str, SimulatedWorker] = {}
        self.coordinator = Coordinator(
            "run",
            duration_ns=self.duration_ns,
            drain_s=1.0,
            count=count,
            send=lambda name, message: self.workers[name].inbox.append(message),
            clock=self.clock,
            merge=Merge(),
            expected=workers,
        )
        for _ in range(workers):
            self.add()

    def add(self) -> SimulatedWorker:
        worker = SimulatedWorker(f"w{len(self.workers)}", self, self.duration_ns)
        self.workers[worker.name] = worker
        return worker

    def run_until(self, offset_s: float) -> None:
        """Step until the plan has reached an offset."""
        while self.coordinator.phase is Phase.WAITING or self.coordinator.offset_ns < offset_s * NS:
            self.step()

    def run_to_end(self) -> None:
        steps = 0
        while self.coordinator.phase is not Phase.DONE:
            self.step()
            steps += 1
            assert steps < 10_000, "the run never ended"

    def step(self) -> None:
        for worker in list(self.workers.values()):
            worker.step()
        self.coordinator.tick()
        self.clock.advance(STEP_NS)

    @property
    def served(self) -> list[int]:
        return sorted(offset for worker in self.workers.values() for offset in worker.served)


def test_the_slices_of_all_workers_are_the_schedule() -> None:
    fleet = SimulatedFleet(workers=3, duration_s=5)
    fleet.run_to_end()
    assert fleet.served == [offset for offset, _ in slice_of(0, 1, 0, 5 * NS)]
    result = arrivals(fleet.coordinator.merge.total, fleet.coordinator.planned())
    assert (result.planned, result.scheduled, result.lost) == (500, 500, 0)


def test_waits_until_every_expected_worker_is_ready() -> None:
    fleet = SimulatedFleet(workers=1, duration_s=5)
    fleet.coordinator._expected = 2
    for _ in range(50):
        fleet.step()
    assert fleet.coordinator.phase is Phase.WAITING
    fleet.add()
    fleet.run_until(0)
    assert len(fleet.coordinator.live) == 2


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


def test_last_worker_lost_aborts_the_run() -> None:
    fleet = SimulatedFleet(workers=1, duration_s=60)
    fleet.run_until(3)
    fleet.workers["w0"].stopped = True
    fleet.run_to_end()
    assert fleet.coordinator.aborted == "the last worker was lost"


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
