"""The simulation against the service itself, at this machine's size.

    python -m benchmarks.simulation [--seconds 6] [--json FILE] [--folder DIR]

Finds one worker's capacity, as `singlesday capacity` does, takes the simulated replica from that alone, and then
offers the real one several shares of its capacity, ten times of it included. Prints what was completed and p99, real
and simulated. Ten times of a fast service is more than one machine can offer, so there the generator's own verdict
stands beside it: INVALID says that the machine, not the service, was measured.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from loadtest.cli.capacity import SearchSettings, search, steady
from loadtest.cli.run_session import Session
from loadtest.cli.service import Service
from loadtest.cli.step import Order
from loadtest.cli.step_workers import Seen, StepWorkers
from loadtest.configuration.check import objectives_of
from loadtest.configuration.run_config import RunConfig, ServiceAddress
from loadtest.plan.plan_file import Plan
from loadtest.plan.profile import constant
from loadtest.simulate.replica import Replica
from loadtest.simulate.simulation import Simulated, WhatIf, simulate
from loadtest.simulate.source import replica_from

SHARES = (0.3, 0.5, 0.7, 0.85, 2.0, 10.0)


def main() -> None:
    """Measure, simulate, and print both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--folder", type=Path, help="where the databases are made")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        plan = Plan.load("steady")
        config = RunConfig(plan=plan, plan_name="steady", out=folder, conducted=True)
        config = config.but(plan=steady(config.plan, plan.slos))
        search(config, SearchSettings(None, None, 0.05, 583_000.0), Console())
        (found,) = Path(folder).iterdir()
        replica = replica_from(found, None, 0, 1)
        commit_ms = replica.times.quantile(0.5) * replica.scale * 1e3
        print(f"replica: {replica.tps:,.0f} a second, commits {commit_ms:.2f} ms")
        rows = [
            _row(share, real, replica, asked.seconds)
            for share, real in _played(config, replica, asked.seconds)
        ]
    for row in rows:
        print("  ".join(f"{name} {value}" for name, value in row.items()))
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def _played(config: RunConfig, replica: Replica, seconds: int) -> list[tuple[float, Seen]]:
    """Each share of its capacity, offered to one real worker."""
    folder = Path(config.out) / "validation"
    folder.mkdir()
    service = Service(f"sqlite:///{folder / 'orders.db'}", folder / "service.log")
    try:
        address = ServiceAddress(service.url, service.metrics_url)
        session = Session(config.but(folder=str(folder), service=address), Console())
        workers = StepWorkers(session, objectives_of(session.config))
        order = Order(tps=1, warm_up_s=2, measure_s=seconds, most_waiting_s=1e9)
        try:
            return [
                (share, workers.play(msgspec.structs.replace(order, tps=share * replica.tps)))
                for share in SHARES
            ]
        finally:
            workers.close()
    finally:
        service.stop()


def _row(share: float, real: Seen, replica: Replica, seconds: int) -> dict[str, Any]:
    offered = share * replica.tps
    simulated: Simulated = simulate(constant(offered, float(seconds + 2)), replica, WhatIf(1))
    measured = simulated.moments[2:]
    completed = sum(moment.completed_tps for moment in measured) / len(measured)
    p99 = max(moment.p99_ms or 0.0 for moment in measured)
    return {
        "share": share,
        "offered": round(offered),
        "completed": round(real.completed_tps),
        "simulated": round(completed),
        "ratio": round(completed / real.completed_tps, 3) if real.completed_tps else None,
        "p99_ms": round(real.response_ms.p99, 2),
        "simulated_p99_ms": round(p99, 2),
        "generator": real.result.validity.verdict,
    }


if __name__ == "__main__":
    main()
