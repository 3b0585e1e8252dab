"""What load generators report of a target with known latencies and a known stall, beside the truth.

Every generator gets a target of its own with the same seed, the same rate and the same stall. A closed loop
sends nothing while the target stalls, so hardly any of its samples know of the stall: coordinated omission.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.picture import lines
from benchmarks.truth.expected import QUANTILES, quantiles_ms, waits_ms
from benchmarks.truth.generators import Generator, installed

TRUTH = "the truth"


@dataclass(frozen=True, slots=True)
class Script:
    """What the target does and what is asked of it."""

    rate: int = 400
    seconds: int = 15
    stall_at_s: float = 5.0
    stall_s: float = 2.0
    seed: int = 1


def run(out_dir: Path, script: Script = Script()) -> dict[str, list[float]]:
    """Measure with every generator there is; write `truth.json` and `truth.svg`, print a table.

    Returns milliseconds at each of `QUANTILES`, by generator, the truth first.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    reported: dict[str, list[float]] = {}
    held_ms: list[float] = []
    for generator in installed():
        reported[generator.name], held = _measure(generator, script)
        held_ms = held_ms or held
    told: dict[str, Any] = asdict(script)
    waits = waits_ms(
        held_ms,
        rate=script.rate,
        seconds=script.seconds,
        stall_at_s=script.stall_at_s,
        stall_s=script.stall_s,
    )
    rows = {TRUTH: quantiles_ms(waits), **reported}
    (out_dir / "truth.json").write_text(
        json.dumps({"script": told, "quantiles": QUANTILES, "ms": rows}, indent=1) + "\n"
    )
    title = f"{script.rate} arrivals/s for {script.seconds} s; the target stalls for {script.stall_s:g} s"
    (out_dir / "truth.svg").write_text(lines(title, QUANTILES, rows))
    print(table(rows))
    return rows


def _measure(generator: Generator, script: Script) -> tuple[list[float], list[float]]:
    """What a generator reports, and the holds that its target kept, in ms."""
    stall_at_s = generator.calibration_s + script.stall_at_s
    with TemporaryDirectory() as scratch:
        holds = Path(scratch) / "holds.json"
        command = [sys.executable, "-m", "benchmarks.truth.target", "--holds", str(holds)]
        command += ["--seed", str(script.seed), "--stall-at", str(stall_at_s), "--stall", str(script.stall_s)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as target:
            assert target.stdout is not None
            try:
                url = f"http://127.0.0.1:{int(target.stdout.readline())}"
                seconds = generator.calibration_s + script.seconds
                quantiles = generator.measure(url, script.rate, seconds, Path(scratch))
            finally:
                target.terminate()
        if target.returncode:
            raise RuntimeError(f"the target ended with {target.returncode}")
        return quantiles, json.loads(holds.read_text())


def table(rows: Mapping[str, list[float]]) -> str:
    """The rows for a terminal, in ms, each with its largest error against the truth at any of the quantiles."""
    heads = " ".join(f"{f'p{100 * q:g}':>9}" for q in QUANTILES)
    made = [f"{'ms':<20} {heads} {'worst error':>12}"]
    truth = rows[TRUTH]
    for name, values in rows.items():
        figures = " ".join(f"{value:>9.1f}" for value in values)
        worst = max((value / true - 1 for value, true in zip(values, truth, strict=True)), key=abs)
        made.append(f"{name:<20} {figures} {worst:>+12.1%}")
    return "\n".join(made)
