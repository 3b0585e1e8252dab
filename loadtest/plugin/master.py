"""The master's side of a run: from Locust's start button to the verdict.

One `MasterRun` lives from the moment Locust's shape first asks for users until the artefacts are written. It
owns the coordinator, looks at it every `TICK_S`, shows progress, and delivers the result once, whichever way
the run ends: the plan is over, the stop button, a signal, abort-on-fail.
"""

import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path

import gevent
import msgspec
from locust.env import Environment
from locust.runners import Runner
from rich.console import Console

from loadtest.clock import SystemClock
from loadtest.drive.locust_stats import prune
from loadtest.exit_codes import ExitCode
from loadtest.fleet.coordinator import Coordinator, Phase
from loadtest.fleet.merge import Merge
from loadtest.fleet.messages import Hello, Message, Report, Trouble
from loadtest.fleet.snapshot import broken_off, progress, snapshot
from loadtest.fleet.transport import send_to_worker
from loadtest.judge.abort import AbortCondition, AbortDetector
from loadtest.judge.slo import wanted_stretches
from loadtest.judge.slo_syntax import Slo
from loadtest.judge.verdict import judge
from loadtest.measure.run_result import RunResult
from loadtest.plan.plan_file import Plan
from loadtest.plugin.gauges import SERVICE_MEMORY, MemorySampler
from loadtest.publish.run_folder import REPORT, RESULT, deliver, rescue
from loadtest.publish.step_summary import append_step_summary
from loadtest.publish.summary import print_verdict
from loadtest.run_info import run_info

PRUNE_S = 10.0
"""How often Locust's statistics here, which grow with every second of the run, are cut back."""
TICK_S = 0.05
ABORT_WAIT_S = 2.0
CHECKPOINT_S = 60.0
NS_PER_S = 1_000_000_000
KILLED = "the master was killed, this is its last checkpoint"

logger = logging.getLogger(__name__)
OnLive = Callable[["MasterRun"], None]


class MasterRun:
    """One run, as the master leads it."""

    def __init__(
        self,
        environment: Environment,
        runner: Runner,
        plan: Plan,
        slos: list[Slo],
        aborts: list[AbortCondition],
        *,
        folder: Path,
        workers: int,
        memory_url: str | None = None,
        checkpoint_s: float = CHECKPOINT_S,
    ) -> None:
        self.plan = plan
        self.folder = folder
        self.info = run_info(plan, targets_of(environment), folder)
        self.result: RunResult | None = None
        """The final result, once it is delivered."""
        self._slos = slos
        self._undelivered = False
        self._abort = AbortDetector(aborts)
        self._judged_s = 0
        self._runner = runner
        self._locust_stats = environment.stats
        self._prune_at_s = 0.0
        self._profile = plan.profile()
        stretches = wanted_stretches(slos, self.info.phases, plan.duration_s)
        self._stretches = [(s.from_s, s.to_s, s.name) for s in stretches]
        mix = plan.mix()
        self.coordinator = Coordinator(
            self.info.id,
            duration_ns=round(plan.duration_s * NS_PER_S),
            drain_s=plan.patience_s,
            count=lambda slot, slots, from_ns, to_ns: sum(mix.counts(slot, slots, from_ns, to_ns)),
            send=lambda worker, message: send_to_worker(runner, worker, message),
            clock=SystemClock(),
            merge=Merge([(from_s, to_s) for from_s, to_s, _ in self._stretches]),
            expected=workers,
        )
        folder.mkdir(parents=True, exist_ok=True)
        self._ticker = gevent.spawn(self._tick_forever)
        self._ticker.link_exception(self._end_by_defect)
        self._checkpointer = gevent.spawn(self._checkpoint_forever, checkpoint_s)
        self._memory = MemorySampler(memory_url, plan.duration_s) if memory_url else None
        if self._memory is not None:
            gevent.spawn(self._memory.sample_while, lambda: not self.over, lambda: self._run_s)

    @property
    def _run_s(self) -> float:
        """Seconds of the plan that have been played; negative before the first."""
        return self.coordinator.scheduled_to_ns / NS_PER_S if self.coordinator.offset_ns > 0 else -1.0

    @property
    def over(self) -> bool:
        """True once the result is delivered."""
        return self.result is not None

    def on_message(self, worker: str, message: Message) -> None:
        """Take a worker's message; those of another run are old."""
        if message.run_id != self.info.id:
            return
        match message:
            case Hello():
                self.coordinator.on_hello(worker, message)
            case Report():
                self.coordinator.on_report(worker, message)
            case Trouble():
                self.coordinator.abort(f"{self.coordinator.name(worker)} cannot go on: {message.reason}")
            case _:
                logger.warning("a worker sent %s, which only a master may", type(message).__name__)

    def live(self) -> RunResult:
        """What is known now."""
        result = snapshot(
            self.coordinator,
            self.info,
            planned=self.planned_transactions,
            stretches=self._stretches,
        )
        result.gauges = self._gauges()
        return result

    def judged_so_far(self) -> RunResult:
        """The final result, or what it would be if everything had ended well by now; without a timeline."""
        if self.result is not None:
            return self.result
        return judge(progress(self.coordinator, self.info, self._stretches), self._slos, aborted=None)

    def planned_tps(self, t_s: float) -> float:
        """Orders a second that the plan intends at an offset; 0 before and after it."""
        return self._profile.rate(t_s) if 0 <= t_s < self.plan.duration_s else 0.0

    def planned_transactions(self, from_s: float, to_s: float) -> float:
        """How many orders the plan intends between two offsets."""
        return self._profile.cumulative(to_s) - self._profile.cumulative(from_s)

    def stop(self, reason: str) -> None:
        """End the run early, wait for the workers' last reports, and deliver what there is."""
        if self.over:
            return
        self.coordinator.abort(reason)
        deadline = time.monotonic() + ABORT_WAIT_S
        while self.coordinator.phase is not Phase.DONE and time.monotonic() < deadline:
            self.coordinator.tick()
            gevent.sleep(TICK_S)
        self._deliver()

    def _gauges(self) -> dict[str, list[tuple[float, float]]]:
        values = self._memory.values if self._memory is not None else []
        return {SERVICE_MEMORY: list(values)} if values else {}

    def _checkpoint_forever(self, every_s: float) -> None:
        due_s = every_s
        while not self.over:
            if self._run_s >= due_s and self.coordinator.phase is Phase.RUNNING:
                due_s += every_s
                try:
                    self._write_checkpoint()
                except OSError as error:
                    logger.error("could not write a checkpoint: %s", error)
            gevent.sleep(min(every_s, 1.0))

    def _write_checkpoint(self) -> None:
        """Leave the result that this run has if this process is killed now; the final one replaces it.

        What was planned is what workers reported as scheduled: counting a random schedule takes too long here.
        The timeline of an hour or more, 3,600 points, took 0.18 s in steps of up to 14 ms, the file 22 ms.
        """
        info = msgspec.structs.replace(self.info, duration_s=self._run_s)
        result = progress(self.coordinator, info, self._stretches)
        result.arrivals = broken_off(result.arrivals)
        result.gauges = self._gauges()
        for point in self.coordinator.merge.timeline.points(self.planned_transactions):
            result.timeline.append(point)
            gevent.sleep(0)  # leases go out meanwhile
        judge(result, self._slos, aborted=KILLED)
        if not self.over:
            result.write(self.folder / RESULT)

    def _tick_forever(self) -> None:
        while not self.over:
            self.coordinator.tick()
            self._abort_if_pointless()
            if time.monotonic() >= self._prune_at_s:
                self._prune_at_s = time.monotonic() + PRUNE_S
                prune(self._locust_stats)
            if self.coordinator.phase is Phase.DONE:
                self._deliver()
            gevent.sleep(TICK_S)

    def _end_by_defect(self, ticker: gevent.Greenlet) -> None:
        """End a run whose ticking broke: without it the run would never end, and its books would be lost."""
        logger.critical("a defect ended the run", exc_info=ticker.exc_info)
        self.coordinator.aborted = f"a defect of the harness: {ticker.exception!r}"
        self._deliver()

    def _abort_if_pointless(self) -> None:
        """Look at each second once, a second after its end, when every worker has reported it."""
        due_s = int(self.coordinator.offset_ns // NS_PER_S) - 1
        if self.coordinator.phase is not Phase.RUNNING or due_s <= self._judged_s:
            return
        for point in self.coordinator.merge.timeline.points_between(
            self._judged_s, due_s, self.planned_transactions
        ):
            reason = self._abort.feed(point)
            if reason is not None:
                self.coordinator.abort(reason)
                break
        self._judged_s = due_s

    def _deliver(self) -> None:
        if self.over:
            return
        result = self.live()
        result.run.duration_s = self.coordinator.scheduled_to_ns / NS_PER_S
        self.result = judge(result, self._slos, aborted=self.coordinator.aborted)
        try:
            deliver(self.result, self.folder)
        except OSError as error:
            self._undelivered = True
            logger.error("could not write the result: %s", error)
            rescue(self.result, sys.stderr)

    def announce(self) -> None:
        """Say how the run ended, once it has: on the terminal, and to a CI job that shows summaries."""
        if self.result is not None:
            print_verdict(self.result, self.folder / REPORT, Console(highlight=False))
            append_step_summary(self.result)

    @property
    def exit_code(self) -> ExitCode:
        """What the process should end with."""
        if self._undelivered:
            return ExitCode.INTERNAL_ERROR
        return ExitCode(self.result.exit_code) if self.result else ExitCode.ABORTED


def targets_of(environment: Environment) -> list[str]:
    """Every address that the run's connections go to."""
    also = getattr(environment.parsed_options, "also", [])
    return [environment.host, *also] if environment.host else []
