"""Ten times the connections: what is still done, whether health is told in time, how soon all is well again.

    python -m benchmarks.service.crowd [--seconds 10] [--folder /dev/shm] [--json FILE]

wrk offers orders in a closed loop without a pause, on `CONNECTIONS` connections and then on ten times as many: who is
refused asks again at once, which is the worst a crowd can do. Goodput is told in orders a second and, since wrk and
the machine's other work share the cores, in orders a CPU-second of the workers. Connections are made during the first
third, which is not counted. Meanwhile `/healthz` is asked on a connection of its own each time, as an orchestrator
does, at both ports. Recovery is the time until a second of half the capacity is served without a refusal.
"""

import argparse
import json
import resource
import subprocess
import tempfile
import threading
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

from benchmarks.service.load import Load, measure
from benchmarks.service.running import Running, service

CONNECTIONS = 600
TIMES = 10
WORKERS = 2
PROBE_EVERY_S = 0.05
RECOVERY_SECONDS = 10
SCRIPT = """
request = function()
  return wrk.format("POST", "/orders", {["Content-Type"] = "application/json"},
    string.format('{"buyer_id":1,"lines":[{"sku":"sku-%06d","quantity":1}]}', math.random(100000)))
end
"""


class Prober:
    """Asks for health, again and again, until it is stopped."""

    def __init__(self, port: int) -> None:
        self.seconds: list[float] = []
        self.failed = 0
        self._port = port
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Prober":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_over.wait(PROBE_EVERY_S):
            began = time.perf_counter()
            connection = HTTPConnection("127.0.0.1", self._port, timeout=5)
            try:
                connection.request("GET", "/healthz", headers={"Connection": "close"})
                self.failed += connection.getresponse().status != 200
            except (OSError, HTTPException):
                self.failed += 1
            finally:
                connection.close()
            self.seconds.append(time.perf_counter() - began)

    @property
    def p99_ms(self) -> float:
        """The 99th percentile of how long an answer took, in milliseconds."""
        return sorted(self.seconds)[int(len(self.seconds) * 0.99)] * 1e3


def crowded(running: Running, connections: int, seconds: float, script: Path) -> tuple[float, float]:
    """Orders a second and orders a CPU-second while so many clients ask as fast as they are answered."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "30s", "-s", str(script)]
    with subprocess.Popen([*command, f"http://127.0.0.1:{running.port}"], stdout=subprocess.DEVNULL) as crowd:
        time.sleep(seconds / 3)
        began, orders, cpu_s = time.perf_counter(), running.counted("orders_created_total{"), running.cpu_s()
        time.sleep(seconds / 2)
        orders, cpu_s = running.counted("orders_created_total{") - orders, running.cpu_s() - cpu_s
        taken_s = time.perf_counter() - began
        crowd.wait()
    return orders / taken_s, orders / cpu_s


def recovery_s(running: Running, rate_per_s: float) -> float:
    """Seconds until one second of this rate was served and nobody refused; infinite if that never came."""
    began = time.monotonic()
    for _ in range(RECOVERY_SECONDS):
        if not uvloop.run(measure(Load(running.port, 64, 1.0, rate_per_s))).refused:
            return time.monotonic() - began
    return float("inf")


def figures(folder: Path, seconds: float) -> dict[str, float]:
    """All figures of a fresh service, by name."""
    script = folder / "orders.lua"
    script.write_text(SCRIPT)
    with service(folder, WORKERS, "--stock", "1000000000") as running:
        before = crowded(running, CONNECTIONS, seconds, script)
        admin_port = urlsplit(running.admin_url).port or 0
        with Prober(running.port) as public, Prober(admin_port) as admin:
            crowd = crowded(running, CONNECTIONS * TIMES, seconds, script)
        again_s = recovery_s(running, before[0] / 2)
    return {
        f"{CONNECTIONS} connections, orders/s": before[0],
        f"{CONNECTIONS * TIMES} connections, orders/s": crowd[0],
        "goodput : before, by the second": crowd[0] / before[0],
        "goodput : before, by the CPU-second": crowd[1] / before[1],
        "healthz on the public port, p99, ms": public.p99_ms,
        "healthz on the public port, failed": public.failed,
        "healthz on the admin port, p99, ms": admin.p99_ms,
        "healthz on the admin port, failed": admin.failed,
        "half of the capacity again, normal after, s": again_s,
    }


def main() -> None:
    """Measure, print the table, and write it as JSON if asked."""
    parser = argparse.ArgumentParser(prog="benchmarks.service.crowd", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--folder", help="where the store is; on a memory disk its own pauses are left out")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    with tempfile.TemporaryDirectory(prefix="orders-crowd-", dir=arguments.folder) as folder:
        found = figures(Path(folder), arguments.seconds)
    for name, value in found.items():
        print(f"{name:58} {value:12,.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
