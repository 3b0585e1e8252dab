"""The simulation against the service itself, at this machine's size.

    python -m benchmarks.simulation [--seconds 5] [--json FILE] [--folder DIR]

Below its capacity: finds one worker's capacity, as `singlesday capacity` does, takes the simulated replica from that
alone, and offers the real one shares of it, each twice, upwards and downwards. Beyond it: ten times of what a fast
service does is more than a machine can offer, so there a quarter of a second is added to each commit; the replica is
taken from half the load and twice the load, and ten times is predicted. Compares what was completed and the p99 of
the orders that were. Takes two to three minutes.

A row is *taken* where others used the cores or the generator calls itself INVALID: it proves nothing, so play it
again when `python -m benchmarks.quiet` says that the machine is.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from rich.console import Console

from loadtest.cli.capacity import SearchSettings, search, steady
from loadtest.cli.run_session import Session
from loadtest.cli.service import Service
from loadtest.cli.step import Order
from loadtest.cli.step_workers import Seen, StepWorkers
from loadtest.configuration.check import objectives_of
from loadtest.configuration.run_config import RunConfig, ServiceAddress
from loadtest.plan.plan_file import Plan, shipped_drills
from loadtest.plan.profile import constant
from loadtest.records import ORDER_ENDPOINT
from loadtest.simulate.arrivals import Curve
from loadtest.simulate.replica import Replica, ServiceTimes, calibrated
from loadtest.simulate.simulation import WhatIf, simulate
from loadtest.simulate.source import replica_from
from tests.timing import Others

SHARES = (0.3, 0.5, 0.7, 0.85)
SIMULATED_S = 60.0
"""Simulated for longer than it is played, so that p99 is the model's own and not chance."""
LEAST_BATCHES_S = 8
"""So long is measured where orders are made 32 at a time, four times a second: one batch more is then 3 %."""
SLOW_TPS = 128.0
"""What the slowed service does at most: half of the 64 orders that may be under way, every quarter of a second."""
SLOW: dict[str, str] = {
    "ORDERS_ENABLE_FAULTS": "yes",
    "ORDERS_DRILL": str(shipped_drills()["overload"].with_name("slow-store.json")),
    "ORDERS_MOST_IN_FLIGHT": "64",
}
WITHIN = {"completed": 0.05, "p99": 0.20, "goodput": 0.10}
"""How near the simulation has to be: throughput and p99 below the capacity, goodput at ten times of it."""


class Real(NamedTuple):
    """What the service did at one rate."""

    completed_tps: float
    p50_ms: float
    p99_ms: float
    """Of the orders that were created."""
    times: ServiceTimes
    taken: str
    """Who else used the cores; empty if nobody did."""


@contextmanager
def stepping(config: RunConfig, name: str, more: Mapping[str, str]) -> Iterator[StepWorkers]:
    """A service on a new database, and what loads it."""
    folder = Path(config.out) / name
    folder.mkdir()
    service = Service(
        f"sqlite:///{folder / 'orders.db'}", folder / "service.log", environment=os.environ | more
    )
    try:
        address = ServiceAddress(service.url, service.metrics_url)
        session = Session(config.but(folder=str(folder), service=address), Console())
        workers = StepWorkers(session, objectives_of(session.config))
        try:
            yield workers
        finally:
            workers.close()
    finally:
        service.stop()


def play(workers: StepWorkers, tps: float, seconds: int) -> Real:
    """Offer a rate, and see what becomes of it."""
    others = Others()
    seen: Seen = workers.play(Order(tps=tps, warm_up_s=2, measure_s=seconds, most_waiting_s=1e9))
    made = seen.result.endpoints[ORDER_ENDPOINT]
    reasons = seen.result.validity.reasons if seen.result.validity.verdict == "INVALID" else []
    return Real(
        seen.completed_tps,
        made.ok_response_ms.p50,
        made.ok_response_ms.p99,
        ServiceTimes.of(made.ok_response_buckets),
        others.taken() or "; ".join(reasons),
    )


def below(config: RunConfig, replica: Replica, seconds: int) -> list[dict[str, Any]]:
    """Shares of the capacity, upwards and downwards, real and simulated."""
    played: dict[float, list[Real]] = {share: [] for share in SHARES}
    with stepping(config, "below", {}) as workers:
        for share in (*SHARES, *reversed(SHARES)):
            played[share].append(play(workers, share * replica.tps, seconds))
    return [_row(share, share * replica.tps, played[share], replica) for share in SHARES]


def beyond(config: RunConfig, seconds: int) -> dict[str, Any]:
    """Ten times of what a slowed service does, predicted from half and from twice."""
    seconds = max(seconds, LEAST_BATCHES_S)
    with stepping(config, "beyond", SLOW) as workers:
        half = play(workers, SLOW_TPS / 2, seconds)
        twice = play(workers, SLOW_TPS * 2, seconds)
        ten_times = play(workers, SLOW_TPS * 10, seconds)
    replica = calibrated(
        Replica(twice.completed_tps, half.times), SLOW_TPS / 2, half.p50_ms / 1000, half.p99_ms / 1000
    )
    return _row(10.0, SLOW_TPS * 10, [ten_times], replica)


def _row(share: float, offered_tps: float, real: Sequence[Real], replica: Replica) -> dict[str, Any]:
    simulated = simulate(Curve(constant(offered_tps, SIMULATED_S)), replica, WhatIf(1))
    settled = simulated.moments[5:-2]
    completed = fmean(moment.completed_tps for moment in settled) / fmean(one.completed_tps for one in real)
    p99 = simulated.p99_ms / fmean(one.p99_ms for one in real)
    allowed = WITHIN["goodput" if share > 1 else "completed"]
    within = abs(completed - 1) <= allowed and (share > 1 or abs(p99 - 1) <= WITHIN["p99"])
    taken = "; ".join(sorted({one.taken for one in real if one.taken}))
    return {
        "share": share,
        "offered_tps": round(offered_tps),
        "completed_tps": [round(one.completed_tps, 1) for one in real],
        "simulated : completed": round(completed, 3),
        "p99_ms": [round(one.p99_ms, 2) for one in real],
        "simulated : p99": round(p99, 3),
        "said": "taken" if taken else "within" if within else "MISSED",
        "taken by": taken,
    }


def main() -> None:
    """Measure, simulate, and print both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the databases are made")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        plan = Plan.load("steady")
        config = RunConfig(plan=plan, plan_name="steady", out=folder, conducted=True)
        config = config.but(plan=steady(config.plan, plan.slos))
        search(config, SearchSettings(None, asked.seconds, 0.05, 583_000.0), Console())
        (found,) = Path(folder).iterdir()
        replica = replica_from(found, None, 0, 1)
        commit_ms = replica.times.quantile(0.5) * replica.scale * 1e3
        print(f"replica: {replica.tps:,.0f} a second, commits {commit_ms:.2f} ms")
        rows = [*below(config, replica, asked.seconds), beyond(config, asked.seconds)]
    for row in rows:
        print("  ".join(f"{name} {value}" for name, value in row.items()))
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
