"""`python -m benchmarks.accuracy`: see `benchmarks.accuracy.run`."""

import argparse
from pathlib import Path

from benchmarks.accuracy.run import RATES, run


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How exactly arrivals start, and what that costs")
    parser.add_argument("--out", type=Path, default=Path("runs/bench-accuracy"))
    parser.add_argument("--seconds", type=int, default=6, help="length of each measurement")
    parser.add_argument("--rounds", type=int, default=1, help="measurements of each; the median is shown")
    parser.add_argument("--rates", type=int, nargs="*", default=list(RATES))
    options = parser.parse_args()
    run(options.out, rates=options.rates, seconds=options.seconds, rounds=options.rounds)


if __name__ == "__main__":
    main()
