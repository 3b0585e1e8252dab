"""`singlesday run` and `singlesday resume` as processes that tests watch, signal and kill."""

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema_rs
import psutil

from loadtest.cli.children import wait_until
from loadtest.exit_codes import ExitCode
from loadtest.measure.run_result import RunResult
from loadtest.publish.schema import result_schema
from tests.timing import Others, note_orphans, unless_taken

PLAN = """
name = "matrix"
peak_tps = 20
duration = "3s"
virtual_users = 20
patience_s = 2

[profile]
curve = "constant"

[[scenario]]
user = "loadtest.scenarios.shop:OrderOnly"
"""


def lasting(seconds: int) -> str:
    """That plan for longer: what is done to a run in its midst may come seconds late on a busy machine."""
    return PLAN.replace('"3s"', f'"{seconds}s"')


WAIT_S = 300.0
"""How long a run may take from one step to another, each of which starts several processes, on a busy machine."""


def kill_tree(process: "subprocess.Popen[Any]") -> None:
    """Kill a process and all below it, as the sudden end of their machine would, if it has not ended."""
    if process.poll() is None:
        note_orphans(process.pid)
        parent = psutil.Process(process.pid)
        for each in [parent, *parent.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
    process.wait()


@dataclass
class Ended:
    """A run that is over."""

    code: int
    output: str
    folder: Path

    @property
    def result(self) -> RunResult:
        return RunResult.read(self.folder / "result.json")


class Run:
    """`singlesday run` on a plan of three seconds, in a process."""

    def __init__(self, out: Path, *flags: str, plan: str = PLAN) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self._out = out / "runs"
        path = out / "matrix.toml"
        path.write_text(plan, encoding="utf-8")
        service = () if "--target" in flags else ("--service-workers", "1")
        self._start(out / "output.txt", "run", str(path), "--out", str(self._out), *service, *flags)

    def _start(self, log: Path, *arguments: str) -> None:
        self._log = log
        command = [sys.executable, "-m", "loadtest.cli.main", *arguments, "--json"]
        with log.open("w") as file:
            self.process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)

    @property
    def output(self) -> str:
        return self._log.read_text()

    @property
    def folder(self) -> Path:
        (folder,) = self._out.iterdir()
        return folder

    def child(self, *words: str) -> psutil.Process | None:
        """The newest process below this one whose command line holds all of `words`."""
        found = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if set(words) <= set(process.cmdline()):
                    found.append(process)
        return found[-1] if found else None

    def reached(self, t_s: float) -> bool:
        """Whether the run has got to an offset, by its own progress."""
        lines = [line for line in self.output.splitlines() if line.startswith('{"t_s"')]
        return bool(lines) and json.loads(lines[-1])["t_s"] >= t_s

    def kill(self) -> None:
        """Kill the whole tree, as the sudden end of its machine would."""
        kill_tree(self.process)

    def wait_until(self, condition: Callable[[], object]) -> None:
        """Wait for something that is not timed; kills the run where it does not come."""
        held = False
        try:
            held = wait_until(lambda: bool(condition()), WAIT_S, 0.02)
            assert held, self.output
        finally:
            if not held:
                self.kill()

    def wait(self) -> int:
        """Its exit code; kills what there is of it where the end does not come."""
        try:
            return self.process.wait(WAIT_S)
        finally:
            self.kill()

    def end(self) -> Ended:
        """Wait for its end."""
        code = self.wait()
        return Ended(code, self.output, self.folder)


def assert_artefacts(ended: Ended) -> None:
    """Every file is there, is what it says it is, and agrees with the exit code."""
    document = json.loads((ended.folder / "result.json").read_text())
    jsonschema_rs.validate(result_schema(), document)
    assert document["exit_code"] == ended.code, ended.output
    suites = ET.parse(ended.folder / "junit.xml").getroot()  # noqa: S314  # our own output
    problems = int(suites.get("failures", "")) + int(suites.get("errors", ""))
    assert (problems == 0) == (ended.code == ExitCode.PASS)
    assert "</html>" in (ended.folder / "report.html").read_text()
    assert document["verdict"] in (ended.folder / "summary.md").read_text()
    assert (ended.folder / "latency.hlog").stat().st_size > 0
    assert not list(ended.folder.glob("*.partial"))
    arrivals = ended.result.arrivals
    assert arrivals.planned == arrivals.scheduled + arrivals.lost
    assert arrivals.scheduled == arrivals.started + arrivals.dropped
    assert arrivals.started == arrivals.ok + arrivals.failed + arrivals.empty + arrivals.cancelled


def calm(attempt: Callable[[Path], Ended], folder: Path) -> Ended:
    """A run that others did not make INVALID by using its cores: else the test is played again, then skips."""
    others = Others()
    ended = attempt(folder / "calm")
    unless_taken(ended.result, others)
    return ended


def signalled(run: Run, at: Callable[[], object]) -> Ended:
    run.wait_until(at)
    run.process.send_signal(signal.SIGTERM)
    return run.end()


class Resumed(Run):
    """`singlesday resume` of the run in a folder, in a process."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self._folder = folder
        self._start(
            folder.parent.parent / f"resumed-{len(list(folder.parent.parent.iterdir()))}.txt",
            "resume",
            str(folder),
            *flags,
        )

    @property
    def folder(self) -> Path:
        return self._folder
