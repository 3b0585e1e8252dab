"""Workers that `singlesday worker` starts, as the recipe for several machines has it; here all on loopback."""

import contextlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from loadtest.cli.children import wait_until
from loadtest.fleet import checkpoint as checkpoints
from loadtest.fleet.joining import Joining, JoiningError, Master
from loadtest.measure.run_result import RunResult
from tests.ports import free_port
from tests.system.locust_process import Target, target
from tests.system.run_process import kill_tree
from tests.target_service.service_process import ROOT
from tests.timing import Others, Timing, unless_ended

RECIPES = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
SECTION = RECIPES.partition("## Several machines")[2].partition("\n## ")[0]
STEPS = [
    line.strip()
    for block in re.findall(r"```console\n(.*?)```", SECTION, re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]
PLAN = """
name = "checkout"
peak_tps = 30
duration = "{seconds}s"
virtual_users = 20
[profile]
curve = "constant"
[[scenario]]
user = "checkout:Checkout"
"""
SCRIPT = """
from locust import task
from loadtest import FastHttpUser, feeders, open_loop
from paths import path_of

SKUS = feeders.csv("data/skus.csv", share="split")

class Checkout(FastHttpUser):
    wait_time = open_loop()

    @task
    def buy(self):
        self.client.get(path_of(SKUS.next()["sku"]))
"""


@dataclass
class Machines:
    """The master's machine and others: a folder each."""

    folder: Path
    control: int
    target: Target

    def words(self, step: str) -> list[str]:
        """A step of the recipe as it is typed here: with addresses of ours, and a worker for each four."""
        step = step.replace("10.0.0.1:5557", f"127.0.0.1:{self.control}").replace(
            "--workers 4", "--workers 1"
        )
        step = step.replace("http://shop.example.com", self.target.url).replace(
            "--expect-workers 8", "--expect-workers 2"
        )
        command, *rest = shlex.split(step)
        assert command == "singlesday"
        return [sys.executable, "-m", "loadtest.cli.main", *rest]

    def on(self, machine: str) -> Path:
        place = self.folder / machine
        place.mkdir(exist_ok=True)
        return place


@contextlib.contextmanager
def started(words: list[str], place: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A command on a machine, its words in `said`; stopped afterwards if it has not ended."""
    with (place / "said").open("wb") as said:
        process = subprocess.Popen(words, cwd=place, stdout=said, stderr=said, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(90)
        finally:
            kill_tree(process)


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    with target() as aimed:
        yield Machines(tmp_path, free_port(), aimed)


def known_to_s(folder: Path) -> float:
    """Where the last checkpoint ends; 0 before there is one."""
    return checkpoints.read(folder).known_to_s if (folder / checkpoints.CHECKPOINT).exists() else 0.0


def bring_plan(place: Path, seconds: int) -> None:
    (place / "data").mkdir()
    (place / "checkout.toml").write_text(PLAN.format(seconds=seconds))
    (place / "checkout.py").write_text(SCRIPT)
    (place / "paths.py").write_text("def path_of(sku):\n    return f'/products/{sku}'\n")
    (place / "data" / "skus.csv").write_text("sku\n" + "".join(f"sku-{n}\n" for n in range(200)))


def test_the_recipe_for_several_machines_step_by_step(machines: Machines, timing: Timing) -> None:
    draw, run, work = STEPS
    subprocess.run(["sh", "-ec", draw], cwd=machines.on("master"), check=True)
    bring_plan(machines.on("master"), 4)
    token = (machines.on("master") / "token").read_text()
    for name in ("first", "second"):
        (machines.on(name) / "token").write_text(token)
    (machines.on("stranger") / "token").write_text("the-token-of-another-run")
    others = Others()
    with (
        started(machines.words(work), machines.on("first")) as first,  # before there is a master
        started(machines.words(run), machines.on("master")) as master,
    ):
        said = machines.on("master") / "said"
        assert wait_until(lambda: "waiting for 2 workers" in said.read_text(), 300)
        with started(machines.words(work), machines.on("stranger")) as stranger:
            assert stranger.wait(300) == 2
        assert "refuses this worker: wrong token" in (machines.on("stranger") / "said").read_text()
        with (
            Joining(Master("127.0.0.1", machines.control, token.strip()), 300, print) as older,
            pytest.raises(
                JoiningError, match=r"has singlesday 0\.0\.9 .*: pip install singlesday-loadtest=="
            ),
        ):
            older.bring({"singlesday": "0.0.9", "locust": "1.0"}, machines.on("older"))
        with started(machines.words(work), machines.on("second")) as second:
            code = master.wait(300)
            [result] = [RunResult.read(path) for path in machines.on("master").glob("runs/*/result.json")]
            unless_ended(result, others)  # the workers were taken for lost
            assert code in {0, 11}, said.read_text()
            assert (first.wait(90), second.wait(90)) == (0, 0)
    assert "its token differs from this run's" in said.read_text()
    assert (result.arrivals.planned, result.arrivals.failed) == (120, 0)
    timing.heard(result)
    with timing:  # no worker was taken for lost
        assert result.arrivals.lost == 0
        assert len(result.generator.per_worker) == 2
        assert all(worker["started"] for worker in result.generator.per_worker)
    assert {path.name for path in machines.on("first").iterdir()} == {"token", "said", "runs"}


def test_workers_that_outlive_a_killed_master_join_the_resumed_run(machines: Machines) -> None:
    bring_plan(machines.on("master"), 9)  # a kill that comes seconds late on a busy machine is to hit it
    others = Others()
    address = f"127.0.0.1:{machines.control}"
    run = f"singlesday run checkout.toml --target {machines.target.url} --expect-workers 1 --checkpoint 1s"
    work = machines.words(f"singlesday worker --master {address} --workers 1")
    out, said = machines.on("master") / "runs", machines.on("first") / "said"
    with started(work, machines.on("first")) as first:
        with started(machines.words(f"{run} --bind {address}"), machines.on("master")) as master:
            assert wait_until(lambda: any(known_to_s(folder) >= 1 for folder in out.glob("*")), 300)
            kill_tree(master)
        [folder] = out.iterdir()
        with started(machines.words(f"singlesday resume {folder}"), machines.on("master")) as resumed:
            code = resumed.wait(300)
            result = RunResult.read(folder / "result.json")
            unless_ended(result, others)  # the only worker was taken for lost
            assert code in {0, 11}, (machines.on("master") / "said").read_text()
            assert first.wait(90) == 0, said.read_text()
    assert f"the master at {address} is gone" in said.read_text()
    assert re.search(
        r"what was reported to it lies in runs/\S+-checkout-\S+/workers; waiting 300 s", said.read_text()
    )
    assert (result.arrivals.planned, result.run.resumed_s != []) == (270, True)
    assert [point.t_s for point in result.timeline][:4] == [0, 1, 2, 3]
    assert len(result.generator.per_worker) == 2, "one of each part"
    assert all(worker["started"] for worker in result.generator.per_worker)
