"""`python -m benchmarks.client [--rounds N] [--seconds S] [--journey NAME]… [--out DIR]`."""

import argparse
from pathlib import Path

from benchmarks.client.run import JOURNEYS, run


def main() -> None:
    """Measure and print a table for each journey."""
    parser = argparse.ArgumentParser(prog="singlesday bench client", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="medians are over this many (default: 5)")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of one measurement (default: 5)")
    parser.add_argument("--journey", action="append", choices=list(JOURNEYS), help="default: all of them")
    parser.add_argument("--out", type=Path, default=Path("runs/bench"), help="where JSON and picture go")
    options = parser.parse_args()
    report = run(options.out, options.rounds, options.seconds, tuple(options.journey or JOURNEYS))
    print(f"Python {report['machine']['python']}, client core: {report['machine']['core']}")
    for journey, results in report["journeys"].items():
        print(f"\n{JOURNEYS[journey]}")
        print(f"{'':32}{'requests/s':>12}{'per CPU-second':>16}{'ours is':>10}{'memory':>10}")
        for name, row in results.items():
            figures = f"{row['per_s']:>12,}{row['per_cpu_s']:>16,}{row['ours_is_times']:>9.2f}x"
            print(f"{name:32}{figures}{row['peak_memory_mb']:>7.0f} MB")
    print(f"\nwrote {options.out / 'client.json'} and client.svg")


if __name__ == "__main__":
    main()
