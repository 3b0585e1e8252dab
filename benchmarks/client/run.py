"""Runs the client benchmark and writes `client.json` and `client.svg`.

Rounds are interleaved (every contestant once, then again), so that a slow spell of the machine hits all of
them, and the median of each contestant's rounds counts. Compare figures of one run only: ratios travel
between machines and days, absolute numbers do not.
"""

import json
import platform
import statistics
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.client.contestants import OURS, Contestant, Measurement, installed
from benchmarks.client.sink import Sink
from benchmarks.picture import bars
from loadtest.drive._core import CORE

JOURNEYS = {
    "get": "one GET a task, 63-byte answer",
    "post": "one POST of JSON a task",
    "mix": "ten requests a task, 4 KB bodies among them",
    "tls": "one GET a task, over TLS",
}


def run(
    out_dir: Path,
    rounds: int = 5,
    seconds: float = 5.0,
    journeys: tuple[str, ...] = tuple(JOURNEYS),
    tell: Callable[[str, dict[str, Any]], None] = lambda _journey, _medians: None,
) -> dict[str, Any]:
    """Measure every installed contestant; write `client.json` and `client.svg` into `out_dir`.

    Calls `tell` after each round with the journey and its medians so far. Returns what `client.json` holds: for
    each journey and contestant the medians of requests per second, requests per CPU-second and peak memory (MB), and
    how many times as many per CPU-second ours does.
    Raises `FileNotFoundError` if there is no nginx to be the sink.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, Sink(Path(scratch) / "sink") as sink:
        results: dict[str, Any] = {}
        for journey in journeys:
            measure = partial(_round, sink.url_for(journey), journey, seconds, Path(scratch))
            for medians in _medians(journey, rounds, measure):
                results[journey] = medians
                tell(journey, medians)
    report = {
        "benchmark": "client",
        "machine": {"processor": platform.machine(), "python": platform.python_version(), "core": CORE},
        "rounds": rounds,
        "seconds": seconds,
        "journeys": results,
    }
    (out_dir / "client.json").write_text(json.dumps(report, indent=1))
    (out_dir / "client.svg").write_text(_picture(results))
    return report


def _medians(
    journey: str, rounds: int, measure: Callable[[Contestant], Measurement]
) -> Iterator[dict[str, Any]]:
    """The medians of each contestant after every round."""
    contestants = [contestant for contestant in installed() if journey in contestant.journeys]
    measured: dict[str, list[Measurement]] = {contestant.name: [] for contestant in contestants}
    for _ in range(rounds):
        for contestant in contestants:
            measured[contestant.name].append(measure(contestant))
        medians = {name: _median(measurements) for name, measurements in measured.items()}
        for median in medians.values():
            median["ours_is_times"] = round(medians[OURS]["per_cpu_s"] / median["per_cpu_s"], 2)
        yield medians


def _round(url: str, journey: str, seconds: float, scratch: Path, contestant: Contestant) -> Measurement:
    """One round. Raises `RuntimeError` if requests failed: a sink that refuses is fast."""
    measurement = contestant.measure(url, journey, seconds, scratch)
    if measurement.failures or not measurement.requests:
        raise RuntimeError(
            f"{contestant.name}: {measurement.failures} of {measurement.requests} requests failed"
        )
    return measurement


def _median(measurements: list[Measurement]) -> dict[str, float]:
    return {
        "per_s": round(statistics.median(m.requests / m.wall_s for m in measurements)),
        "per_cpu_s": round(statistics.median(m.per_cpu_s for m in measurements)),
        "per_cpu_s_lowest": round(min(m.per_cpu_s for m in measurements)),
        "per_cpu_s_highest": round(max(m.per_cpu_s for m in measurements)),
        "peak_memory_mb": round(statistics.median(m.peak_memory_mb for m in measurements), 1),
    }


def _picture(results: dict[str, Any]) -> str:
    groups = {
        f"{journey}: {JOURNEYS[journey]}": {name: median["per_cpu_s"] for name, median in medians.items()}
        for journey, medians in results.items()
    }
    return bars("Requests per CPU-second of the load generator", groups, highlighted=OURS)
