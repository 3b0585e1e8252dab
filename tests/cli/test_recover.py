"""The result of a run whose master was killed, as `singlesday report` recovers it."""

from pathlib import Path

import msgspec

from loadtest.cli.recover import recover_folder
from loadtest.fleet import checkpoint as checkpoints
from loadtest.measure.run_result import RESULT, RunResult
from loadtest.plan.plan_file import Plan
from tests.fleet.simulated_fleet import SimulatedFleet
from tests.fleet.test_checkpoint import DURATION_S, run_until_level, take


def test_arrivals_that_waited_when_the_master_was_killed_are_lost_and_no_defect(tmp_path: Path) -> None:
    fleet = SimulatedFleet(2, DURATION_S)
    fleet.run_until(1)
    fleet.workers["w0"].stuck = True
    run_until_level(fleet, 4)
    saved = msgspec.structs.replace(checkpoints.decode(take(fleet)), plan=Plan.load("smoke").to_json())
    checkpoints.write(checkpoints.encode(saved), tmp_path)
    assert checkpoints.KILLED in recover_folder(tmp_path)
    result = RunResult.read(tmp_path / RESULT)
    assert result.arrivals.lost > 0
    assert not [reason for reason in result.validity.reasons if "defect" in reason]
