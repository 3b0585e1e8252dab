"""A run over hosts: a master, three workers and two hosts of the service, each with an address of its own.

One run with everything at once: one worker is cut off and healed, one is behind a slow link, one has a wrong clock.
"""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.cli.children import wait_until
from loadtest.exit_codes import ExitCode
from loadtest.measure.run_result import RunResult
from tests.system.namespaces import Network, network
from tests.system.truth_scenes import identity_holds
from tests.target_service.service_process import ROOT

ADDRESSES = {
    "master": "10.0.0.1",
    "first": "10.0.0.11",
    "slow": "10.0.0.12",
    "wrong": "10.0.0.13",
    "shop1": "10.0.0.21",
    "shop2": "10.0.0.22",
}
AHEAD_S = 20
CLOCK = f"import time\nright = time.time_ns\ntime.time_ns = lambda: right() + {AHEAD_S}_000_000_000\n"
"""A `sitecustomize` by which a process's wall clock is wrong, as its machine's would be."""
RATE, DURATION_S = 60, 14
PLAN = f"""
name = "hosts"
peak_tps = {RATE}
duration = "{DURATION_S}s"
virtual_users = 60
arrivals = "uniform"
[profile]
curve = "constant"
[[scenario]]
user = "hosts:Visitor"
"""
SCRIPT = """
from locust import task
from loadtest import FastHttpUser, open_loop

class Visitor(FastHttpUser):
    wait_time = open_loop()

    @task
    def look(self):
        self.client.get("/")
"""
COMMAND = [sys.executable, "-m", "loadtest.cli.main"]


def played_s(said: Path) -> float:
    """How far the run has got, by its own words."""
    lines = [line for line in said.read_text().splitlines() if line.startswith('{"t_s"')]
    return float(json.loads(lines[-1])["t_s"]) if lines else -1.0


def begin(
    made: Network, folder: Path
) -> "tuple[subprocess.Popen[bytes], Path, list[subprocess.Popen[bytes]]]":
    """Start everything: the run, what it says, and the shops."""
    shops = []
    for host in ("shop1", "shop2"):
        target = [sys.executable, str(ROOT / "tests/system/scripted_target.py"), "--host", ADDRESSES[host]]
        shops.append(made.start(host, [*target, "--port", "8080"], folder, subprocess.PIPE))
        assert shops[-1].stdout is not None
        assert shops[-1].stdout.readline() == b"8080\n"
    (folder / "hosts.toml").write_text(PLAN)
    (folder / "hosts.py").write_text(SCRIPT)
    (folder / "token").write_text("the-token-of-this-run")
    run = [*COMMAND, "run", "hosts.toml", "--json", "--expect-workers", "3", "--token-file", "token"]
    run += ["--bind", f"{ADDRESSES['master']}:5557"]
    for host in ("shop1", "shop2"):
        run += ["--target", f"http://{ADDRESSES[host]}:8080", "--allow-host", ADDRESSES[host]]
    said = folder / "said"
    with said.open("wb") as out:
        master = made.start("master", run, folder, out)
    (folder / "clock").mkdir()
    (folder / "clock" / "sitecustomize.py").write_text(CLOCK)
    for host in ("first", "slow", "wrong"):
        place = folder / host
        place.mkdir()
        environment = {"PYTHONPATH": str(folder / "clock")} if host == "wrong" else {}
        work = [*COMMAND, "worker", "--master", "10.0.0.1", "--token-file", "../token", "--workers", "1"]
        with (place / "said").open("wb") as out:
            made.start(host, work, place, out, **environment)
    return master, said, shops


def seen_by(shop: "subprocess.Popen[bytes]") -> int:
    """How many requests came to a shop."""
    shop.send_signal(signal.SIGTERM)
    assert shop.stdout is not None
    return len(json.loads(shop.stdout.read().splitlines()[-1])["received_ns"])


@pytest.mark.slow(held_by="test_whatever_befalls_a_fleet_its_books_are_exact_and_nothing_is_left_running")
def test_a_run_over_hosts_keeps_exact_books_whatever_befalls_them(tmp_path: Path) -> None:
    with network(ADDRESSES) as made:
        slowed = made.slow("slow")
        master, said, shops = begin(made, tmp_path)
        assert wait_until(lambda: played_s(said) >= 2, 60), said.read_text()
        made.cut("first")
        assert wait_until(lambda: played_s(said) >= 6, 30)
        made.heal("first")
        code = master.wait(60)
        seen = sum(seen_by(shop) for shop in shops)
        assert wait_until(lambda: not made.left_running(), 30), made.left_running()
    assert not any(Path("/run/netns", name).exists() for name in made.namespaces)
    [result] = [RunResult.read(path) for path in tmp_path.glob("runs/*/result.json")]
    arrivals, notes = result.arrivals, "\n".join(result.generator.worker_notes)
    assert identity_holds(arrivals), arrivals
    assert arrivals.planned == RATE * DURATION_S
    asked = result.endpoints["GET /"]
    in_doubt = arrivals.cancelled + arrivals.lost
    assert asked.requests - asked.failures <= seen <= asked.requests + in_doubt, arrivals
    assert "was lost: no report for 2 s" in notes
    assert "joined" in notes
    assert "is 20.0 s ahead of the master's; its arrivals are sent at the right time all the same" in notes
    assert len(result.generator.per_worker) == 3
    assert code == result.exit_code
    assert result.validity.verdict in {"DEGRADED", "INVALID"}, "a worker was lost"
    assert (result.validity.verdict == "INVALID") == (code == ExitCode.INVALID)
    assert arrivals.lost <= RATE, "what a healed worker had served is in the books"
    if not slowed:
        pytest.skip("the rest held; this kernel cannot slow a link (neither netem nor tbf)")
