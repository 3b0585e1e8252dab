"""Saves a run every ten seconds, so that whatever kills its master leaves a result, and totals to go on with.

`checkpoint.bin` is written each time: the run can be resumed from it (`fleet.checkpoint`). `result.json`, the result
that the run has if nobody resumes it, is written less often in a long run. The totals come first, so that they never
know less.

Saving shares a core with what is measured. The totals cost 20 ms of it, also after an hour; drawing the result costs
up to two seconds then. It may take `MOST_OF_A_CORE` and no more: where it takes longer, the next one comes later.
`singlesday report` draws it from the totals if the master was killed before.
"""

import logging
import time
from typing import TYPE_CHECKING

import gevent
import msgspec
from gevent import monkey

from loadtest.fleet import checkpoint as checkpoints
from loadtest.fleet.checkpoint import KILLED, Checkpoint
from loadtest.fleet.coordinator import Phase
from loadtest.fleet.journal import forget_reports
from loadtest.fleet.snapshot import broken_off
from loadtest.measure.run_result import RESULT, RunResult
from loadtest.pauses import Pauses

if TYPE_CHECKING:  # the run has itself saved; importing it here for real would be a circle
    from loadtest.plugin.led_run import LedRun

LEVEL_WAIT_S = 2.0
"""How long to wait for a moment at which every worker has reported equally much. Four reports; if one is later than
that, what it has not reported is missing from the totals."""
LOOK_S = 0.02
MOST_OF_A_CORE = 0.01

logger = logging.getLogger(__name__)


class Checkpointer:
    """Saves `run` at its start and every `every_s` of its time."""

    def __init__(self, run: "LedRun", every_s: float) -> None:
        self._run = run
        self._every_s = every_s
        self._ended = False
        self._writing = monkey.get_original("threading", "Lock")()
        """A lock of real threads, since Locust puts gevent's in the place of those."""

    def save_while_running(self) -> None:
        """Save until the run is over; runs in a greenlet of its own."""
        due_s = result_due_s = self._run.coordinator.scheduled_to_ns / 1e9
        began = False
        while not self._run.over:
            running = self._run.coordinator.phase is Phase.RUNNING
            if running and not began:
                began = True
                due_s += self._every_s
                self._try_saving(with_result=False, level=False)
            elif running and self._run.played_s >= due_s:
                due_s = self._run.played_s + self._every_s
                with_result = self._run.played_s >= result_due_s
                began_s = time.thread_time()
                self._try_saving(with_result=with_result, level=True)
                spent_s = time.thread_time() - began_s
                if with_result:  # other greenlets of this thread are in it: rather too much than too little
                    result_due_s = self._run.played_s + spent_s / MOST_OF_A_CORE
            gevent.sleep(min(self._every_s, 1.0) if running else LOOK_S)

    def save_end(self, stopped: str) -> None:
        """Leave the totals of a run that was stopped before its time, so that it can be resumed."""
        packed = self._packed(stopped)
        try:
            with self._writing:
                self._ended = True
                checkpoints.write(packed, self._run.folder)
        except OSError as error:
            logger.error("could not write the last checkpoint: %s", error)

    def forget(self) -> None:
        """Remove the totals of a run that has ended: there is nothing left to resume."""
        try:
            forget_reports(self._run.folder)
            with self._writing:
                self._ended = True
                (self._run.folder / checkpoints.CHECKPOINT).unlink(missing_ok=True)
        except OSError as error:
            logger.error("could not remove the last checkpoint: %s", error)

    def _await_level(self) -> None:
        deadline = time.monotonic() + LEVEL_WAIT_S
        while not self._run.coordinator.level and time.monotonic() < deadline:
            gevent.sleep(LOOK_S)

    def _try_saving(self, *, with_result: bool, level: bool) -> None:
        try:
            self._save(with_result=with_result, level=level)
        except OSError as error:
            logger.error("could not write a checkpoint: %s", error)

    def _save(self, *, with_result: bool, level: bool) -> None:
        """Write the totals, and the result that this run has if this process is killed now. Raises `OSError`."""
        run = self._run
        result = self._result() if with_result else None
        if level:
            self._await_level()  # last, since drawing the result takes many pauses
        if run.coordinator.phase is not Phase.RUNNING:
            return  # what is written at the end says more
        packed = self._packed(stopped=None)
        reach = {name: totals.reports for name, totals in run.coordinator.merge.workers.items()}
        gevent.get_hub().threadpool.apply(self._write, (packed,))  # a disk may take seconds
        run.coordinator.saved = reach
        if result is not None and not run.over:
            result.write(run.folder / RESULT)

    def _result(self) -> RunResult:
        """What was planned is what workers reported as scheduled: counting a random schedule takes too long here.

        The timeline of an hour or more, 3,600 points, took 0.18 s in steps of up to 14 ms, the file 22 ms.
        """
        run = self._run
        pause = Pauses(gevent.sleep)
        info = msgspec.structs.replace(run.info, duration_s=run.played_s)
        result = run.progress(pause)
        result.run = info
        result.arrivals = broken_off(result.arrivals)
        result.gauges = run.gauges()
        for point in run.coordinator.merge.timeline.points(run.planned_transactions):
            result.timeline.append(point)
            pause()  # leases go out meanwhile
        return run.judge(result, aborted=KILLED, final=False)

    def _write(self, packed: bytes) -> None:
        with self._writing:
            if not self._ended:
                checkpoints.write(packed, self._run.folder)

    def _packed(self, stopped: str | None) -> bytes:
        """Everything up to where the totals reach, also of what is sampled: the rest is to come again."""
        run = self._run
        history = run.coordinator.history()
        known_to_s = history.known_to_ns / 1e9
        return checkpoints.encode(
            Checkpoint(
                info=run.info,
                plan=run.plan.to_json(),
                slos=[slo.expr for slo in run.slos],
                periods=run.periods,
                history=history,
                totals=run.coordinator.merge.pack(),
                gauges={
                    name: [(t_s, value) for t_s, value in values if t_s < known_to_s]
                    for name, values in run.gauges().items()
                },
                written_wall_ns=time.time_ns(),
                stopped=stopped,
            )
        )
