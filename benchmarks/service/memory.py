"""Memory of the service while orders pile up: is it flat once it has warmed up?

    python -m benchmarks.service.memory [--orders 500000] [--step 25000] [--rate 0]

Resident memory of the worker is sampled after every `step` orders, split into what the process allocated
("anonymous") and the files it maps. What grows with the number of orders stored is a leak, or a cache that is
not full yet; `growth` is what `--settle` orders leave of it.
"""

import argparse
import asyncio
import re
import tempfile
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

from benchmarks.service.load import Load, measure
from benchmarks.service.running import service

CONNECTIONS = 16
STRETCH_S = 1.0
LOOKS = 200
MIB = 1 << 20


class Sample(NamedTuple):
    """What a process held at one moment."""

    orders: int
    """Orders created so far."""
    resident_bytes: int
    anonymous_bytes: int


def memory_of(pid: int, orders: int) -> Sample:
    """The process' memory now, after so many orders (smaps_rollup of proc(5))."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    sizes = {name: int(kib) * 1024 for name, kib in re.findall(r"^(\w+):\s+(\d+) kB", text, re.MULTILINE)}
    return Sample(orders, sizes["Rss"], sizes["Anonymous"])


def pile_up(port: int, pid: int, orders: int, step: int, rate_per_s: float = 0.0) -> Iterator[Sample]:
    """Create orders and look at products; a sample of the process' memory each time `step` more are stored."""
    created, due = 0, step
    yield memory_of(pid, 0)
    while created < orders:
        created += asyncio.run(measure(Load(port, CONNECTIONS, STRETCH_S, rate_per_s))).created
        _look(port)
        if created >= due:
            due += step
            yield memory_of(pid, created)


def _look(port: int) -> None:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    for number in range(1, LOOKS):
        connection.request("GET", f"/products/sku-{number:06d}", headers={"X-Load-Test": "bench"})
        connection.getresponse().read()
    connection.close()


def growth(samples: list[Sample], settle: int) -> float:
    """How much resident memory grew after the first `settle` orders, as a share of what it was then."""
    settled = [sample.resident_bytes for sample in samples if sample.orders >= settle]
    return settled[-1] / settled[0] - 1


def main() -> None:
    """Pile orders up and print the samples."""
    parser = argparse.ArgumentParser(prog="benchmarks.service.memory", description=__doc__)
    parser.add_argument("--orders", type=int, default=500_000)
    parser.add_argument("--step", type=int, default=25_000)
    parser.add_argument("--settle", type=int, default=50_000)
    parser.add_argument("--rate", type=float, default=0.0, help="orders a second; 0: as fast as they go")
    arguments = parser.parse_args()
    samples = []
    with tempfile.TemporaryDirectory(prefix="orders-memory-") as folder, service(Path(folder)) as running:
        (worker,) = running.servers
        print("   orders   resident MiB   anonymous MiB")
        for sample in pile_up(running.port, worker.pid, arguments.orders, arguments.step, arguments.rate):
            samples.append(sample)
            print(
                f"{sample.orders:9,} {sample.resident_bytes / MIB:14.2f}"
                f" {sample.anonymous_bytes / MIB:15.2f}",
                flush=True,
            )
    print(f"growth after {arguments.settle:,} orders: {growth(samples, arguments.settle):.3%}")


if __name__ == "__main__":
    main()
