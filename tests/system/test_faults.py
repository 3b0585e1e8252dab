"""Faults that cannot be played are refused before any traffic; `test_fault_plans` plays those that can."""

import subprocess
import sys
from pathlib import Path

import pytest

PLAN = """
name = "faulty"
peak_tps = 20
duration = "14s"
virtual_users = 200
[profile]
curve = "constant"
[[scenario]]
user = "loadtest.scenarios.shop:OrderOnly"
[[fault]]
name = "slow"
kind = "latency"
delay = "50ms"
at = "3s"
for = "2s"
recovers_within = "6s"
[[fault]]
name = "crash"
kind = "kill"
process = "supervisor"
at = "4s"
for = "1s"
recovers_within = "6s"
"""


def singlesday(folder: Path, plan: str, *flags: str) -> "subprocess.CompletedProcess[str]":
    (folder / "plan.toml").write_text(plan)
    command = [
        sys.executable,
        "-m",
        "loadtest.cli.main",
        "run",
        "plan.toml",
        "--out",
        "runs",
        "--quiet",
        *flags,
    ]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=180)


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (PLAN.replace('at = "4s"', 'at = "2s"'), "fault[1].at: expected 3 s or later"),
        (
            PLAN.replace('kind = "latency"\ndelay = "50ms"', 'kind = "disk-full"\nfolder = "/nowhere"'),
            "fault slow: /nowhere: expected a folder",
        ),
    ],
    ids=["too early", "no such disk"],
)
def test_a_fault_that_cannot_be_played_is_refused_before_any_traffic(
    tmp_path: Path, plan: str, said: str
) -> None:
    ended = singlesday(tmp_path, plan)
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert said in ended.stdout + ended.stderr
    assert not list((tmp_path / "runs").glob("*/result.json"))


def test_the_services_own_faults_are_refused_for_a_target_of_others(tmp_path: Path) -> None:
    ended = singlesday(tmp_path, PLAN, "--target", "http://127.0.0.1:9")
    assert ended.returncode == 2
    assert "use kind hook with its command or url" in ended.stderr
