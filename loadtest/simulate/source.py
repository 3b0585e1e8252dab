"""The simulated replica, from the folder of a `singlesday capacity` search or of a run."""

from pathlib import Path
from statistics import median
from typing import NamedTuple

import msgspec

from loadtest.judge.capacity import Outcome
from loadtest.judge.capacity_result import CAPACITY, CapacityResult
from loadtest.measure.regions import histogram_of
from loadtest.measure.run_result import RESULT, RunResult
from loadtest.records import is_request
from loadtest.simulate.replica import Replica, ServiceTimes, calibrated

LOW_LOAD = 0.6
"""A step at up to this share of what a replica does is what its times are taken from, if there is one."""


MOST_OFF = 1.5
"""Workers at once, times what each does by the times measured, may be off the rate measured by this factor."""


class SourceError(Exception):
    """A folder does not say what a replica does."""


class Asked(NamedTuple):
    """What somebody knows of a replica that a folder does not say."""

    tps: float | None
    """What it does at most, in the place of what the folder says."""
    servers: int
    under_way: int | None
    seed: int

    def replica(self, tps: float, times: ServiceTimes) -> Replica:
        """A replica with this highest rate and these measured times."""
        return Replica(tps, times, servers=self.servers, under_way=self.under_way)


def replica_from(
    folder: Path, tps: float | None, servers: int, seed: int, under_way: int | None = None
) -> Replica:
    """The replica of a folder; `tps` takes the place of what it says it does at most. Raises `SourceError`."""
    asked = Asked(tps, servers, under_way, seed)
    try:
        if (folder / CAPACITY).is_file():
            return _of_capacity(CapacityResult.read(folder / CAPACITY), asked)
        return _of_run(RunResult.read(folder / RESULT), asked)
    except OSError as error:
        raise SourceError(
            f"--from {folder}: expected the folder of a `singlesday capacity` search or of a run ({error.strerror})"
        ) from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise SourceError(f"--from {folder}: {error}") from error


def _of_capacity(found: CapacityResult, asked: Asked) -> Replica:
    """The replica does at most what overloaded steps completed; its times are those of a step at low load."""
    # What failed below the rate that was sustained met a stall, and an invalid step says nothing of the replica.
    failed = [step for step in found.steps if step.outcome == Outcome.FAIL.value]
    overloaded = [step.completed_tps for step in failed if step.counted and step.tps > found.sustained_tps]
    most = asked.tps or (median(overloaded) if overloaded else found.sustained_tps)
    steps = sorted((step for step in found.steps if step.response_ms.count), key=lambda step: step.tps)
    if not steps or not most:
        raise ValueError("expected a search with at least one step in which requests were answered")
    # Of the steps at low load the busiest: it has the most samples.
    step = next((each for each in reversed(steps) if each.tps <= LOW_LOAD * most), steps[0])
    replica = asked.replica(most, ServiceTimes.of(step.response_buckets))
    return _fitted(replica, step.tps, step.response_ms.p50, step.response_ms.p99, asked.seed)


def _of_run(result: RunResult, asked: Asked) -> Replica:
    if asked.tps is None:
        raise SourceError(
            "--replica-tps: expected, since a run does not show the highest rate of a replica; or give --from the "
            "folder of a `singlesday capacity` search"
        )
    service = histogram_of(
        endpoint.service_buckets for name, endpoint in result.endpoints.items() if is_request(name)
    )
    replica = asked.replica(asked.tps, ServiceTimes.of(service.buckets()))
    p50_ms, p99_ms = service.quantile(0.5) / 1000, service.quantile(0.99) / 1000
    return _fitted(replica, result.transactions.mean_tps, p50_ms, p99_ms, asked.seed)


def _fitted(replica: Replica, offered_tps: float, p50_ms: float, p99_ms: float, seed: int) -> Replica:
    """The replica with the times of its work alone; those measured of commits contain the wait for another one."""
    if not replica.servers:
        return calibrated(replica, offered_tps, p50_ms / 1000, p99_ms / 1000, seed)
    # So many workers do `tps` together where each takes this long on average. What was measured is that and a little
    # more: the way there and back, and a wait now and then.
    mean_s = replica.times.mean_s
    scale = replica.servers / (replica.tps * mean_s)
    if not 1 / MOST_OFF <= scale <= MOST_OFF:
        raise ValueError(
            f"--at-once {replica.servers}: {replica.tps:,.0f} a second that take {mean_s * 1000:.1f} ms each are "
            f"{replica.tps * mean_s:.1f} at once"
        )
    return replica._replace(scale=scale)
