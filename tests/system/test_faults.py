"""Faults of a plan, played by real processes: the service is killed under load, and the books still balance."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = pytest.mark.slow

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


def result_of(folder: Path) -> dict[str, Any]:
    (path,) = (folder / "runs").glob("*/result.json")
    result: dict[str, Any] = json.loads(path.read_text())
    return result


def test_a_service_killed_under_load_is_started_again_and_nothing_acknowledged_is_lost(
    tmp_path: Path,
) -> None:
    ended = singlesday(tmp_path, PLAN)
    assert ended.returncode in (0, 10, 11), ended.stdout + ended.stderr
    result = result_of(tmp_path)
    slow, crash = result["faults"]
    assert not slow["problem"]
    assert not crash["problem"]
    assert slow["began_s"] < crash["began_s"] < crash["ended_s"]
    assert crash["did"].startswith("supervisor ")
    assert crash["detected_in_s"] is not None
    said = [text for _, text in result["events"] if text.startswith("fault ")]
    assert len(said) == 4
    assert result["audit"]["acknowledged"] > 0
    assert (result["audit"]["lost"], result["audit"]["duplicated"], result["audit"]["phantom"]) == (0, 0, 0)
    # Orders that came after the crash were acknowledged, by a service that somebody started again.
    assert any(point["completed_tps"] for point in result["timeline"] if point["t_s"] > crash["ended_s"])
    assert {slo["expr"] for slo in result["slo"] if slo["source"] == "fault"} == {
        "slow recovers_within <= 6s",
        "crash recovers_within <= 6s",
    }
    left = [
        p.pid for p in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(p.info["cmdline"] or ())
    ]
    assert left == []


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
