"""The simulation against real runs, at this machine's size.

    python -m benchmarks.simulation [--seconds N] [--only store|slots|cpu] [--json FILE] [--folder DIR]

Three targets, each played at shares of what it does at most and at ten times of it, twice or more:

* **store**: the order service on a slow store: each group commit waits 100 ms more, and 64 orders may be under way.
  Every five seconds its clock ticks, which is a commit of its own.
* **slots**: `benchmarks.slots`: eight slots, 40 ms with each request, arrivals by Poisson, 64 under way at most.
* **cpu**: the order service as it is. What decides there is the scheduler of a machine that both sides share.

Of the first two the target's own queue decides p99, so real runs agree with each other, and the simulation has to
agree with them: p99 within 20 %, what is completed within 5 %, at ten times within 10 %. Where chance decides
(whether the tick meets a full commit or a nearly empty one) it is played with several seeds, and the real p99 may
also lie between its lowest and its highest. It is made twice, from what the target was built to do (*designed*)
and from a folder as `singlesday capacity` leaves it (*measured*): a step at 30 % and one at twice the rate. Of the
third it says where the simulation lies: *inside* what the real runs span, *outside*, or that *the real runs differ
by more* than those 20 %.

A play in which the generator calls itself INVALID proves nothing and is played again, up to `MOST_AGAIN` times; a row
without any other says *taken*, as does one that missed while others used the cores. Takes two and a half minutes.
"""

import argparse
import contextlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.service.running import Running, service, serving, slowed
from loadtest.cli.capacity import steady, step_of
from loadtest.cli.run_session import Session
from loadtest.cli.step import Order
from loadtest.cli.step_workers import Seen, StepWorkers
from loadtest.configuration.check import objectives_of
from loadtest.configuration.run_config import RunConfig, ServiceAddress
from loadtest.judge.capacity import Capacity, Limit, Outcome
from loadtest.judge.capacity_result import CapacityResult
from loadtest.plan.plan_file import Plan
from loadtest.records import ORDER_ENDPOINT
from loadtest.simulate.arrivals import Curve
from loadtest.simulate.queues import Housekeeping
from loadtest.simulate.replica import Replica, ServiceTimes
from loadtest.simulate.source import replica_from
from tests.timing import Others

WARM_UP_S = 1
SHARES, OVERLOAD = (0.5, 0.8, 0.9), 10.0
LOW, HIGH = 0.3, 2.0
"""Shares of a target's rate that it is measured at."""
WITHIN = {"completed": 0.05, "p99": 0.20, "goodput": 0.10}
"""How near the simulation has to be: throughput and p99 below the capacity, goodput at ten times of it."""
UNDER_WAY = 64
COMMIT_MS = 100.0
TICK_S = 5.0
SLOTS, SLOT_MS = 8, 40.0
PLAYS, MOST_AGAIN = 2, 4
CPU_SHARES, CPU_PLAYS = (0.5, 0.8), 3
SEEDS = 16


class Real(NamedTuple):
    """What a target did at one rate."""

    seen: Seen
    completed_tps: float
    p99_ms: float
    """Of the orders that were created."""
    invalid: str
    """Why the generator calls itself INVALID; empty if it does not."""
    taken: str
    """Who else used the cores; empty if nobody did."""


class Told(NamedTuple):
    """What the simulation says: means over its seeds, and what they span."""

    completed_tps: float
    p99_ms: float
    lowest_p99_ms: float
    highest_p99_ms: float


class Case(NamedTuple):
    """A target, and what it does at most."""

    name: str
    plan: Plan
    tps: float
    designed: Replica | None
    """As it was built; None where that is not known."""


class Row(msgspec.Struct, kw_only=True):
    """One rate: what real runs did, and what the simulation says that they do."""

    case: str
    share: float
    offered_tps: float
    completed_tps: list[float]
    p99_ms: list[float]
    simulated_from: str
    simulated_tps: float
    simulated_p99_ms: float
    simulated_p99_span_ms: tuple[float, float]
    said: str
    taken_by: list[str] = []


@contextlib.contextmanager
def stepping(config: RunConfig, folder: Path, running: Running) -> Iterator[StepWorkers]:
    """What loads a target."""
    url = f"http://127.0.0.1:{running.port}"
    session = Session(config.but(folder=str(folder), service=ServiceAddress(url, url)), Console())
    workers = StepWorkers(session, objectives_of(session.config))
    try:
        yield workers
    finally:
        workers.close()


def play(workers: StepWorkers, tps: float, seconds: int) -> Real:
    """Offer a rate, and see what becomes of it."""
    others = Others()
    seen = workers.play(Order(tps=tps, warm_up_s=WARM_UP_S, measure_s=seconds, most_waiting_s=1e9))
    made = seen.result.endpoints[ORDER_ENDPOINT]
    reasons = seen.result.validity.reasons if seen.result.validity.verdict == "INVALID" else []
    return Real(seen, seen.completed_tps, made.ok_response_ms.p99, "; ".join(reasons), others.taken() or "")


def plays(workers: StepWorkers, tps: float, seconds: int, wanted: int, again: list[int]) -> list[Real]:
    """So many plays that are not INVALID, or fewer where `again` has no play left; if all are, all of them."""
    played = [play(workers, tps, seconds) for _ in range(wanted)]
    while sum(not one.invalid for one in played) < wanted and again[0]:
        again[0] -= 1
        played.append(play(workers, tps, seconds))
    return [one for one in played if not one.invalid] or played


def measured(case: Case, workers: StepWorkers, seconds: int, folder: Path, again: list[int]) -> Replica:
    """The replica as `singlesday simulate` takes it from a folder with a step at low load and one beyond it."""
    tried = [(share, plays(workers, share * case.tps, seconds, 1, again)[-1]) for share in (LOW, HIGH)]
    steps = [
        step_of(share * case.tps, Outcome.PASS if share < 1 else Outcome.FAIL, one.seen, None)
        for share, one in tried
    ]
    CapacityResult.of(
        Capacity(LOW * case.tps, HIGH * case.tps, Limit.TARGET, 2),
        plan=case.plan.name,
        targets=[],
        started_at="",
        took_s=0.0,
        objectives=[],
        tolerance=1.0,
        steps=steps,
    ).write(folder)
    built = case.designed
    servers, under_way = (built.servers, built.under_way) if built else (0, None)
    return replica_from(folder, None, servers, case.plan.seed, under_way)


def simulated(case: Case, replica: Replica, tps: float, seconds: int) -> Told:
    """The same arrivals at the replica, of which the same seconds are looked at."""
    plan = case.plan.at_rate(tps, float(WARM_UP_S + seconds))
    arrived = Curve.of(plan).every_arrival()
    assert arrived is not None
    rates, p99s = [], []
    for seed in range(SEEDS):
        served = replica.serve(arrived, np.random.default_rng(seed))
        began_s = arrived[served.taken]
        looked_at = began_s >= WARM_UP_S
        ended = (served.done_s >= WARM_UP_S) & (served.done_s < WARM_UP_S + seconds)
        rates.append(float(ended.sum()) / seconds)
        p99s.append(float(np.quantile((served.done_s - began_s)[looked_at], 0.99)) * 1000)
    return Told(fmean(rates), fmean(p99s), min(p99s), max(p99s))


def rows(case: Case, workers: StepWorkers, seconds: int, folder: Path) -> list[Row]:
    """A target's rates, real and simulated."""
    again, made = [MOST_AGAIN], list[Row]()
    replicas = {"measured": measured(case, workers, seconds, folder, again)}
    if case.designed is not None:
        replicas["designed"] = case.designed
    decides = case.designed is not None
    for share in (*SHARES, OVERLOAD) if decides else CPU_SHARES:
        tps = share * (case.tps if decides else replicas["measured"].tps)
        real = plays(workers, tps, seconds, PLAYS if decides else CPU_PLAYS, again)
        for source, replica in replicas.items():
            told = simulated(case, replica, tps, seconds)
            made.append(_row(case, (share, tps), real, source, told))
    return made


def _row(case: Case, rate: tuple[float, float], real: Sequence[Real], source: str, told: Told) -> Row:
    share, tps = rate
    completed, p99s = [one.completed_tps for one in real], [one.p99_ms for one in real]
    invalid = sorted({one.invalid for one in real if one.invalid})
    taken = sorted({one.taken for one in real if one.taken})
    said = said_of(share, completed, p99s, told, decides=case.designed is not None)
    excused = invalid or (taken and said not in ("within", "inside"))
    return Row(
        case=case.name,
        share=share,
        offered_tps=round(tps, 1),
        completed_tps=[round(value, 1) for value in completed],
        p99_ms=[round(value, 2) for value in p99s],
        simulated_from=source,
        simulated_tps=round(told.completed_tps, 1),
        simulated_p99_ms=round(told.p99_ms, 2),
        simulated_p99_span_ms=(round(told.lowest_p99_ms, 2), round(told.highest_p99_ms, 2)),
        said=f"taken ({said})" if excused else said,
        taken_by=[*invalid, *taken] if excused else [],
    )


def said_of(
    share: float, completed: Sequence[float], p99s: Sequence[float], told: Told, *, decides: bool
) -> str:
    """What a row proves; `decides`: the target's own queue decides p99."""
    allowed = WITHIN["goodput" if share > 1 else "completed"]
    rate = abs(told.completed_tps / fmean(completed) - 1) <= allowed
    p99 = abs(told.p99_ms / fmean(p99s) - 1) <= WITHIN["p99"]
    if decides:
        p99 = p99 or told.lowest_p99_ms <= fmean(p99s) <= told.highest_p99_ms
        return "within" if rate and p99 else "MISSED"
    if not rate:
        return "MISSED"
    if p99 or min(p99s) <= told.p99_ms <= max(p99s):
        return "within" if p99 else "inside"
    differ = max(p99s) > (1 + WITHIN["p99"]) * min(p99s)
    return "outside; the real runs differ by more" if differ else "outside"


def of_store(config: RunConfig, folder: Path, seconds: int) -> list[Row]:
    """The order service with a store that takes 100 ms more for each commit."""
    # While one half of those under way is written, the other half gathers.
    tps = UNDER_WAY / 2 / COMMIT_MS * 1000
    own = Housekeeping(TICK_S)
    designed = Replica(tps, ServiceTimes.always(COMMIT_MS / 1000), under_way=UNDER_WAY, housekeeping=own)
    for_ever = ("--reservation-s", "0", "--key-ttl-s", "0")
    with (
        slowed(folder, COMMIT_MS, UNDER_WAY, *for_ever) as running,
        stepping(config, folder, running) as workers,
    ):
        return rows(Case("store", config.plan, tps, designed), workers, seconds, folder)


def of_slots(config: RunConfig, folder: Path, seconds: int) -> list[Row]:
    """Slots with a fixed service time."""
    tps = SLOTS / SLOT_MS * 1000
    designed = Replica(tps, ServiceTimes.always(SLOT_MS / 1000), servers=SLOTS, under_way=UNDER_WAY)
    poisson = config.plan.with_overrides(arrivals="poisson")
    flags = ["--slots", f"{SLOTS}", "--ms", f"{SLOT_MS:g}", "--waiting", f"{UNDER_WAY - SLOTS}"]
    with (
        serving("benchmarks.slots", *flags) as running,
        stepping(config.but(plan=poisson), folder, running) as workers,
    ):
        return rows(Case("slots", poisson, tps, designed), workers, seconds, folder)


def of_cpu(config: RunConfig, folder: Path, seconds: int) -> list[Row]:
    """The order service as it is; its rate is guessed by a closed loop."""
    with service(folder) as running, stepping(config, folder, running) as workers:
        case = Case("cpu", config.plan, workers.full_speed(), None)
        return rows(case, workers, seconds, folder)


CASES: dict[str, tuple[Callable[[RunConfig, Path, int], list[Row]], int]] = {
    "store": (of_store, 5),
    "slots": (of_slots, 4),
    "cpu": (of_cpu, 3),
}
"""Each with the seconds that a rate is measured for: a store's has to hold a tick."""


def table_of(every: Sequence[Row]) -> Table:
    """All rows, beside each other."""
    table = Table(box=None, padding=(0, 1), header_style="dim")
    columns = (
        "target", "share", "offered/s", "completed/s", "simulated", "ratio", "p99 ms", "simulated", "ratio", "from",
    )  # fmt: skip
    for name in (*columns, "said"):
        table.add_column(name, justify="left" if name in ("target", "from", "said") else "right")
    for row in every:
        table.add_row(
            row.case,
            f"{row.share:g}",
            f"{row.offered_tps:,.0f}",
            " ".join(f"{value:,.0f}" for value in row.completed_tps),
            f"{row.simulated_tps:,.0f}",
            f"{row.simulated_tps / fmean(row.completed_tps):.3f}",
            " ".join(f"{value:,.1f}" for value in row.p99_ms),
            f"{row.simulated_p99_ms:,.1f} ({row.simulated_p99_span_ms[0]:,.0f}-{row.simulated_p99_span_ms[1]:,.0f})",
            f"{row.simulated_p99_ms / fmean(row.p99_ms):.2f}",
            row.simulated_from,
            row.said,
        )
    return table


def main() -> None:
    """Measure, simulate, and print both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, help="that each rate is measured for")
    parser.add_argument("--only", choices=sorted(CASES))
    parser.add_argument("--folder", type=Path, help="where the databases are made")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    began_s, every = time.monotonic(), list[Row]()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        plan = Plan.load("steady")
        config = RunConfig(plan=plan, plan_name="steady", out=folder, conducted=True)
        config = config.but(plan=steady(config.plan, plan.slos))
        for name in [asked.only] if asked.only else list(CASES):
            compare, seconds = CASES[name]
            case = Path(folder) / name
            case.mkdir()
            every += compare(config, case, asked.seconds or seconds)
    Console(width=150).print(table_of(every))
    for reason in sorted({reason for row in every for reason in row.taken_by}):
        print(f"taken: {reason}")
    print(f"took {time.monotonic() - began_s:.0f} s")
    if asked.json:
        shown: list[Any] = [msgspec.to_builtins(row) for row in every]
        asked.json.write_text(json.dumps(shown, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
