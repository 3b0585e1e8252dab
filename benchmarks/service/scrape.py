"""What a scrape every 100 ms does to the service's p99: rounds with and without, alternating on one service.

    python -m benchmarks.service.scrape [--rounds 10] [--seconds 3] [--load 0.5] [--folder /dev/shm]

Each round measures both, in turns as to which is first, at a share of what the service was found to do; the ratio of
each round's two p99s is what counts, shown as the median and its spread.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

from benchmarks.service.run import paced
from benchmarks.service.running import saturate, service


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.service.scrape", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--load", type=float, default=0.5)
    parser.add_argument(
        "--folder", help="where the store is; on a memory disk the disk's own pauses are left out"
    )
    arguments = parser.parse_args()
    ratios: list[float] = []
    with (
        tempfile.TemporaryDirectory(prefix="orders-scrape-", dir=arguments.folder) as folder,
        service(Path(folder)) as running,
    ):
        rate_per_s = saturate(running, arguments.seconds)[0].per_s * arguments.load
        for number in range(arguments.rounds):
            p99_ms = {
                scrape: paced(running, rate_per_s, arguments.seconds, scrape)
                for scrape in ((False, True) if number % 2 else (True, False))
            }
            ratios.append(p99_ms[True] / p99_ms[False])
            print(f"without {p99_ms[False]:8.2f} ms   with {p99_ms[True]:8.2f} ms   ratio {ratios[-1]:.3f}")
    print(f"ratio: median {statistics.median(ratios):.3f} ({min(ratios):.3f} .. {max(ratios):.3f})")


if __name__ == "__main__":
    main()
