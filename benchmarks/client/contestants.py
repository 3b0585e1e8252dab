"""The load generators: how each is run against a URL, and what it says it did.

A contestant is a command and a way to read the number of requests from what it leaves behind. CPU time and
peak memory are the operating system's (`wait4`) for the whole process, except for Locust's clients, which
report the CPU time of the loaded stretch only: a second of starting Python is no property of a client.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

CONNECTIONS = 50
_WARMUP_S = 2.0  # fifty TLS contexts take FastHttpUser more than a second
_HERE = Path(__file__).parent
_REPOSITORY = _HERE.parents[1]


class Measurement(NamedTuple):
    """One run of one contestant."""

    requests: int
    failures: int
    cpu_s: float
    wall_s: float
    peak_memory_mb: float

    @property
    def per_cpu_s(self) -> float:
        """Requests per second of CPU time of the generating process."""
        return self.requests / self.cpu_s


class Contestant(NamedTuple):
    """A load generator."""

    name: str
    journeys: frozenset[str]
    """The journeys it can do: `get`, `mix`, `tls`."""
    measure: Callable[[str, str, float, Path], Measurement]
    """(url of the sink, journey, seconds, scratch folder) -> what it did."""


def installed() -> list[Contestant]:
    """The contestants this machine has, ours first."""
    found = [Contestant(label, _ALL, _locust(client)) for label, client in _LOCUST_CLIENTS]
    if shutil.which("hey"):
        found.append(Contestant("hey", frozenset({"get", "tls"}), _hey))
    if shutil.which("wrk"):
        found.append(Contestant("wrk", _ALL, _wrk))
    if shutil.which("autocannon"):
        found.append(Contestant("autocannon", frozenset({"get", "tls"}), _autocannon))
    return found


OURS = "singlesday, script in Locust"
_LOCUST_CLIENTS = (
    (OURS, "loadtest"),
    ("Locust FastHttpUser", "fast"),
    ("Locust HttpUser", "http"),
)
_ALL = frozenset({"get", "mix", "tls"})


class _Finished(NamedTuple):
    output: str
    cpu_s: float
    peak_memory_mb: float


def _run(command: list[str], scratch: Path, environment: dict[str, str] | None = None) -> _Finished:
    """Run a command to its end. Raises `RuntimeError` with its output if it fails."""
    output = scratch / "output.txt"
    with output.open("wb") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=file, env={**os.environ, **(environment or {})}, cwd=scratch
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    text = output.read_text()
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}:\n{text[-2000:]}")
    return _Finished(text, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def _locust(client: str) -> Callable[[str, str, float, Path], Measurement]:
    def measure(url: str, journey: str, seconds: float, scratch: Path) -> Measurement:
        result = scratch / "result.json"
        command = [sys.executable, "-m", "locust", "-f", str(_HERE / "locustfile.py"), "--headless"]
        command += ["--host", url, "-u", str(CONNECTIONS), "-r", str(CONNECTIONS), "--only-summary"]
        finished = _run(
            [*command, "-t", f"{seconds + 30:.0f}s", "--exit-code-on-error", "0"],
            scratch,
            {
                "BENCH_CLIENT": client,
                "BENCH_JOURNEY": "mix" if journey == "mix" else "get",
                "BENCH_RESULT": str(result),
                "BENCH_WARMUP_S": str(_WARMUP_S),
                "BENCH_SECONDS": str(seconds),
                "PYTHONPATH": str(_REPOSITORY),
                "PYTHONWARNINGS": "ignore",  # requests warns of each unverified certificate
            },
        )
        told = json.loads(result.read_text())
        return Measurement(
            told["requests"], told["failures"], told["cpu_s"], told["wall_s"], finished.peak_memory_mb
        )

    return measure


def _hey(url: str, _journey: str, seconds: float, scratch: Path) -> Measurement:
    finished = _run(["hey", "-z", f"{seconds:.0f}s", "-c", str(CONNECTIONS), f"{url}/order"], scratch)
    answers = {
        int(status): int(count)
        for status, count in re.findall(r"\[(\d+)\]\s+(\d+) responses", finished.output)
    }
    good = answers.pop(200, 0)
    return Measurement(good, sum(answers.values()), finished.cpu_s, seconds, finished.peak_memory_mb)


def _autocannon(url: str, _journey: str, seconds: float, scratch: Path) -> Measurement:
    command = ["autocannon", "--json", "-c", str(CONNECTIONS), "-d", f"{seconds:.0f}", f"{url}/order"]
    # The sink's certificate is its own; node says so on standard error, which is not part of the JSON line.
    finished = _run(command, scratch, {"NODE_TLS_REJECT_UNAUTHORIZED": "0"})
    told = json.loads(next(line for line in finished.output.splitlines() if line.startswith("{")))
    failures = told["non2xx"] + told["errors"]
    return Measurement(told["2xx"], failures, finished.cpu_s, seconds, finished.peak_memory_mb)


def _wrk(url: str, journey: str, seconds: float, scratch: Path) -> Measurement:
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s"]
    if journey == "mix":
        command += ["-s", str(_HERE / "mix.lua")]
    finished = _run([*command, f"{url}/order"], scratch)
    counted = re.search(r"(\d+) requests in", finished.output)
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", finished.output)
    requests = int(counted[1]) if counted else 0
    return Measurement(
        requests, int(failed[1]) if failed else 0, finished.cpu_s, seconds, finished.peak_memory_mb
    )
