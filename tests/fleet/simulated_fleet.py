"""A fleet of simulated workers on a virtual clock, for what the coordinator and its books make of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from loadtest.drive.start import ArrivalStream, Assignment
from loadtest.fleet.coordinator import Coordinator, Phase, Wanted
from loadtest.fleet.merge import Merge
from loadtest.fleet.messages import Ack, Assign, Halt, Hello, Lease, Message
from loadtest.fleet.worker_report import Reporter
from loadtest.measure.second import OpenSeconds
from loadtest.records import Outcome
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
    """Does what `plugin.worker.WorkerRun` does, without Locust: starts arrivals at once, ends them later."""

    name: str
    fleet: "SimulatedFleet"
    duration_ns: int
    stopped: bool = False
    served: list[int] = field(default_factory=list)
    stream: ArrivalStream | None = None
    open_seconds: OpenSeconds | None = None
    halted: bool = False
    finished: bool = False
    stuck: bool = False
    """Whether all its users are busy: what becomes due waits for one."""

    def __post_init__(self) -> None:
        self.reporter = Reporter("run")
        self.inbox: list[Message] = []
        self.report_due_ns = self.zero_wall_ns = 0
        self.in_flight: list[int] = []

    def step(self) -> None:
        if self.stopped:
            return
        for message in self.inbox:
            self.on_message(message)
        self.inbox.clear()
        now_ns = self.fleet.clock.now_ns()
        hello = Hello("run", 1, True, zero_wall_ns=self.zero_wall_ns)
        if self.stream is None or self.open_seconds is None:
            self.fleet.to_master(lambda master: master.on_hello(self.name, hello))
            return
        if now_ns - self.open_seconds.zero_ns > self.stream.lease_ns + NS:
            self.fleet.to_master(lambda master: master.on_hello(self.name, hello))
        if self.finished:
            return
        while (due := self.stream.due(now_ns - self.open_seconds.zero_ns)) is not None:
            self.served.append(due[0])
            second = self.open_seconds.second(self.open_seconds.zero_ns + due[0])
            second.scheduled += 1
            if not self.stuck:
                second.started += 1
                self.in_flight.append(due[0])
        self.end_arrivals(self.open_seconds, now_ns)
        if now_ns >= self.report_due_ns:
            self.report_due_ns = now_ns + NS // 2
            self.report(final=False)
        if self.halted and self.stream.exhausted(now_ns - self.open_seconds.zero_ns) and not self.in_flight:
            self.finished = True
            self.report(final=True)

    def leave(self) -> None:
        """End by itself, as a process that is told to: what it has in flight is cancelled."""
        assert self.stream is not None
        self.stream.halt(self.stream.position_ns)
        self.finished = True
        self.report(final=True)

    def end_arrivals(self, open_seconds: OpenSeconds, now_ns: int) -> None:
        takes_ns = self.fleet.takes_ns
        while self.in_flight and open_seconds.zero_ns + self.in_flight[0] + takes_ns <= now_ns:
            offset_ns = self.in_flight.pop(0)
            intended_ns = open_seconds.zero_ns + offset_ns
            done_ns = intended_ns + takes_ns
            open_seconds.second(done_ns).ok += 1
            open_seconds.second(done_ns).transactions_ok += 1
            took_ns = takes_ns + 1_000 * (1 + offset_ns // 1_000_000 % 997)
            open_seconds.record(
                Outcome("POST", "/orders", intended_ns, intended_ns, intended_ns + took_ns, 10, None)
            )

    def report(self, *, final: bool) -> None:
        assert self.open_seconds is not None
        assert self.stream is not None
        now_ns = self.fleet.clock.now_ns()
        seconds = self.open_seconds.take(None if final else now_ns)
        ended_ns = self.stream.end_ns if final else None
        report = self.reporter.report(seconds, now_ns, ended_ns=ended_ns)
        self.fleet.to_master(lambda master: master.on_report(self.name, report))

    def on_message(self, message: Message) -> None:
        match message:
            case Assign():
                if self.stream is None:
                    wall_ns = self.fleet.clock.wall_ns()
                    self.open_seconds = OpenSeconds(
                        self.fleet.clock.now_ns() + message.zero_wall_ns - wall_ns
                    )
                    self.stream = ArrivalStream(slice_of, self.duration_ns)
                self.zero_wall_ns = message.zero_wall_ns
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

    def __init__(
        self,
        workers: int,
        duration_s: float,
        *,
        takes_s: float = 0.0,
        clock: VirtualClock | None = None,
        least: int = 1,
    ) -> None:
        self.clock = clock or VirtualClock()
        self.takes_ns = round(takes_s * NS)
        self.duration_ns = int(duration_s * NS)
        self.workers: dict[str, SimulatedWorker] = {}
        self.master_stopped = False
        self.unheard: list[Callable[[Coordinator], None]] = []
        self.coordinator = Coordinator(
            "run",
            duration_ns=self.duration_ns,
            drain_s=1.0,
            count=count,
            send=lambda name, message: self.workers[name].inbox.append(message),
            clock=self.clock,
            merge=Merge(),
            wanted=Wanted(workers, least),
        )
        for _ in range(workers):
            self.add()

    def to_master(self, say: Callable[[Coordinator], None]) -> None:
        """Have the master hear something, or keep it in its socket while it is stopped."""
        if self.master_stopped:
            self.unheard.append(say)
        else:
            say(self.coordinator)

    def wake_master(self) -> None:
        """Let the master look, and only then hear what was said meanwhile."""
        self.master_stopped = False
        self.coordinator.tick()
        for say in self.unheard:
            say(self.coordinator)
        self.unheard.clear()

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
        if not self.master_stopped:
            self.coordinator.tick()
        self.clock.advance(STEP_NS)

    @property
    def served(self) -> list[int]:
        return sorted(offset for worker in self.workers.values() for offset in worker.served)
