"""The load generators of a search for capacity: starts them, has them play a step together, adds up what they saw."""

import subprocess
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from loadtest.cli.children import Child
from loadtest.cli.run_session import NothingToJudgeError, RunError, Session
from loadtest.cli.step import Order, Report
from loadtest.configuration.run_config import RunConfig
from loadtest.fleet.messages import unpack_second
from loadtest.fleet.snapshot import of_total
from loadtest.judge.slo_syntax import Slo, parse
from loadtest.judge.verdict import judge
from loadtest.measure.run_result import Buckets, Generator, Quantiles, RunInfo, RunResult
from loadtest.measure.second import Second, response_of

LEAD_NS = 100_000_000
"""How long before its beginning a step is announced."""


class Seen(NamedTuple):
    """One step, judged as a run is."""

    result: RunResult
    completed_tps: float
    measured_s: float
    response_ms: Quantiles
    response_buckets: Buckets
    headroom: float | None


class StepWorkers:
    """The generator processes of one search; they keep their users and connections from step to step."""

    def __init__(self, session: Session, objectives: Sequence[Slo]) -> None:
        """`session` has the folder, the variables and the cores of what it starts."""
        self._session = session
        self._objectives = objectives
        self._children: list[Child] = []

    def full_speed(self) -> float:
        """Transactions a second in a closed loop, over all workers.

        Raises `RunError`, where none of them was ok `NothingToJudgeError`.
        """
        reports = self._ask(Order(tps=0))
        if all(report.nothing_ok for report in reports):
            raise NothingToJudgeError(f"no rate can be judged, since {reports[0].nothing_ok}")
        return sum(report.completed_tps or 0.0 for report in reports)

    def play(self, order: Order) -> Seen:
        """Play a step. Raises `RunError` when a worker ends or its users do not start."""
        reports = self._ask(msgspec.structs.replace(order, start_ns=time.monotonic_ns() + LEAD_NS))
        if not all(report.drained for report in reports):
            self.close()  # what the target still owes must not meet the next step
        return seen(reports, self._session.config, self._objectives)

    def close(self) -> None:
        """End them."""
        for child in self._children:
            stdin = child.process.stdin
            if stdin is not None:
                stdin.close()
            child.stop(timeout_s=3)
            child.close()
        self._children = []

    def _ask(self, order: Order) -> list[Report]:
        if not self._children:
            self._children = [self._start(slot) for slot in range(self._session.config.workers)]
        for child in self._children:
            _tell(child, msgspec.json.encode(order))
        return [self._answer(child) for child in self._children]

    def _start(self, slot: int) -> Child:
        config = self._session.config
        command = [sys.executable, "-m", "loadtest.cli.step", config.host or ""]
        child = Child(
            f"worker-{slot + 1}",
            [*command, str(slot), str(config.workers)],
            log=self._session.folder / f"worker-{slot + 1}.log",
            environment=self._session.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cores=self._session.cores.generator,
        )
        _tell(child, config.to_json())
        return child

    def _answer(self, child: Child) -> Report:
        assert child.process.stdout is not None  # noqa: S101 - asked for as a pipe
        line = child.process.stdout.readline()
        if not line:
            child.stop(timeout_s=3)
            raise RunError(f"{child.name} ended with {child.ending()}:\n{child.last_lines()}")
        report = msgspec.json.decode(line, type=Report)
        if report.error:
            raise RunError(f"{child.name}: {report.error}")
        return report


def _tell(child: Child, document: bytes) -> None:
    assert child.process.stdin is not None  # noqa: S101 - asked for as a pipe
    try:
        child.process.stdin.write(document + b"\n")
        child.process.stdin.flush()
    except BrokenPipeError:  # whoever reads its answer says how it ended
        return


def seen(reports: Sequence[Report], config: RunConfig, objectives: Sequence[Slo]) -> Seen:
    """What all workers saw of a step, judged by the objectives and by the rules for generators."""
    total, lags = Second(0), []
    for report in reports:
        if report.total is not None:
            lags.append(unpack_second(report.total))
            total.add(lags[-1])
    measured = max((report.measured_s for report in reports), default=0.0)
    result = of_total(total, _info(config, measured))
    result.generator = _generator(reports, total, lags)
    judge(result, objectives, aborted=None)
    return Seen(result, _completed_tps(reports), measured, *response_of([total]).drawn(), _headroom(result))


def _completed_tps(reports: Sequence[Report]) -> float:
    """Transactions a second of all workers; 0 where no one counted.

    A worker that broke off before a second was over counted nothing. It had a share like any other's, so they tell.
    """
    told = [report.completed_tps for report in reports if report.completed_tps is not None]
    return sum(told) * len(reports) / len(told) if told else 0.0


def _info(config: RunConfig, measured_s: float) -> RunInfo:
    return RunInfo(
        id="capacity",
        plan=config.plan.name,
        started_at="",
        duration_s=measured_s,
        seed=config.plan.seed,
        versions={},
        machine={},
        settings={"virtual_users": config.plan.virtual_users},
    )


def _generator(reports: Sequence[Report], total: Second, each: Sequence[Second]) -> Generator:
    return Generator(
        workers=len(reports),
        dispatch_lag_ms=total.dispatch_lag.quantiles(),
        queueing_ms=total.queueing.quantiles(),
        cpu_max=max((report.cpu for report in reports), default=0.0),
        per_worker=[
            {
                "name": f"worker {number}",
                "started": second.started,
                "cpu_max": round(report.cpu, 3),
                "cpu_wait_max": round(report.cpu_wait, 3),
                "dispatch_lag_p99_ms": second.dispatch_lag.quantiles().p99,
                "report_gaps": 0,
            }
            for number, (report, second) in enumerate(zip(reports, each, strict=True), start=1)
        ],
    )


def _headroom(result: RunResult) -> float | None:
    """bound / observed - 1 of the tightest objective on a quantile; those on a mean or a maximum are left out."""
    told = []
    for objective in result.slo:
        slo = parse(objective.expr)
        if slo.quantile is not None and objective.observed:
            told.append(slo.bound / objective.observed - 1)
    return min(told, default=None)
