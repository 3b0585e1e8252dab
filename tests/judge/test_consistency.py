"""A record that contradicts itself: found out, and never seen where a run lost workers, was resumed or recovered."""

from collections.abc import Callable

import msgspec
import pytest

from loadtest.fleet import checkpoint as checkpoints
from loadtest.fleet.recovered import recover
from loadtest.judge.consistency import contradictions
from loadtest.measure.run_result import RunResult
from tests.fleet.simulated_fleet import RATE, SimulatedFleet
from tests.fleet.test_checkpoint import DURATION_S, books_of, resumed, run_until_level, take


def crowded() -> SimulatedFleet:
    """A fleet one of whose workers has more and more arrivals that wait for a user."""
    fleet = SimulatedFleet(2, DURATION_S, takes_s=0.2)
    fleet.run_until(2)
    fleet.workers["w0"].stuck = True
    return fleet


def with_a_killed_worker() -> RunResult:
    fleet = crowded()
    return ended_without_the_crowded_worker(fleet, 4)


def resumed_with_a_killed_worker() -> RunResult:
    fleet = crowded()
    run_until_level(fleet, 4)
    rest = resumed(take(fleet), workers=2)
    rest.run_until(6)
    rest.workers["w0"].stuck = True
    return ended_without_the_crowded_worker(rest, 8)


def ended_without_the_crowded_worker(fleet: SimulatedFleet, killed_s: float) -> RunResult:
    fleet.run_until(killed_s)
    fleet.workers["w0"].stopped = True
    fleet.run_to_end()
    return books_of(fleet)


def recovered() -> RunResult:
    fleet = crowded()
    fleet.run_until(3)
    fleet.workers["w0"].stopped = True
    run_until_level(fleet, 7)
    return recover(checkpoints.decode(take(fleet)), [], lambda from_s, to_s: RATE * (to_s - from_s)).result


@pytest.mark.parametrize("run", [with_a_killed_worker, resumed_with_a_killed_worker])
def test_what_is_written_off_as_dropped_is_in_the_seconds_too(run: Callable[[], RunResult]) -> None:
    result = run()
    assert result.arrivals.dropped > 0
    assert result.generator.worker_notes
    assert sum(point.dropped for point in result.timeline) == result.arrivals.dropped
    assert contradictions(result) == []


def test_what_was_under_way_in_a_run_that_was_killed_is_out_of_the_seconds_too() -> None:
    result = recovered()
    assert result.arrivals.lost > 0
    assert contradictions(result) == []


def test_arrivals_dropped_in_no_second_are_a_contradiction_also_where_a_worker_was_lost() -> None:
    result = with_a_killed_worker()
    point = next(point for point in result.timeline if point.dropped)
    result.timeline.remove(point)
    result.timeline.append(msgspec.structs.replace(point, dropped=0))
    (said,) = contradictions(result)
    assert said.startswith("the seconds of the run have 0 dropped, and the whole run has ")
