"""The result of a run whose master was killed: its last checkpoint, and what its workers have reported since.

The checkpoint says which report numbers of each worker it holds, so each report of a worker's own record (`journal`)
is added once or not at all. What was planned is what workers say was scheduled: nobody lived to deal out the rest.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from loadtest.clock import SystemClock
from loadtest.fleet.checkpoint import KILLED, Checkpoint, CheckpointError
from loadtest.fleet.coordinator import Coordinator
from loadtest.fleet.merge import Merge
from loadtest.fleet.messages import MessageError, Report
from loadtest.fleet.snapshot import PeriodRecords, arrivals, progress
from loadtest.measure.run_result import RunResult

NS_PER_S = 1_000_000_000


class Recovered(NamedTuple):
    """What could be told of a run that was killed."""

    result: RunResult
    """Not judged yet."""
    reports: int
    """How many reports were added to the checkpoint."""
    workers: int
    """Whose."""

    @property
    def told(self) -> str:
        """Why the run ended, as its verdict has it."""
        if not self.reports:
            return KILLED
        return (
            f"{KILLED} with {self.reports} later reports of {self.workers} worker{'s' * (self.workers != 1)}"
        )


def recover(
    checkpoint: Checkpoint,
    reports: Iterable[tuple[str, Report]],
    planned: Callable[[float, float], float],
) -> Recovered:
    """Add workers' own records to a checkpoint. Raises `CheckpointError` where the totals are damaged.

    `planned` says how many transactions the plan intends between two offsets in seconds.
    """
    merge = Merge([(from_s, to_s) for from_s, to_s, _ in checkpoint.periods])
    try:
        merge.load(checkpoint.totals)
    except (ValueError, KeyError) as error:
        raise CheckpointError(f"the totals of a checkpoint do not fit together: {error}") from error
    added = [worker for worker, report in reports if _add(merge, checkpoint.info.id, worker, report)]
    newest_s = max([totals.newest for totals in merge.workers.values()], default=-1) + 1
    to_ns = max(checkpoint.history.known_to_ns, newest_s * NS_PER_S)
    coordinator = _coordinator(checkpoint, merge, to_ns)
    info = msgspec.structs.replace(checkpoint.info, duration_s=to_ns / NS_PER_S)
    scheduled = merge.total.scheduled
    merge.break_off()
    result = progress(coordinator, info, PeriodRecords(checkpoint.periods))
    result.arrivals = arrivals(merge.total, scheduled)
    result.timeline = list(merge.timeline.points(planned))
    result.gauges = dict(checkpoint.gauges)
    return Recovered(result, len(added), len(set(added)))


def _add(merge: Merge, run_id: str, worker: str, report: Report) -> bool:
    try:
        return report.run_id == run_id and merge.fold(worker, report)
    except MessageError:
        return False


def _coordinator(checkpoint: Checkpoint, merge: Merge, to_ns: int) -> Coordinator:
    """One that leads nobody, for what its totals and its history tell."""
    coordinator = Coordinator(
        checkpoint.info.id,
        duration_ns=to_ns,
        drain_s=0.0,
        count=lambda *_: 0,
        send=lambda *_: None,
        clock=SystemClock(),
        merge=merge,
    )
    coordinator.recall(checkpoint.history, to_ns)
    return coordinator
