"""`python -m benchmarks.sustained`: see `benchmarks.sustained.run`."""

import argparse
from pathlib import Path

from benchmarks.sustained.run import run


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description="Orders a second that `singlesday run` drives out of the order service, beside wrk"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/bench-sustained"))
    parser.add_argument("--seconds", type=int, default=6, help="length of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    run(options.out, seconds=options.seconds, rounds=options.rounds)


if __name__ == "__main__":
    main()
