"""A soak of two hours on a virtual clock: the real schedule, coordinator, books, judge and report, in seconds.

Only the worker is simulated: it serves every arrival of its slot and reports each second.
"""

import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

import pytest

from loadtest.drive.start import ArrivalStream, Assignment
from loadtest.exit_codes import ExitCode
from loadtest.fleet.coordinator import Coordinator, Phase
from loadtest.fleet.merge import Merge
from loadtest.fleet.messages import Ack, Assign, Halt, Hello, Lease, Message, Report
from loadtest.fleet.snapshot import PeriodRecords, snapshot
from loadtest.fleet.worker_report import Reporter
from loadtest.judge.drift import find_drift
from loadtest.judge.periods import wanted_periods
from loadtest.judge.slo_syntax import parse
from loadtest.judge.verdict import judge
from loadtest.measure.run_result import RunInfo, RunResult
from loadtest.measure.second import OpenSeconds
from loadtest.plan.plan_file import Plan
from loadtest.publish.run_folder import deliver
from loadtest.records import Outcome
from loadtest.virtual_time import VirtualClock

NS = 1_000_000_000
PLAN = Plan.load("soak").with_overrides(peak_tps=5, arrivals="uniform")
ENDPOINTS = [("POST", "/orders"), ("GET", "/products/[sku]"), ("GET", "/orders/[id]")]
SAMPLED_EVERY_S = 10


class Leaks(NamedTuple):
    """What gets worse in the simulated service, as a share of its level an hour."""

    memory: float = 0.0
    latency: float = 0.0


class SimulatedWorker:
    """Serves what is due whenever time has moved on."""

    def __init__(self, clock: VirtualClock, leaks: Leaks) -> None:
        self._clock = clock
        self._leaks = leaks
        self._random = random.Random(7)
        self._stream = ArrivalStream(PLAN.mix().arrivals, round(PLAN.duration_s * NS))
        self._reporter = Reporter("soak")
        self._window: OpenSeconds | None = None
        self._halted = False

    def on_message(self, message: Message) -> None:
        match message:
            case Assign():
                zero_ns = self._clock.now_ns() + message.zero_wall_ns - self._clock.wall_ns()
                self._window = self._window or OpenSeconds(zero_ns)
                self._stream.assign(
                    Assignment(message.slot, message.slots, message.from_ns, message.before_ns)
                )
            case Lease():
                self._stream.extend(message.until_ns)
            case Halt():
                self._halted = True
                self._stream.halt(message.at_ns)
            case Ack():
                self._reporter.acknowledge(message.number)

    def reports(self) -> Iterator[Report]:
        if self._window is None:
            return
        now_ns = self._clock.now_ns()
        offset_ns = now_ns - self._window.zero_ns
        while (due := self._stream.due(offset_ns)) is not None:
            self._serve(self._window, *due)
        final = self._halted and self._stream.exhausted(offset_ns)
        seconds = self._window.take(None if final else now_ns)
        yield self._reporter.report(seconds, now_ns, ended_ns=self._stream.end_ns if final else None)

    def _serve(self, open_seconds: OpenSeconds, offset_ns: int, scenario: int) -> None:
        second = open_seconds.second(open_seconds.zero_ns + offset_ns)
        second.scheduled += 1
        second.started += 1
        second.ok += 1
        second.dispatch_lag.record_us(80)
        if scenario == 0:
            second.transactions_started += 1
            second.transactions_ok += 1
        worse = 1 + self._leaks.latency * offset_ns / NS / 3600
        took_ns = int(5e6 * self._random.lognormvariate(0, 0.3) * worse)
        intended_ns = open_seconds.zero_ns + offset_ns
        open_seconds.record(
            Outcome(*ENDPOINTS[scenario], intended_ns, intended_ns + 80_000, intended_ns + took_ns, 200, None)
        )


def memory(leaks: Leaks) -> list[tuple[float, float]]:
    """Samples of a service of 120 MB whose memory trembles by half a percent."""
    rng = random.Random(11)
    return [
        (float(t_s), 120e6 * rng.gauss(1, 0.005) * (1 + leaks.memory * t_s / 3600))
        for t_s in range(0, int(PLAN.duration_s), SAMPLED_EVERY_S)
    ]


@cache
def soaked(leaks: Leaks) -> RunResult:
    """The judged result of the whole plan."""
    clock = VirtualClock()
    slos = [parse(expr) for expr in PLAN.slos]
    profile, mix = PLAN.profile(), PLAN.mix()
    phases = [(phase.from_s, phase.to_s, phase.name) for phase in profile.phases]
    periods = [(s.from_s, s.to_s, s.name) for s in wanted_periods(slos, phases, PLAN.duration_s)]
    worker = SimulatedWorker(clock, leaks)
    coordinator = Coordinator(
        "soak",
        duration_ns=round(PLAN.duration_s * NS),
        drain_s=PLAN.patience_s,
        count=lambda slot, slots, from_ns, to_ns: sum(mix.counts(slot, slots, from_ns, to_ns)),
        send=lambda _, message: worker.on_message(message),
        clock=clock,
        merge=Merge([(from_s, to_s) for from_s, to_s, _ in periods]),
    )
    coordinator.on_hello("w", Hello("soak", 1, True))
    while coordinator.phase is not Phase.DONE:
        coordinator.tick()
        for report in worker.reports():
            coordinator.on_report("w", report)
        clock.advance(NS)
    info = RunInfo(
        id="soak",
        plan=PLAN.name,
        started_at="2026-11-11T00:00:00+00:00",
        duration_s=PLAN.duration_s,
        seed=PLAN.seed,
        versions={},
        machine={},
        phases=phases,
    )
    result = snapshot(
        coordinator,
        info,
        planned=profile.between,
        periods=PeriodRecords(periods),
    )
    result.gauges["service_memory_bytes"] = memory(leaks)
    return judge(result, slos, aborted=None)


@pytest.mark.slow(held_by="test_a_leak_of_two_percent_an_hour_fails_the_soak_and_the_report_names_it")
def test_two_steady_hours_pass_and_the_books_hold_every_arrival() -> None:
    result = soaked(Leaks())
    assert result.verdict == "PASS", (result.validity, result.slo)
    assert result.arrivals.planned == result.arrivals.ok == sum(PLAN.mix().counts(0, 1))
    assert sum(point.requests for point in result.timeline) == result.arrivals.ok
    assert result.timeline[-1].t_s > PLAN.duration_s - 10
    (drift,) = [slo for slo in result.slo if slo.expr == "drift == 0"]
    assert drift.note == "steady: response_p99_ms, errors, completed_share, service_memory_bytes"


def test_a_leak_of_two_percent_an_hour_fails_the_soak_and_the_report_names_it(tmp_path: Path) -> None:
    result = soaked(Leaks(memory=0.02))
    assert (result.verdict, result.exit_code) == ("FAIL", ExitCode.SLO_FAIL)
    assert [found.metric for found in find_drift(result) if found.drifting] == ["service_memory_bytes"]
    deliver(result, tmp_path)
    assert "service memory bytes" in (tmp_path / "report.html").read_text()
    cases = ET.parse(tmp_path / "junit.xml")  # noqa: S314  # our own output
    failure = cases.find(".//testcase[@name='drift == 0']/failure")
    assert failure is not None
    assert "service_memory_bytes +" in (failure.text or "")


@pytest.mark.slow(held_by="test_a_p99_that_creeps_by_three_percent_an_hour_is_found")
def test_latency_that_creeps_is_found_though_every_second_meets_its_objective() -> None:
    result = soaked(Leaks(latency=0.1))
    assert {slo.expr: slo.passed for slo in result.slo}["p99(POST /orders) < 250ms"]
    assert [found.metric for found in find_drift(result) if found.drifting] == ["response_p99_ms"]
    assert result.verdict == "FAIL"
