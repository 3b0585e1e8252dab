"""How much the master's memory grows over a long run: a day on a simulated clock.

    python -m benchmarks.long_run [--hours 24]

Each simulated second one worker reports 20 endpoints, through the bytes it would send; the books (`Merge` with
its timeline) take it, and Locust's own statistics get the same requests, a history row every five seconds as its
web UI makes them, and are pruned as a run prunes them. Issue 3 wants 20 MB at most over 24 hours; Locust alone,
unpruned, grows by 166 MB.
"""

import argparse
import gc
import os
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

os.environ["LOCUST_SKIP_MONKEY_PATCH"] = "1"
import locust  # noqa: F401 - unpatched, and without leaving the variable to processes started later

del os.environ["LOCUST_SKIP_MONKEY_PATCH"]

from locust.env import Environment
from locust.stats import update_stats_history

from benchmarks.master import endpoint_second
from loadtest.drive.locust_stats import LocustBatch, prune
from loadtest.fleet.merge import Merge
from loadtest.fleet.messages import Report, decode, encode, pack_second
from loadtest.records import Outcome

ENDPOINTS = 20
STARTED_S = 1_700_000_000.0
HISTORY_EVERY_S = 5
PRUNE_EVERY_S = 10
LOOK_EVERY_S = 1
MB = 1 << 20


def growth_mb(hours: float, *, traced: bool = False) -> float:
    """Megabytes by which memory grew: resident, or `traced` for exactly what Python allocated."""
    merge, environment, batch = Merge(), Environment(), LocustBatch()
    runner = environment.create_local_runner()
    variants = [endpoint_second(ENDPOINTS, seed) for seed in range(16)]
    if traced:
        tracemalloc.start()
    before = _used(traced)
    with _clock() as clock:
        for index in range(round(hours * 3600)):
            clock[0] = STARTED_S + index
            variant = variants[index % len(variants)]
            variant.index = index
            message = decode(encode(Report("run", index, [pack_second(variant)], 1, 0, 0.4, 0.0)))
            assert isinstance(message, Report)
            merge.fold("worker", message)
            merge.timeline.recent(LOOK_EVERY_S)
            for number in range(ENDPOINTS):
                batch.add(
                    Outcome("GET", f"/endpoint/{number}", 0, 0, (index % 97 + 1) * 1_000_000, 512, None)
                )
            batch.flush(environment.stats)
            if index % HISTORY_EVERY_S == 0:
                update_stats_history(runner)
            if index % PRUNE_EVERY_S == 0:
                prune(environment.stats)
    grown = _used(traced) - before
    if traced:
        tracemalloc.stop()
    runner.greenlet.kill()
    return grown / MB


@contextmanager
def _clock() -> Iterator[list[float]]:
    """Wall-clock time as Locust and our batches see it; the one element is now."""
    now = [STARTED_S]
    with patch.object(time, "time", lambda: now[0]):
        yield now


def _used(traced: bool) -> int:
    gc.collect()
    if traced:
        return tracemalloc.get_traced_memory()[0]
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Print the figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=24.0)
    options = parser.parse_args()
    print(f"{options.hours:g} h: the master grew by {growth_mb(options.hours):.1f} MB")


if __name__ == "__main__":
    main()
