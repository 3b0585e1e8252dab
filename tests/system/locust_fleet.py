"""A Locust master with our plugin and its workers as child processes, for system tests."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.ports import free_port
from tests.target_service.service_process import ROOT, ask

COMMAND = [sys.executable, "-m", "locust", "-f", "loadtest/locustfile.py"]


@dataclass(frozen=True)
class Fleet:
    """Where a running fleet can be looked at."""

    master: "subprocess.Popen[bytes]"
    web_url: str
    metrics_url: str
    folder: Path

    def wait(self, timeout_s: float) -> int:
        """Wait for the master's end; its exit code."""
        return self.master.wait(timeout_s)


def wait_until(condition: Callable[[], object], seconds: float = 300.0) -> None:
    """Poll a condition until it holds; fail when it does not in time."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "the condition never held"
        time.sleep(0.05)


def answers(url: str) -> bool:
    """Whether somebody accepts connections at a URL."""
    with contextlib.suppress(OSError):
        return ask(url, "GET", "/").status > 0
    return False


@contextlib.contextmanager
def fleet(
    folder: Path, target: str, *flags: str, workers: int = 1, control: int = 0, **environment: str
) -> Iterator[Fleet]:
    """Start master and workers on free ports; kill what is left of them afterwards.

    With `--headless` among the flags the run starts by itself, else the web UI is up when this returns.
    """
    control, web, metrics = control or free_port(), free_port(), free_port()
    master = [*COMMAND, "--master", "--master-bind-port", str(control), "--expect-workers", str(workers)]
    master += ["--web-port", str(web), "--metrics-port", str(metrics), "-H", target]
    master += ["--out", str(folder / "runs"), *flags]
    worker = [*COMMAND, "--worker", "--master-port", str(control)]
    names = ["master", *(f"worker-{number + 1}" for number in range(workers))]
    processes: list[subprocess.Popen[bytes]] = []
    with contextlib.ExitStack() as stack:
        for name, command in zip(names, [master, *[worker] * workers], strict=True):
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            started = subprocess.Popen(
                command,
                cwd=ROOT,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=os.environ | environment,
            )
            processes.append(started)
            stack.callback(started.wait)
            stack.callback(started.kill)
        running = Fleet(
            processes[0], f"http://127.0.0.1:{web}", f"http://127.0.0.1:{metrics}", folder / "runs"
        )
        wait_until(lambda: answers(running.metrics_url))
        if "--headless" not in flags:
            wait_until(lambda: answers(running.web_url))
            wait_until(lambda: f'"worker_count": {workers}' in _index(running.web_url))
        yield running


def _index(url: str) -> str:
    return ask(url, "GET", "/peak/locust").body.decode()
