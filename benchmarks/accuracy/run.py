"""How exactly arrivals start: dispatch lag, error of each 1 s bin, and CPU, beside Locust's own pacing.

Each measurement runs in a process of its own (`benchmarks.accuracy.pacer`), one after the other, and rounds
alternate between the kinds, so that all share what the machine does meanwhile. docs/design.md asks at half
the worker's capacity for a lag of 0.1 ms at p50 and 1 ms at p99, and for bins within 1 %. On a machine with
other work to do read the row `bare` first: nothing can be earlier than that.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

RATES = (1_000, 10_000, 40_000)
"""Arrivals a second."""
KINDS = {"open-loop": RATES, "locust": RATES, "bare": (1_000,)}
"""Who paces, and at which rates; a blocking wake-up for each start makes no sense at the higher ones."""
COLUMNS = ("lag_p50_ms", "lag_p99_ms", "lag_max_ms", "bin_error", "cpu")


def run(
    out_dir: Path, *, rates: Sequence[int] = RATES, seconds: int = 6, rounds: int = 1
) -> list[dict[str, Any]]:
    """Measure every kind at every rate, write `accuracy.json` and print a table; medians of `rounds`."""
    out_dir.mkdir(parents=True, exist_ok=True)
    plan = [
        (kind, rate) for rate in rates for kind, known in KINDS.items() if rate in known or kind != "bare"
    ]
    found: dict[tuple[str, int], list[dict[str, float]]] = {pair: [] for pair in plan}
    for _ in range(rounds):
        for kind, rate in plan:
            found[kind, rate].append(_measure(kind, rate, seconds))
    rows = [
        {"kind": kind, "rate": rate, **{name: median(m[name] for m in measured) for name in COLUMNS}}
        for (kind, rate), measured in found.items()
    ]
    (out_dir / "accuracy.json").write_text(json.dumps(rows, indent=1) + "\n")
    print(table(rows))
    return rows


def _measure(kind: str, rate: int, seconds: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.accuracy.pacer", kind, str(rate), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60 + 10 * seconds)
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows for a terminal."""
    lines = [
        f"{'paced by':<10} {'rate/s':>8} {'lag p50':>10} {'lag p99':>10} {'max':>10} {'worst bin':>10} {'CPU':>6}"
    ]
    for row in rows:
        lags = " ".join(f"{row[name]:>7.3f} ms" for name in COLUMNS[:3])
        lines.append(
            f"{row['kind']:<10} {row['rate']:>8,} {lags} {row['bin_error']:>10.2%} {row['cpu']:>6.0%}"
        )
    return "\n".join(lines)
