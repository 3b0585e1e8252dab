"""What a big fleet costs its master: simulated workers report, the master decodes, folds and keeps its timeline.

    python -m benchmarks.master [--workers 1000] [--endpoints 20] [--seconds 10]
    python -m benchmarks.master --relays 10 [--workers 10000] [--endpoints 20] [--seconds 4]

Each worker reports as a real one does: twice a second, with a second that has ended in every other report, and
latencies drawn so that an endpoint hits some dozens of buckets. Messages are made before the clock starts; what
is timed is what the master does with their bytes. One core is 1.0; docs/design.md says what it should be.

With `--relays` it is what a fleet costs its master, and each relay, in all that they do with Locust's messages, but
for reading and writing sockets: reports, heartbeats and Locust's own statistics, acknowledgements and leases. One of
the relays is played; the others' bundles are its own, with other workers' names. The same is timed for a tenth of the
workers without relays, beside it: the master's share for a thousand workers is the ratio to look at.
"""

import argparse
import random
import time
from dataclasses import dataclass

from loadtest.fleet.merge import Merge
from loadtest.fleet.messages import Report, decode, encode, pack_second
from loadtest.measure.second import SECOND_NS, OpenSeconds, Second
from loadtest.records import Outcome

REQUESTS_PER_ENDPOINT = 50
"""In one worker's second: a million requests/s over 1,000 workers and 20 endpoints, which is 583,000 orders/s and
0.7 other requests for each."""
VARIANTS = 32
"""Different seconds that are dealt out to the workers."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What the master spent."""

    workers: int
    endpoints: int
    seconds: int
    cores: float
    """CPU seconds for each second of the run."""
    message_bytes: float
    """Mean length of a report that carries a second."""


def measure(workers: int = 1_000, endpoints: int = 20, seconds: int = 10) -> Cost:
    """Simulate `seconds` seconds of a fleet and time the master's work."""
    variants = [endpoint_second(endpoints, seed) for seed in range(VARIANTS)]
    merge = Merge([(0.0, seconds / 2), (seconds / 2, float(seconds))])
    spent_s = 0.0
    lengths: list[int] = []
    for index in range(seconds):
        frames = _frames(workers, index, variants)
        lengths += [len(frame) for _, frame in frames if len(frame) > 200]
        began_s = time.process_time()
        for worker, frame in frames:
            message = decode(frame)
            assert isinstance(message, Report)
            merge.fold(worker, message)
        spent_s += time.process_time() - began_s
    assert merge.total.scheduled == workers * seconds * endpoints * REQUESTS_PER_ENDPOINT
    return Cost(workers, endpoints, seconds, spent_s / seconds, sum(lengths) / len(lengths))


def endpoint_second(endpoints: int, seed: int) -> Second:
    """One worker's second."""
    draw = random.Random(seed)
    open_seconds = OpenSeconds(0)
    for endpoint in range(endpoints):
        for _ in range(REQUESTS_PER_ENDPOINT):
            took_ns = round(draw.lognormvariate(1.5, 0.4) * 1e6)
            lag_ns = round(draw.lognormvariate(11, 0.5))
            open_seconds.record(
                Outcome("GET", f"/endpoint/{endpoint}", 0, lag_ns, lag_ns + took_ns, 512, None)
            )
            second = open_seconds.second(0)
            second.scheduled += 1
            second.started += 1
            second.ok += 1
            second.dispatch_lag.record_ns(lag_ns)
            second.queueing.record_ns(0)
    (made,) = open_seconds.take(SECOND_NS)
    return made


def _frames(workers: int, index: int, variants: list[Second]) -> list[tuple[str, bytes]]:
    """Every worker's two reports of second `index`."""
    packed = []
    for variant in variants:
        variant.index = index
        packed.append(pack_second(variant))
    frames = []
    for worker in range(workers):
        second = packed[worker % len(packed)]
        for half, seconds in enumerate(([second], [])):
            report = Report("run", 2 * index + half, seconds, 3, 0, 0.4, 0.0)
            frames.append((f"worker-{worker}", encode(report)))
    return frames


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int)
    parser.add_argument("--relays", type=int, default=0)
    parser.add_argument("--endpoints", type=int, default=20)
    parser.add_argument("--seconds", type=int)
    options = parser.parse_args()
    if options.relays:
        from benchmarks.relays import show  # noqa: PLC0415 - it imports Locust, which patches everything

        show(options.workers or 10_000, options.relays, options.endpoints, options.seconds or 4)
        return
    cost = measure(options.workers or 1_000, options.endpoints, options.seconds or 10)
    print(
        f"{cost.workers:,} workers x {cost.endpoints} endpoints: {cost.cores:.2f} of a core; "
        f"{cost.message_bytes:,.0f} bytes a report"
    )


if __name__ == "__main__":
    main()
