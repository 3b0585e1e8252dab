"""The generators that are compared: how each is started at a rate, and what it says at the end.

Each is used as its own documentation says for a constant rate; wrk has no rate and runs closed-loop, correcting
its latencies afterwards by how often a connection should have sent.

k6 starts iterations at a constant rate as long as it has users (VUs) for them, and drops those it has none for.
Its documentation advises rate x median duration, here 8, and some for variance; that is the row of 50. The other
has as many as ours, more than wait in the stall. None are added in the run, which the documentation warns of.
"""

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.client.contestants import k6_counts, k6_program
from benchmarks.truth.expected import QUANTILES, quantiles_ms
from loadtest.measure.run_result import Quantiles, RunResult

CONNECTIONS = 50
"""Of every generator that has a fixed number of them."""
USERS = 1_000
"""Of ours: more than arrivals wait in the stall, so that its end is not a queue for users."""
_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]
Measure = Callable[[str, int, int, Path], list[float]]
"""(url, rate, seconds, scratch folder) -> ms at each of `QUANTILES`."""


class Generator(NamedTuple):
    """One of those compared."""

    name: str
    measure: Measure
    calibration_s: int = 0
    """How long it sends before it begins to count; the script, stall included, begins after that."""


def installed() -> list[Generator]:
    """Those this machine has, ours first."""
    found = [Generator(OURS, _ours), Generator("Locust FastHttpUser", _locust)]
    found += [generator for generator in _PROGRAMS if shutil.which(generator.name)]
    if k6 := k6_program():
        found += [Generator(f"k6, {users:,} VUs", _k6(k6, users)) for users in (CONNECTIONS, USERS)]
    return found


OURS = "singlesday"


def _output(command: list[str], seconds: int, **options: str) -> str:
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=60 + 3 * seconds,
        cwd=_ROOT,
        input=options.get("input"),
    )
    if done.returncode not in (0, 10, 11):  # ours ends with its verdict
        raise RuntimeError(
            f"{command[0]} ended with {done.returncode}:\n{done.stdout[-500:]}{done.stderr[-1500:]}"
        )
    return done.stdout


def _ours(url: str, rate: int, seconds: int, scratch: Path) -> list[float]:
    plan = scratch / "truth.toml"
    plan.write_text(
        f'name = "truth"\npeak_tps = {rate}\nduration = "{seconds}s"\narrivals = "uniform"\n'
        f"virtual_users = {USERS}\npatience_s = 60.0\n"
        f'[profile]\nknots = [["0s", 1.0], ["{seconds}s", 1.0]]\n'
        '[[scenario]]\nuser = "benchmarks.truth.locustfile:Caller"\n'
    )
    folder = scratch / "run"
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "locust", "-f", str(_HERE / "locustfile.py"), "--headless", "-H", url]
    _output([*command, "--plan", str(plan), "--run-dir", str(folder)], seconds)
    endpoint = RunResult.read(folder / "result.json").endpoints["GET /"]
    if endpoint.failures:
        raise RuntimeError(f"{endpoint.failures} of {endpoint.requests} requests failed: {endpoint.errors}")
    return _listed(endpoint.response_ms)


def _listed(quantiles: Quantiles) -> list[float]:
    q = quantiles
    return [q.p50, q.p90, q.p95, q.p99, q.p99_9, q.p99_99]


def _locust(url: str, rate: int, seconds: int, scratch: Path) -> list[float]:
    prefix = scratch / "locust"
    command = [
        sys.executable,
        "-m",
        "locust",
        "-f",
        str(_HERE / "paced_locustfile.py"),
        "--headless",
        "-H",
        url,
    ]
    command += [
        "-u",
        str(CONNECTIONS),
        "-r",
        str(CONNECTIONS),
        "-t",
        f"{seconds}s",
        "--json-file",
        str(prefix),
    ]
    _output([*command, "--each-per-s", str(rate / CONNECTIONS)], seconds)
    (entry,) = json.loads(prefix.with_suffix(".json").read_text())
    spread = [float(ms) for ms, count in entry["response_times"].items() for _ in range(count)]
    return quantiles_ms(spread)


def _wrk(url: str, _rate: int, seconds: int, _scratch: Path) -> list[float]:
    return _of_wrk(["wrk"], url, seconds)


def _wrk2(url: str, rate: int, seconds: int, _scratch: Path) -> list[float]:
    return _of_wrk(["wrk2", "-R", str(rate)], url, seconds)


def _of_wrk(command: list[str], url: str, seconds: int) -> list[float]:
    command += [
        "-t1",
        f"-c{CONNECTIONS}",
        f"-d{seconds}s",
        "--timeout",
        "30s",
        "-s",
        str(_HERE / "quantiles.lua"),
    ]
    told = dict(re.findall(r"quantile ([\d.]+) ([\d.]+)", _output([*command, f"{url}/"], seconds)))
    return [float(told[f"{100 * q:.2f}"]) / 1000 for q in QUANTILES]


def _hey(url: str, rate: int, seconds: int, _scratch: Path) -> list[float]:
    command = [
        "hey",
        "-z",
        f"{seconds}s",
        "-c",
        str(CONNECTIONS),
        "-q",
        str(rate // CONNECTIONS),
        "-o",
        "csv",
    ]
    rows = csv.DictReader(io.StringIO(_output([*command, f"{url}/"], seconds)))
    return quantiles_ms([float(row["response-time"]) * 1000 for row in rows])


def _vegeta(url: str, rate: int, seconds: int, scratch: Path) -> list[float]:
    results = scratch / "vegeta.bin"
    attack = ["vegeta", "attack", "-rate", f"{rate}/s", "-duration", f"{seconds}s", "-output", str(results)]
    _output([*attack, "-connections", str(CONNECTIONS)], seconds, input=f"GET {url}/\n")
    rows = csv.reader(io.StringIO(_output(["vegeta", "encode", "--to", "csv", str(results)], seconds)))
    return quantiles_ms([float(row[2]) / 1e6 for row in rows])  # timestamp, status, latency in ns, ...


def _k6(program: str, users: int) -> Measure:
    def measure(url: str, rate: int, seconds: int, _scratch: Path) -> list[float]:
        command = [program, "run", "--quiet", "--no-usage-report", "--address", ""]
        for name, value in {"URL": f"{url}/", "RATE": rate, "SECONDS": seconds, "USERS": users}.items():
            command += ["--env", f"{name}={value}"]
        return k6_quantiles_ms(json.loads(_output([*command, str(_HERE / "k6.js")], seconds)))

    return measure


def k6_quantiles_ms(summary: dict[str, Any]) -> list[float]:
    """ms at each of `QUANTILES`, of what k6 gives to `handleSummary`. Raises `RuntimeError` for failed requests."""
    good, failures, _ = k6_counts(summary)
    if failures or not good:
        raise RuntimeError(f"{failures} of {good + failures} requests of k6 failed")
    durations = summary["metrics"]["http_req_duration"]["values"]
    return [durations[f"p({100 * q:g})"] for q in QUANTILES]


_PROGRAMS = (
    Generator("hey", _hey),
    Generator("wrk", _wrk),
    # It forgets what it measured in its first ten seconds, in which it finds out how often to look at its rate.
    Generator("wrk2", _wrk2, calibration_s=10),
    Generator("vegeta", _vegeta),
)
