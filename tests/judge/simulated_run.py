"""Whole runs in no time: real windows, reports, coordinator, books and judge on a virtual clock, a scripted target.

What a target, a script, a worker or the wire does is a `World`: a function of an arrival's number, and faults at
chosen instants. So a thousand runs, each bad in a way of its own, are judged in the time of one real one.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec

from loadtest.fleet.coordinator import Phase
from loadtest.fleet.messages import Hello, MessageError, Report
from loadtest.fleet.snapshot import PeriodRecords, snapshot
from loadtest.judge.slo_syntax import parse
from loadtest.judge.verdict import judge
from loadtest.measure.endpoint_pattern import matches
from loadtest.measure.run_result import RunInfo, RunResult
from loadtest.measure.second import OpenSeconds
from loadtest.plugin.worker import patterns_of
from loadtest.records import UNANSWERED, Outcome
from tests.fleet.simulated_fleet import NS, RATE, STEP_NS, SimulatedFleet, SimulatedWorker

DURATION_S = 4.0
MS = 1_000_000


@dataclass(frozen=True)
class Answer:
    """What becomes of one request."""

    name: str = "/orders"
    took_ms: float = 5.0
    error: str | None = None


@dataclass(frozen=True)
class Fate:
    """What becomes of one arrival; the outcome follows from its answers unless it is given."""

    answers: Sequence[Answer] = (Answer(),)
    script_raises: bool = False
    dropped: bool = False
    hangs: bool = False
    """Its last request is never answered."""
    late_ms: float = 0.0
    """How late the generator starts it."""


@dataclass
class World:
    """What happens in a run."""

    fate: Callable[[int], Fate] = lambda _: Fate()
    """Of the n-th arrival of the plan."""
    workers: int = 2
    crash_at_s: dict[int, float] = field(default_factory=dict)
    """When the worker of a number goes for good."""
    lose_report: Callable[[Report], bool] = lambda _: False
    clock_off_s: float = 0.0
    """How far the second worker's wall clock is ahead, as its hellos say."""
    busy: tuple[float, float] = (0.2, 0.0)
    """(CPU, share of the time waited for a CPU) that workers report."""
    slos: Sequence[str] = ()
    stop_at_s: float | None = None


class ScriptedWorker(SimulatedWorker):
    """A worker whose arrivals fare as the world says."""

    world: World

    def step(self) -> None:
        number = list(self.fleet.workers).index(self.name)
        crash_at_s = self.world.crash_at_s.get(number)
        started = self.fleet.coordinator.phase is not Phase.WAITING
        if crash_at_s is not None and started and self.fleet.coordinator.offset_ns >= crash_at_s * NS:
            self.stopped = True
        super().step()
        if not self.stopped:
            for report in self.reporter.due(self.fleet.clock.now_ns()):
                self.fleet.coordinator.on_report(self.name, report)

    def end_arrivals(self, open_seconds: OpenSeconds, now_ns: int) -> None:  # noqa: ARG002 - the parent's signature
        """Serve what the parent has started since, each at once: its answers may lie in the future."""
        for offset_ns in self.in_flight:
            self._serve(open_seconds, offset_ns, self.world.fate(offset_ns * RATE // NS))
        self.in_flight.clear()

    def _serve(self, open_seconds: OpenSeconds, offset_ns: int, fate: Fate) -> None:
        intended_ns = open_seconds.zero_ns + offset_ns
        second = open_seconds.second(intended_ns)
        if fate.dropped:
            second.started -= 1  # the parent has counted it as started
            second.dropped += 1
            return
        second.dispatch_lag.record_ns(round(fate.late_ms * MS) + 50_000)
        self._count(open_seconds, intended_ns, fate)
        if fate.hangs:
            second.cancelled += 1
        elif fate.script_raises or any(answer.error for answer in fate.answers):
            second.failed += 1
            second.failed_in_script += fate.script_raises
        elif not fate.answers:
            second.empty += 1
        else:
            second.ok += 1
            second.transactions_ok += 1

    def _count(self, open_seconds: OpenSeconds, intended_ns: int, fate: Fate) -> None:
        at_ns = intended_ns + round(fate.late_ms * MS)
        for place, answer in enumerate(fate.answers):
            sent_ns, at_ns = at_ns, at_ns + round(answer.took_ms * MS)
            unanswered = fate.hangs and place == len(fate.answers) - 1
            error = UNANSWERED if unanswered else answer.error
            open_seconds.record(Outcome("POST", answer.name, intended_ns, sent_ns, at_ns, 10, error))


class SimulatedRun(SimulatedFleet):
    """A fleet in a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        super().__init__(world.workers, DURATION_S)
        deliver, hear = self.coordinator.on_report, self.coordinator.on_hello

        def on_report(worker: str, report: Report) -> None:
            cpu, wait = world.busy
            report = msgspec.structs.replace(report, cpu=cpu, cpu_wait=wait)
            if not world.lose_report(report):
                with suppress(MessageError):  # as the transport, which takes no malformed message
                    deliver(worker, report)

        def on_hello(worker: str, hello: Hello) -> None:
            off_s = world.clock_off_s if worker == "w1" else 0.0
            hear(worker, msgspec.structs.replace(hello, clock_offset_ns=round(off_s * NS), clock_error_ns=MS))

        self.coordinator.on_report = on_report  # type: ignore[method-assign]  # the wire between them
        self.coordinator.on_hello = on_hello  # type: ignore[method-assign]
        self.patterns = patterns_of(world.slos)

    def add(self) -> SimulatedWorker:
        worker = ScriptedWorker(f"w{len(self.workers)}", self, self.duration_ns)
        worker.world = self.world
        self.workers[worker.name] = worker
        return worker

    def step(self) -> None:
        super().step()
        for worker in self.workers.values():
            if worker.open_seconds is not None and not worker.open_seconds._patterns:
                worker.open_seconds._patterns, worker.open_seconds._matches = self.patterns, matches


def play(world: World) -> RunResult:
    """Play a run to its end and judge it."""
    run = SimulatedRun(world)
    steps = 0
    while run.coordinator.phase is not Phase.DONE:
        run.step()
        steps += 1
        assert steps < 40 * NS // STEP_NS, "the run never ended"
        stop_at_s = world.stop_at_s
        if stop_at_s is not None and run.coordinator.offset_ns >= stop_at_s * NS:
            run.coordinator.abort("stopped by the script")
    info = RunInfo(
        id="run",
        plan="p",
        started_at="2026-11-11T00:00:00Z",
        duration_s=DURATION_S,
        seed=1,
        versions={},
        machine={},
        settings={"virtual_users": 50},
    )
    coordinator = run.coordinator
    result = snapshot(coordinator, info, planned=lambda *_: 0.0, periods=PeriodRecords())
    return judge(result, [parse(expr) for expr in world.slos], aborted=coordinator.aborted)
