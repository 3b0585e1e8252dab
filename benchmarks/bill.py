"""Everything that the bill of machines is worked out from, measured anew; docs/scale.md's tables follow.

    python -m benchmarks.bill [--rounds 3] [--seconds 3] [--check | --tables]

writes `loadtest/simulate/inputs.json` and the tables of `docs/scale.md`; `--check` only prints, and with `--tables`
it measures nothing and writes the tables by the measurements there are. Wants a quiet machine: `python -m
benchmarks.quiet` says whether this one is. Takes about a minute and a half.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
import psutil
import uvloop
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.bill_tables import with_tables
from benchmarks.client.sink import Sink
from benchmarks.master import measure as measure_master
from benchmarks.open_loop import played_apart
from benchmarks.service.load import Load, measure
from benchmarks.service.running import Running, saturate, service
from loadtest.plan.plan_file import Plan
from loadtest.simulate.bill import Inputs, Measured, shipped_inputs

INPUTS = Path("loadtest/simulate/inputs.json")
DOCUMENT = Path("docs/scale.md")
COMMAND = "python -m benchmarks.bill"
GENERATOR_RATE = 30_000.0
MIB = 1 << 20


def measured(unit: str, values: Sequence[float], command: str = COMMAND) -> Measured:
    """A figure of several rounds: their median, and the lowest and highest."""
    return Measured(
        value=float(f"{statistics.median(values):.4g}"),
        low=float(f"{min(values):.4g}"),
        high=float(f"{max(values):.4g}"),
        unit=unit,
        command=command,
        when=time.strftime("%Y-%m-%d"),
    )


def of_generator(rounds: int, seconds: int) -> tuple[list[float], list[float]]:
    """(CPU for an arrival with a GET in us, memory of the process in MiB) of each round."""
    costs, memory = [], []
    with tempfile.TemporaryDirectory() as scratch, Sink(Path(scratch) / "sink") as sink:
        for _ in range(rounds):
            row = played_apart(sink.url, GENERATOR_RATE, seconds, "0")
            costs.append(float(row["cost_us"]))
            memory.append(float(row["memory_mb"]))
    return costs, memory


def of_service(rounds: int, seconds: float) -> dict[str, list[float]]:
    """What one worker of the order service does and takes, of each round."""
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="orders-bill-") as folder:
        for _ in range(rounds):
            with service(Path(folder)) as running:
                for name, value in _one_round(running, seconds).items():
                    found.setdefault(name, []).append(value)
    return found


def _one_round(running: Running, seconds: float) -> dict[str, float]:
    before, sent = _metrics(running), psutil.net_io_counters(pernic=True)["lo"]
    disk = sum(_written(server) for server in running.servers)
    rate, load = saturate(running, seconds)
    after, now = _metrics(running), psutil.net_io_counters(pernic=True)["lo"]
    commits = after["orders_commit_seconds_count"] - before["orders_commit_seconds_count"]
    half = uvloop.run(measure(Load(running.port, 64, seconds, rate.per_s / 2)))
    return {
        "order_us": 1e6 / rate.per_cpu_s,
        "worker_tps": rate.per_s,
        "service_mb": max(server.memory_info().rss for server in running.servers) / MIB,
        "orders_per_commit": load.created / max(commits, 1),
        # Loopback counts each packet when it is sent and, the same one, when it is received.
        "order_bytes": (now.bytes_sent - sent.bytes_sent) / load.created,
        "order_packets": (now.packets_sent - sent.packets_sent) / load.created,
        "stored_bytes": (sum(_written(server) for server in running.servers) - disk) / load.created,
        "answer_ms": half.quantile_ms(0.5),
    }


def _written(server: psutil.Process) -> int:
    """Bytes that a process has handed to disks, journal included."""
    return int(server.io_counters().write_bytes)


def _metrics(running: Running) -> Mapping[str, float]:
    """Counters of the service's Prometheus page, summed over their labels."""
    with urllib.request.urlopen(f"{running.admin_url}/metrics") as page:  # noqa: S310 - of loopback
        text = page.read().decode()
    found: defaultdict[str, float] = defaultdict(float)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name] += sample.value
    return found


def all_inputs(rounds: int, seconds: int, say: Callable[[str], None]) -> Inputs:
    """Measure everything."""
    say("the generator …")
    costs, memory = of_generator(rounds, seconds)
    say("the order service …")
    found = of_service(rounds, float(seconds))
    say("the master …")
    masters = [measure_master(seconds=3).cores for _ in range(rounds)]
    plan = Plan.load("singles-day")
    requests = sum(scenario.per_transaction for scenario in plan.scenarios)
    units = {
        "order_us": "us CPU", "worker_tps": "orders/s", "service_mb": "MiB", "orders_per_commit": "orders",
        "order_bytes": "bytes", "order_packets": "packets", "stored_bytes": "bytes", "answer_ms": "ms",
    }  # fmt: skip
    return Inputs(
        machine=f"{os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[1]:.1f} as it was measured",
        requests_per_order=measured("requests", [requests], "singlesday show singles-day"),
        request_us=measured("us CPU", costs),
        generator_mb=measured("MiB", memory),
        master_cores_per_1000=measured("cores", masters),
        **{name: measured(unit, found[name]) for name, unit in units.items()},
    )


def main() -> None:
    """Measure, and write what follows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--check", action="store_true", help="print what was measured and write nothing")
    parser.add_argument("--tables", action="store_true", help="measure nothing, write the document's tables")
    asked = parser.parse_args()
    inputs = shipped_inputs() if asked.tables else all_inputs(asked.rounds, asked.seconds, print)
    written = json.dumps(msgspec.to_builtins(inputs), indent=1) + "\n"
    if asked.check:
        print(written)
        return
    INPUTS.write_text(written, encoding="utf-8")
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text(encoding="utf-8"), inputs), encoding="utf-8")
    print(f"wrote {INPUTS} and {DOCUMENT}")


if __name__ == "__main__":
    main()
