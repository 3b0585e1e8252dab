"""A master, two relays and four workers: exact books, also when a worker or a relay is killed."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest

from loadtest.cli.children import wait_until
from loadtest.measure.run_result import RunResult
from tests.ports import free_port
from tests.system.locust_process import Target, target
from tests.system.run_process import kill_tree
from tests.timing import Others, Timing, unless_taken

SINGLESDAY = [sys.executable, "-m", "loadtest.cli.main"]
TOKEN = "the-token-of-this-test"  # noqa: S105 - opens nothing
PLAN = """
name = "looks"
peak_tps = 40
duration = "{seconds}s"
virtual_users = 40
[profile]
curve = "constant"
[[scenario]]
user = "looks:Look"
"""
SCRIPT = """
from locust import task
from loadtest import FastHttpUser, open_loop

class Look(FastHttpUser):
    wait_time = open_loop()

    @task
    def look(self):
        self.client.get("/products/1")
"""
Process = subprocess.Popen[bytes]


@dataclass
class Tree:
    """Processes and where they write."""

    folder: Path
    target: Target
    control: int = field(default_factory=free_port)
    processes: dict[str, Process] = field(default_factory=dict)

    def start(self, name: str, *words: str) -> Self:
        place = self.folder / name
        place.mkdir(exist_ok=True)
        with (place / "said").open("ab") as said:
            self.processes[name] = subprocess.Popen(
                [*SINGLESDAY, *words],
                cwd=place,
                stdout=said,
                stderr=said,
                stdin=subprocess.DEVNULL,
                env=os.environ | {"LOADTEST_TOKEN": TOKEN},
            )
        return self

    def master(self, seconds: int, workers: int) -> Self:
        place = self.folder / "master"
        place.mkdir()
        (place / "looks.toml").write_text(PLAN.format(seconds=seconds))
        (place / "looks.py").write_text(SCRIPT)
        words = ["run", "looks.toml", "--target", self.target.url, "--expect-workers", str(workers)]
        return self.start("master", *words, "--bind", f"127.0.0.1:{self.control}")

    def relay(self, name: str, port: int) -> Self:
        words = ["--master", f"127.0.0.1:{self.control}", "--bind", f"127.0.0.1:{port}"]
        return self.start(name, "relay", *words)

    def workers(self, name: str, port: int, count: int) -> Self:
        words = ["--master", f"127.0.0.1:{port}", "--workers", str(count)]
        return self.start(name, "worker", *words)

    def said(self, name: str) -> str:
        return (self.folder / name / "said").read_text()

    def result(self) -> RunResult:
        """Of the run, whose books must balance whatever has happened."""
        self.processes["master"].wait(240)
        [path] = (self.folder / "master").glob("runs/*/result.json")
        result = RunResult.read(path)
        arrivals = result.arrivals
        assert arrivals.planned == arrivals.scheduled + arrivals.lost
        assert arrivals.scheduled == arrivals.started + arrivals.dropped
        assert arrivals.started == arrivals.ok + arrivals.failed + arrivals.empty + arrivals.cancelled
        assert sum(worker["started"] for worker in result.generator.per_worker) == arrivals.started
        assert result.generator.report_gaps == 0
        return result

    def playing(self) -> bool:
        """Whether load flows, by the target's own word."""
        logs = (self.folder / "master").glob
        begun = "Sending spawn jobs"
        if wait_until(lambda: any(begun in path.read_text() for path in logs("runs/*/master.log")), 240):
            self.target.await_first_request()
            return True
        return False


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    with target() as aimed:
        grown = Tree(tmp_path, aimed)
        try:
            yield grown
        finally:
            for process in grown.processes.values():
                process.terminate()
            try:
                for process in grown.processes.values():
                    process.wait(90)
            finally:
                for process in grown.processes.values():
                    kill_tree(process)


def children_of(process: Process) -> list[int]:
    """The processes that a command has started, oldest first."""
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return sorted(map(int, found.split()))


@pytest.mark.slow(held_by="test_a_worker_below_a_relay_and_a_whole_relay_are_killed")
def test_two_relays_and_four_workers_have_the_books_of_a_fleet_without(tree: Tree) -> None:
    left, right = free_port(), free_port()
    tree.relay("left", left).relay("right", right).workers("first", left, 2).workers("second", right, 2)
    others = Others()
    result = tree.master(4, 4).result()
    unless_taken(result, others)
    assert (result.arrivals.planned, result.arrivals.lost, result.arrivals.ok) == (160, 0, 160), tree.said(
        "master"
    )
    assert [worker["started"] for worker in result.generator.per_worker] == [40] * 4
    assert result.endpoints["GET /products/1"].response_ms.count == 160
    assert sum(point.requests for point in result.timeline) == 160
    ended = {name: tree.processes[name].wait(90) for name in ("left", "right", "first", "second")}
    assert ended == dict.fromkeys(ended, 0), tree.said("left")
    assert tree.target.seen().received == 160


def test_a_worker_below_a_relay_and_a_whole_relay_are_killed(tree: Tree, timing: Timing) -> None:
    left, right = free_port(), free_port()
    tree.relay("left", left).relay("right", right).master(12, 3)
    tree.start("behind", "relay", "--master", f"127.0.0.1:{left}", "--bind", f"127.0.0.1:{free_port()}")
    tree.workers("first", left, 2).workers("second", right, 1)
    assert tree.playing()
    os.kill(children_of(tree.processes["first"])[0], signal.SIGKILL)
    tree.processes["right"].kill()
    result = tree.result()
    told = " ".join(text for _, text in result.events)
    assert told.count("was lost: no report for 2 s") >= 2, told
    with timing:  # the third was not taken for lost too, which ends a run
        assert told.count("was lost: no report for 2 s") == 2, told
        assert result.arrivals.planned == 480
        assert result.verdict == "INVALID", "arrivals were lost"
    arrivals = result.arrivals
    assert 0 < arrivals.lost < arrivals.planned
    assert arrivals.ok + arrivals.lost + arrivals.dropped >= arrivals.planned - arrivals.cancelled
    assert tree.processes["behind"].wait(90) == 2, tree.said("behind")
    assert f"--master 127.0.0.1:{left}: a relay listens there" in tree.said("behind")
    assert tree.processes["left"].wait(90) == 0
    assert re.search(r"used [\d.]+ s of a core in \d+ s, at most \d+% of it", tree.said("left"))
