"""The run result at any moment, out of the coordinator's and the books' figures."""

import pytest

from loadtest.fleet.coordinator import Coordinator
from loadtest.fleet.merge import Merge
from loadtest.fleet.messages import Hello, Message
from loadtest.fleet.snapshot import PeriodRecords, arrivals, progress, snapshot
from loadtest.measure.run_result import RunInfo, RunResult
from loadtest.measure.second import Second
from loadtest.pauses import no_pause
from loadtest.virtual_time import VirtualClock
from tests.fleet.sample_report import report, second

NS = 1_000_000_000
INFO = RunInfo(id="run", plan="smoke", started_at="", duration_s=4.0, seed=1, versions={}, machine={})
PERIODS = [(0.0, 2.0, "quiet"), (2.0, 4.0, "")]


class OneWorkerRun:
    """A coordinator two seconds into a plan of 1 arrival/s, with one worker."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.sent: list[Message] = []
        self.coordinator = Coordinator(
            "run",
            duration_ns=4 * NS,
            drain_s=1.0,
            count=lambda _slot, _slots, from_ns, to_ns: (to_ns - from_ns) // NS,
            send=lambda _, message: self.sent.append(message),
            clock=self.clock,
            merge=Merge([(from_s, to_s) for from_s, to_s, _ in PERIODS]),
        )
        self.coordinator.on_hello("w1", Hello("run", 1, True))
        self.coordinator.tick()

    def snapshot(self) -> RunResult:
        return snapshot(
            self.coordinator,
            INFO,
            planned=lambda from_s, to_s: to_s - from_s,
            periods=PeriodRecords(PERIODS),
        )


def test_before_anything_happened_everything_is_zero() -> None:
    result = OneWorkerRun().snapshot()
    assert (result.arrivals.planned, result.arrivals.scheduled, result.transactions.count) == (0, 0, 0)
    assert result.endpoints == {}
    assert result.timeline == []


def test_live_figures_are_up_to_now_and_those_of_the_books() -> None:
    run = OneWorkerRun()
    run.clock.advance(int(2.5 * NS))  # time zero is half a second after the start
    run.coordinator.on_report("w1", report(0, second(0, (10, 20)), second(1, (30,), error="refused")))
    result = run.snapshot()
    assert (result.arrivals.planned, result.arrivals.scheduled, result.arrivals.ok) == (2, 3, 2)
    assert result.transactions.count == 2
    assert result.transactions.mean_tps == pytest.approx(1.0)
    assert result.transactions.peak_tps == 2.0
    orders = result.endpoints["POST /orders"]
    assert (orders.requests, orders.failures, orders.errors) == (3, 1, {"refused": 1})
    assert orders.response_ms.max == 30.0
    assert sum(orders.response_buckets.counts) == 3
    assert [point.planned_tps for point in result.timeline] == [1.0, 1.0]
    assert [(s.name, s.arrivals.scheduled, s.transactions) for s in result.periods] == [
        ("quiet", 3, 2),
        ("", 0, 0),
    ]


def test_a_period_is_drawn_anew_only_when_something_was_added_to_it() -> None:
    run, records = OneWorkerRun(), PeriodRecords(PERIODS)
    merge = run.coordinator.merge
    run.coordinator.on_report("w1", report(0, second(0)))
    first, second_ = records.current(merge, no_pause)
    run.coordinator.on_report("w1", report(1, second(3)))
    again, changed = records.current(merge, no_pause)
    assert again is first
    assert (second_.transactions, changed.transactions) == (0, 1)
    run.coordinator.on_report("w1", report(2, second(1)))  # late, and yet it belongs to the first period
    assert [period.transactions for period in records.current(merge, no_pause)] == [2, 1]


def test_drawing_pauses_within_each_endpoint() -> None:
    run, pauses = OneWorkerRun(), []
    run.coordinator.on_report("w1", report(0, second(0), second(0, key=("GET", "/products"))))
    progress(run.coordinator, INFO, PeriodRecords(PERIODS), lambda: pauses.append(1))
    assert len(pauses) == 2 * 2 * 2 + 2  # two each, of the whole run and of the one period that has anything


def test_endpoints_are_listed_by_how_often_they_were_asked() -> None:
    run = OneWorkerRun()
    run.coordinator.on_report("w1", report(0, second(0, (1,)), second(0, (1, 1), key=("GET", "/products"))))
    assert list(run.snapshot().endpoints) == ["GET /products", "POST /orders"]


def test_the_generator_is_described_worker_by_worker() -> None:
    run = OneWorkerRun()
    for number in range(10):
        run.coordinator.on_report("w1", report(number, second(number, lag_us=5_000), cpu=0.5, cpu_wait=0.25))
    run.coordinator.on_report("w1", report(11))
    generator = run.snapshot().generator
    assert generator.workers == 1
    assert generator.report_gaps == 1
    assert generator.cpu_max == pytest.approx(0.5)
    assert generator.per_worker == [
        {
            "name": "worker 1",
            "started": 10,
            "cpu_max": 0.5,
            "cpu_wait_max": 0.25,
            "dispatch_lag_p99_ms": pytest.approx(5.0, rel=0.01),
            "report_gaps": 1,
            "clock_offset_ms": 0.0,
        }
    ]


def test_workers_are_listed_in_the_order_they_came_whoever_reported_first() -> None:
    run = OneWorkerRun()
    run.coordinator.on_hello("w2", Hello("run", 1, True))
    for worker in ("w2", "w1"):
        run.coordinator.on_report(worker, report(0, second(0)))
    assert [worker["name"] for worker in run.snapshot().generator.per_worker] == ["worker 1", "worker 2"]


def test_what_was_planned_and_never_reported_is_lost() -> None:
    total = Second(0, scheduled=7, started=6, dropped=1, ok=4, failed=1, cancelled=1)
    terms = arrivals(total, planned=10)
    assert terms.lost == 3
    assert terms.planned == terms.scheduled + terms.lost
    assert terms.scheduled == terms.started + terms.dropped
    assert terms.started == terms.ok + terms.failed + terms.cancelled
