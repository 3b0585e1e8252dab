"""What is measured: a server in a process of its own, its CPU, and how much it does when it is saturated."""

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import psutil
import uvloop

from benchmarks.service.load import Load, Measured, measure

CONNECTIONS = 64


class Running(NamedTuple):
    """A contender that serves."""

    port: int
    admin_url: str
    servers: list[psutil.Process]

    def cpu_s(self) -> float:
        """CPU the serving processes have used, in seconds."""
        return sum(sum(server.cpu_times()[:2]) for server in self.servers)

    def counted(self, name: str) -> float:
        """One of the service's counters, over all its labels."""
        connection = HTTPConnection("127.0.0.1", urlsplit(self.admin_url).port or 0, timeout=20)
        connection.request("GET", "/metrics", headers={"Cache-Control": "no-cache"})
        page = connection.getresponse().read().decode()
        connection.close()
        return sum(float(line.split()[-1]) for line in page.splitlines() if line.startswith(name))


@contextlib.contextmanager
def serving(*command: str) -> Iterator[Running]:
    """Run a server; its own workers, if it has any, are what is measured."""
    process = subprocess.Popen(
        [sys.executable, "-m", *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        admin_url = ""
        while not (line := process.stdout.readline()).startswith("ready"):
            admin_url = line.split()[-1]
        root = psutil.Process(process.pid)
        yield Running(int(line.rsplit(":", 1)[1]), admin_url, root.children() or [root])
    finally:
        process.terminate()
        process.wait(30)
        if process.stdout is not None:
            process.stdout.close()


@contextlib.contextmanager
def service(folder: Path, workers: int = 1, *more: str) -> Iterator[Running]:
    """The order service on a fresh SQLite file, with more flags if any."""
    with tempfile.TemporaryDirectory(dir=folder) as data:
        flags = ["--port", "0", "--admin-port", "0", "--workers", str(workers)]
        with serving("target_service", *flags, "--store", f"sqlite:///{data}/orders.db", *more) as running:
            running.counted("orders")  # the supervisor goes on starting after its workers are ready
            yield running


@contextlib.contextmanager
def slowed(folder: Path, stall_ms: float, most_in_flight: int, *more: str) -> Iterator[Running]:
    """The order service on a store that stalls before each commit."""
    stall = {"kind": "stall-store", "delay_ms": stall_ms, "duration_s": 3600}
    with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".json") as drill:
        json.dump({"faults": [stall]}, drill)
        drill.flush()
        flags = ("--enable-faults", "yes", "--drill", drill.name, "--most-in-flight", str(most_in_flight))
        with service(folder, 1, *flags, *more) as running:
            yield running


class Rate(NamedTuple):
    """How fast a contender was in one round."""

    per_s: float
    per_cpu_s: float


def saturate(running: Running, seconds: float, connections: int = CONNECTIONS) -> tuple[Rate, Measured]:
    """Load a contender as fast as it answers."""
    before = running.cpu_s()
    measured = uvloop.run(measure(Load(running.port, connections, seconds)))
    used_s = running.cpu_s() - before
    return Rate(measured.created / seconds, measured.created / used_s), measured
