"""`singlesday capacity` as a user types it, at a target that nobody overloads."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.timing import CoreTakenError, Others

ROUTES = Path(__file__).parent / "route_target.py"
CEILING_RPS = 40

PLAN = """
name = "looks"
peak_tps = 10
duration = "10s"
virtual_users = 20
[profile]
curve = "constant"
[targets]
"127.0.0.1" = 40
[[scenario]]
user = "capacity_script:Looker"
[[slo]]
expr = "p99(GET /ok) < 10s"
"""
SCRIPT = """
from locust import task
from loadtest import FastHttpUser, open_loop

class Looker(FastHttpUser):
    wait_time = open_loop()

    @task
    def look(self):
        self.client.get("/ok")
"""


@pytest.fixture
def target() -> Iterator[str]:
    with subprocess.Popen([sys.executable, str(ROUTES)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.kill()


def capacity(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    (folder / "capacity_script.py").write_text(SCRIPT, encoding="utf-8")
    (folder / "looks.toml").write_text(PLAN, encoding="utf-8")
    command = [sys.executable, "-m", "loadtest.cli.main", "capacity", str(folder / "looks.toml")]
    flags = ("--duration", "1s", "--out", str(folder / "runs"), *flags)
    return subprocess.run([*command, *flags], capture_output=True, text=True, timeout=300)


def test_a_search_of_a_script_of_ones_own_stops_at_the_rate_that_the_target_allows(
    tmp_path: Path, target: str
) -> None:
    others = Others()
    ended = capacity(tmp_path, "--target", target, "--start-tps", "20", "--json")
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    steps, last = [line["step"] for line in lines[:-1]], lines[-1]
    invalid = any(step["outcome"] == "invalid" for step in steps)
    if invalid and (reason := others.taken()) is not None:
        raise CoreTakenError(reason)
    assert not invalid, steps
    assert ended.returncode == 0, ended.stderr
    assert [step["tps"] for step in steps] == [20, CEILING_RPS]
    assert all(step["response_ms"]["count"] == step["tps"] for step in steps)
    assert (last["capacity"]["limit"], last["capacity"]["sustained_tps"]) == ("ceiling", CEILING_RPS)
    folder = Path(last["folder"])
    written = json.loads((folder / "capacity.json").read_bytes())
    assert written | {"steps": []} == last["capacity"]
    assert [sum(step["response_buckets"]["counts"]) for step in written["steps"]] == [20, CEILING_RPS]
    assert "a higher rate is not allowed there" in (folder / "capacity.html").read_text(encoding="utf-8")


def test_a_mistake_ends_with_code_2_before_anything_is_sent(tmp_path: Path) -> None:
    ended = capacity(tmp_path, "--target", "http://127.0.0.1:1", "--tolerance", "0")
    assert ended.returncode == 2
    assert "--tolerance: expected a share above 0" in ended.stderr
    assert not (tmp_path / "runs").exists()
