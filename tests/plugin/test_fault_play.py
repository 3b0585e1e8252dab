"""The leader's side of a plan's faults, where what plays them ends before its time."""

import signal
from pathlib import Path

import gevent
import pytest

from loadtest.configuration.run_config import RunConfig
from loadtest.plan.plan_file import Plan
from loadtest.plugin.fault_play import FaultPlay

PLAN = """
peak_tps = 10

[profile]
knots = [["0s", 1.0], ["60s", 1.0]]

[[scenario]]
user = "loadtest.scenarios.shop:OrderOnly"

[[fault]]
kind = "hook"
at = "30s"
command = ["true"]
"""


@pytest.fixture
def play(tmp_path: Path) -> FaultPlay:
    file = tmp_path / "shop.toml"
    file.write_text(PLAN)
    return FaultPlay(RunConfig(plan=Plan.load(str(file)), plan_name="shop", folder=str(tmp_path)))


def test_a_player_that_was_killed_is_a_problem_of_its_faults_and_of_nothing_else(play: FaultPlay) -> None:
    play._player.send_signal(signal.SIGKILL)
    with gevent.Timeout(60):
        play._player.wait()
    play.undo()
    play.close(complete=True)
    assert [fault.problem for fault in play.results] == [
        "the process that plays faults ended before its time"
    ]
