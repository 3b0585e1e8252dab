"""Comparisons of runs with their baselines, for the terminal and as an HTML page like the report."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadtest.judge.compare import Comparison, Finding, Shift, Unit
from loadtest.measure.whole_file import write_whole
from loadtest.publish import wording
from loadtest.publish.page import document

_SENTENCES = {
    Finding.WORSE: "HEAD is worse than BASE",
    Finding.BETTER: "HEAD is better than BASE",
    Finding.SAME: "Nothing changed beyond the noise.",
    Finding.UNKNOWN: "There is too little data to tell.",
}
_STYLES = {
    Finding.WORSE: "bold red",
    Finding.BETTER: "bold green",
    Finding.SAME: "bold",
    Finding.UNKNOWN: "yellow",
}
WIDE = 300
"""Characters in which every table fits."""


def print_comparisons(comparisons: Sequence[Comparison], console: Console) -> None:
    """Print each run's shifts with their intervals and the finding, after an overview if there are several runs."""
    if len(comparisons) > 1:
        _print_whole(_overview(comparisons), console)
    for comparison in comparisons:
        _print_one(comparison, console)


def _overview(comparisons: Sequence[Comparison]) -> Table:
    """A row a metric, a column a HEAD."""
    table = Table(box=None, padding=(0, 2), header_style="dim")
    table.add_column("metric")
    for comparison in comparisons:
        table.add_column(Text(comparison.head_id), justify="right")
    for row in zip(*(comparison.shifts for comparison in comparisons), strict=True):
        found = (
            Text(f"{cells(shift)[2]} {shift.finding.value}", style=_STYLES[shift.finding]) for shift in row
        )
        table.add_row(row[0].metric, *found)
    return table


def _print_one(comparison: Comparison, console: Console) -> None:
    table = Table(box=None, padding=(0, 1), header_style="dim")
    for name in ("metric", "BASE", "HEAD", "shift", "interval", "finding"):
        table.add_column(name, justify="left" if name in ("metric", "finding") else "right", no_wrap=True)
    for shift in comparison.shifts:
        table.add_row(shift.metric, *cells(shift), Text(shift.finding.value, style=_STYLES[shift.finding]))
    console.print(Text(sentence(comparison), style=_STYLES[comparison.finding]))
    console.print(
        f"  BASE {base_names(comparison)}\n  HEAD {comparison.head_id}", highlight=False, markup=False
    )
    _print_whole(table, console)
    for note in comparison.notes:
        console.print(Text(f"  differs: {note}"))


def _print_whole(table: Table, console: Console) -> None:
    """Print a table with no cell cut short: a log has no edge, and a narrow terminal wraps the line."""
    narrow = console.width
    console.width = max(narrow, WIDE)
    console.print(table)
    console.width = narrow


def base_names(comparison: Comparison) -> str:
    """The baseline, or all of the pool."""
    return ", ".join(comparison.base_ids)


def render(comparisons: Sequence[Comparison]) -> str:
    """The comparisons, at least one, as one HTML document that opens offline."""
    sections = [
        {
            "comparison": comparison,
            "base": base_names(comparison),
            "sentence": sentence(comparison),
            "reach": f"{reach:.0%}",
            "rows": [(shift, cells(shift), _bar(shift, reach)) for shift in comparison.shifts],
        }
        for comparison, reach in ((comparison, _reach(comparison)) for comparison in comparisons)
    ]
    return document("comparison.html.j2", sections=sections)


def write(comparisons: Sequence[Comparison], path: Path) -> None:
    """Write the page to `path` whole or not at all (by rename). Raises `OSError`."""
    write_whole(render(comparisons), path)


def sentence(comparison: Comparison) -> str:
    """What the comparison came to, naming what moved."""
    finding = comparison.finding
    if finding is Finding.UNKNOWN and comparison.reason:
        return f"{_SENTENCES[finding]} {comparison.reason}."
    if finding not in (Finding.WORSE, Finding.BETTER):
        return _SENTENCES[finding]
    moved = [f"{s.metric} {_signed(s.shift, s.unit)}" for s in comparison.shifts if s.finding is finding]
    return f"{_SENTENCES[finding]}: {', '.join(moved)}."


def cells(shift: Shift) -> tuple[str, str, str, str]:
    """BASE, HEAD, shift and interval in words."""
    if shift.finding is Finding.UNKNOWN:
        return "-", "-", "-", "-"
    interval = f"{_signed(shift.low, shift.unit)} to {_signed(shift.high, shift.unit)}"
    return (
        _value(shift.base, shift.unit),
        _value(shift.head, shift.unit),
        _signed(shift.shift, shift.unit),
        interval,
    )


def _value(value: float, unit: Unit) -> str:
    return {Unit.MS: wording.latency, Unit.TPS: wording.rate, Unit.SHARE: wording.percent}[unit](value)


def _signed(shift: float, unit: Unit) -> str:
    """`+10.2%` of BASE; an error rate moves by percentage points."""
    return f"{shift * 100:+.1f}%" if unit is not Unit.SHARE else f"{shift * 100:+.3g} points"


def _reach(comparison: Comparison) -> float:
    """How far the bars of a comparison reach to either side of zero, as a share of BASE."""
    drawn = [bound for shift in comparison.shifts if _is_drawn(shift) for bound in (shift.low, shift.high)]
    return 1.1 * max(0.04, *map(abs, drawn), 0.0)


def _bar(shift: Shift, reach: float) -> tuple[str, str, str] | None:
    """Low end, shift and high end, -100 to 100 being the bar's reach. A change of error rates is no share of BASE."""
    if not _is_drawn(shift):
        return None
    low, value, high = (f"{bound / reach * 100:.1f}" for bound in (shift.low, shift.shift, shift.high))
    return low, value, high


def _is_drawn(shift: Shift) -> bool:
    return shift.unit is not Unit.SHARE and shift.finding is not Finding.UNKNOWN
