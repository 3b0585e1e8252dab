"""What `singlesday capacity` finds, beside what wrk finds with the same objective.

    python -m benchmarks.capacity [--only orders|slots] [--rounds 1] [--seconds 3] [--json FILE]

Two targets:

* **orders**: one worker of the order service on a fresh SQLite file, p99 below 250 ms. What it does depends on what
  CPU the machine spares it, so wrk differs from itself by several per cent.
* **slots**: `benchmarks.slots`, eight slots that take 20 ms: 400 a second by design, p99 below 150 ms.

wrk has no rate: it is a closed loop, so it is played with ever more connections, until the target refuses some,
and its answer is the highest rate at which its own p99 met the bound. Ours is asked for that p99 from the planned
instant. The difference between the two loops is small below the knee, and the knee is where both end.

wrk is played before ours with every number of connections, and after it with the best three again, so that a machine
that changed meanwhile shows. Ours is an interval: the rate that it sustained, and the lowest that it did not.
*Within*: wrk's rates are no further than 5 % from it, and ours took at most 180 s.
*Taken*: wrk's two answers differ by more than 5 %, or others used the cores and it is not within: play it again when
`python -m benchmarks.quiet` says that the machine is. A round takes three to four minutes, one of slots a minute.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from benchmarks.service.running import Running, service, serving
from tests.timing import Others

WITHIN, MOST_S = 0.05, 180.0
SCRIPT = Path(__file__).parent / "sustained" / "orders.lua"
_UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


class Target(NamedTuple):
    """What is searched, by both."""

    run: Callable[[Path], AbstractContextManager[Running]]
    bound_ms: float
    connections: Sequence[int]


TARGETS = {
    "orders": Target(service, 250.0, (16, 32, 64, 128, 256, 512)),
    "slots": Target(
        lambda _folder: serving("benchmarks.slots", "--slots", "8", "--ms", "20"), 150.0, (8, 16, 24, 32, 48)
    ),
}


def of_wrk(target: Target, folder: Path, seconds: int, every: Sequence[int]) -> dict[int, float]:
    """Orders a second by connections, of wrk's measurements that met the bound."""
    met: dict[int, float] = {}
    for connections in every:
        with target.run(folder) as running:
            address = f"http://127.0.0.1:{running.port}"
            flags = [f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(SCRIPT), address]
            said = subprocess.run(["wrk", "-t1", *flags], capture_output=True, text=True, check=True).stdout
        if "Non-2xx" in said:
            break
        rate, p99_ms = read_wrk(said)
        print(f"  wrk, {connections:>3} connections: {rate:,.0f}/s, p99 {p99_ms:.1f} ms", flush=True)
        if p99_ms < target.bound_ms:
            met[connections] = rate
    return met


def read_wrk(said: str) -> tuple[float, float]:
    """(requests a second, p99 in ms) that wrk printed. Raises `RuntimeError` if it printed neither."""
    rate = re.search(r"Requests/sec: +([\d.]+)", said)
    p99 = re.search(r"99% +([\d.]+)(us|ms|s|m)\b", said)
    if rate is None or p99 is None:
        raise RuntimeError(f"wrk printed no rate or no p99:\n{said}")
    return float(rate[1]), float(p99[1]) * _UNITS_MS[p99[2]]


def of_ours(target: Target, folder: Path) -> dict[str, object]:
    """What `singlesday capacity --json` says at last."""
    with target.run(folder) as running:
        command = [sys.executable, "-m", "loadtest.cli.main", "capacity", "--json", "--out", str(folder)]
        flags = [
            "--target",
            f"http://127.0.0.1:{running.port}",
            "--slo",
            f"p99(POST /orders) < {target.bound_ms:g}ms",
        ]
        said = subprocess.run([*command, *flags], capture_output=True, text=True, check=False)
    lines = said.stdout.splitlines()
    if not lines or "capacity" not in (last := json.loads(lines[-1])):
        raise RuntimeError(f"no capacity was found ({said.returncode}):\n{said.stderr[-1500:]}")
    found: dict[str, object] = last["capacity"]
    return found


def said_of(wrk: Sequence[float], ours: Mapping[str, object], taken: str | None) -> str:
    """Within, MISSED or taken, and why."""
    if not wrk or not min(wrk):
        return "MISSED: wrk met the bound with no number of connections"
    if max(wrk) > (1 + WITHIN) * min(wrk):
        return f"taken: wrk differs from itself by more than {WITHIN:.0%}"
    lowest = float(str(ours["sustained_tps"]))
    highest = float(str(ours["exceeded_tps"] or lowest))
    is_near = (1 - WITHIN) * lowest <= fmean(wrk) <= (1 + WITHIN) * highest
    if is_near and float(str(ours["took_s"])) <= MOST_S:
        return "within"
    return f"taken: {taken}" if taken else "MISSED"


def compare(name: str, seconds: int) -> dict[str, object]:
    """Measure wrk, ours, and wrk again."""
    target, others = TARGETS[name], Others()
    with tempfile.TemporaryDirectory(prefix="orders-bench-") as folder:
        before = of_wrk(target, Path(folder), seconds, target.connections)
        ours = of_ours(target, Path(folder))
        best = sorted(before, key=lambda connections: before[connections])[-3:]
        after = of_wrk(target, Path(folder), seconds, sorted(best))
    wrk = [max(met.values(), default=0.0) for met in (before, after)]
    sustained = float(str(ours["sustained_tps"]))
    return {
        "target": name,
        "wrk, orders/s": wrk,
        "singlesday capacity, orders/s": sustained,
        "not sustained, orders/s": ours["exceeded_tps"],
        "sustained : wrk": round(sustained / fmean(wrk), 3) if min(wrk) else None,
        "ours took, s": ours["took_s"],
        "ours was limited by": ours["limit"],
        "said": said_of(wrk, ours, others.taken()),
    }


def main() -> None:
    """Compare, and print the figures of each round."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=sorted(TARGETS))
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=3, help="of each play of wrk")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    every = []
    for name in [asked.only] if asked.only else TARGETS:
        for _ in range(asked.rounds):
            every.append(compare(name, asked.seconds))
            for what, value in every[-1].items():
                print(
                    f"{what:32} {value:,.2f}" if isinstance(value, float) else f"{what:32} {value}",
                    flush=True,
                )
    if asked.json:
        asked.json.write_text(json.dumps(every, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
