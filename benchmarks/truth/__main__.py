"""`python -m benchmarks.truth`: see `benchmarks.truth.run`."""

import argparse
from pathlib import Path

from benchmarks.truth.run import Script, run


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description="What load generators report of a known target, and the truth"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/bench-truth"))
    parser.add_argument("--rate", type=int, default=400, help="arrivals a second")
    parser.add_argument("--seconds", type=int, default=15, help="length of each measurement")
    parser.add_argument("--stall", type=float, default=1.5, help="seconds that the target stalls")
    options = parser.parse_args()
    run(options.out, Script(rate=options.rate, seconds=options.seconds, stall_s=options.stall))


if __name__ == "__main__":
    main()
