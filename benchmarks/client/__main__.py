"""`python -m benchmarks.client [--rounds N] [--seconds S] [--journey NAME]… [--out DIR]`."""

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from benchmarks.client.run import JOURNEYS, run


class Tables:
    """A table for each journey, filled as its rounds go by."""

    def __init__(self, console: Console, rounds: int) -> None:
        self._live = Live(console=console, auto_refresh=False)
        self._rounds, self._round = rounds, 0

    def tell(self, journey: str, medians: dict[str, Any]) -> None:
        """Show the medians of the rounds that a journey has had."""
        if self._round == 0:
            self._live.start()
        self._round += 1
        self._live.update(self._table(journey, medians), refresh=True)
        if self._round == self._rounds:
            self._live.stop()
            self._live.console.print()
            self._live, self._round = Live(console=self._live.console, auto_refresh=False), 0

    def _table(self, journey: str, medians: dict[str, Any]) -> Table:
        so_far = f", round {self._round} of {self._rounds}" if self._round < self._rounds else ""
        table = Table("", title=f"{JOURNEYS[journey]}{so_far}", title_justify="left", box=None)
        for heading in ("requests/s", "per CPU-second", "ours is", "memory"):
            table.add_column(heading, justify="right")
        for name, row in medians.items():
            figures = (f"{row['per_s']:,}", f"{row['per_cpu_s']:,}", f"{row['ours_is_times']:.2f}x")
            table.add_row(name, *figures, f"{row['peak_memory_mb']:.0f} MB")
        return table


def main() -> None:
    """Measure and print a table for each journey."""
    parser = argparse.ArgumentParser(prog="singlesday bench client", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="medians are over this many (default: 5)")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of one measurement (default: 5)")
    parser.add_argument("--journey", action="append", choices=list(JOURNEYS), help="default: all of them")
    parser.add_argument("--out", type=Path, default=Path("runs/bench"), help="where JSON and picture go")
    options = parser.parse_args()
    console = Console()
    tables = Tables(console, options.rounds)
    chosen = tuple(options.journey or JOURNEYS)
    report = run(options.out, options.rounds, options.seconds, chosen, tables.tell)
    console.print(f"Python {report['machine']['python']}, client core: {report['machine']['core']}")
    console.print(f"wrote {options.out / 'client.json'} and client.svg")


if __name__ == "__main__":
    main()
