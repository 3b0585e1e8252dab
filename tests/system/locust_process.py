"""Runs of plain Locust with our plugin as child processes, against the scripted target, for system tests."""

import contextlib
import json as json_format
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from loadtest.measure.run_result import RunResult
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
TARGET = Path(__file__).with_name("scripted_target.py")
LOCUSTFILE = Path(__file__).with_name("truth_users.py")
Process = subprocess.Popen[str]
FIRST_REQUEST_S = 300.0
"""Locust's own start and that of its workers, on a busy machine."""


@dataclass(frozen=True)
class Seen:
    """What the target saw."""

    received_ns: list[int]
    """When each request came."""
    answered: int
    refused: int
    reset: int

    @property
    def received(self) -> int:
        """How many requests came."""
        return len(self.received_ns)


class Target:
    """A running scripted target."""

    def __init__(self, process: Process) -> None:
        assert process.stdout is not None
        self._out = process.stdout
        self.process = process
        self.url = f"http://127.0.0.1:{int(self._out.readline())}"

    def await_first_request(self) -> None:
        """Wait until load flows; fails if none has come within `FIRST_REQUEST_S`."""
        assert select.select([self._out], [], [], FIRST_REQUEST_S)[0], "no request came to the target"
        assert self._out.readline() == "first request\n"

    def seen(self) -> Seen:
        """Stop it and hear what it saw."""
        self.process.send_signal(signal.SIGTERM)
        return Seen(**json_format.loads(self._out.readlines()[-1]))


@contextlib.contextmanager
def target(*flags: str) -> Iterator[Target]:
    """Start a target; kill what is left of it afterwards."""
    process = subprocess.Popen([sys.executable, str(TARGET), *flags], stdout=subprocess.PIPE, text=True)
    try:
        yield Target(process)
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def write_plan(
    folder: Path,
    *,
    rate: float,
    duration_s: float,
    users: Sequence[str] = ("Ours",),
    virtual_users: int = 200,
    slos: Sequence[str] = (),
    patience_s: float = 10.0,
) -> Path:
    """A plan of a constant rate of arrivals of each user class."""
    path = folder / "plan.toml"
    scenarios = "".join(f'[[scenario]]\nuser = "truth_users:{user}"\n' for user in users)
    objectives = "".join(f'[[slo]]\nexpr = "{expr}"\n' for expr in slos)
    path.write_text(
        f'name = "truth"\npeak_tps = {rate}\nduration = "{duration_s}s"\nvirtual_users = {virtual_users}\n'
        f'patience_s = {patience_s}\narrivals = "uniform"\n[profile]\n'
        f'knots = [["0s", 1.0], ["{duration_s}s", 1.0]]\n{scenarios}{objectives}',
        encoding="utf-8",
    )
    return path


@dataclass
class LocustRun:
    """The processes of one run."""

    folder: Path
    master: Process
    workers: list[Process] = field(default_factory=list)
    start_worker: Callable[[int], Process] | None = None
    port: int = 0
    start_rival: Callable[[], Process] | None = None
    rivals: list[Process] = field(default_factory=list)

    @property
    def log(self) -> str:
        """What every process said."""
        return "\n".join(f"{path.name}: {path.read_text()}" for path in sorted(self.folder.glob("*.log")))

    def finish(self, timeout_s: float = 300.0) -> tuple[int, RunResult]:
        """Wait for the master: its exit code and its result."""
        code = self.master.wait(timeout_s)
        path = self.folder / "run" / "result.json"
        assert path.exists(), self.log
        return code, RunResult.read(path)

    def add_worker(self, port: int = 0) -> Process:
        """One more worker; `port` leads to the master, if it is not the master's own."""
        assert self.start_worker is not None
        self.workers.append(self.start_worker(port or self.port))
        return self.workers[-1]

    def rival(self) -> Process:
        """One more master on the same port, in a folder of its own."""
        assert self.start_rival is not None
        self.rivals.append(self.start_rival())
        return self.rivals[-1]


@contextlib.contextmanager
def locust_run(
    folder: Path,
    plan: Path,
    host: str,
    *,
    workers: int = 0,
    expects: int = 0,
    prefix: Sequence[str] = (),
    json: bool = False,
    run_folder: Path | None = None,
) -> Iterator[LocustRun]:
    """Start a headless run: one process, or a master and workers. Kills what is left of it afterwards.

    The master `expects` as many workers as are started here, or more.
    """
    common = [*prefix, sys.executable, "-m", "locust", "-f", str(LOCUSTFILE)]
    command = [*common, "--headless", "--plan", str(plan), "-H", host]
    if json:
        command += ["--json-file", str(folder / "locust")]
    port = free_port() if workers else 0
    if workers:
        command += [
            "--master",
            "--master-bind-port",
            str(port),
            "--expect-workers",
            str(max(workers, expects)),
        ]
    run_folder = run_folder or folder / "run"
    run = LocustRun(folder, _start([*command, "--run-dir", str(run_folder)], folder), port=port)
    run.start_rival = lambda: _start([*command, "--run-dir", str(folder / "rival")], folder)
    try:
        run.start_worker = lambda at: _start([*common, "--worker", "--master-port", str(at)], folder)
        for _ in range(workers):
            run.add_worker()
        yield run
    finally:
        for process in (run.master, *run.workers, *run.rivals):
            process.kill()
            process.wait()


def _start(command: Sequence[str], folder: Path) -> Process:
    log = folder / f"{len(list(folder.glob('*.log')))}.log"
    with log.open("w") as file:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )
