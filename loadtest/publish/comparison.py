"""Comparisons of runs with their baselines, for the terminal and as one HTML page of the report's make."""

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup
from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadtest.judge.compare import LEAST_RATIO, Comparison, Finding, Shift, Unit
from loadtest.measure.whole_file import write_whole
from loadtest.publish import wording
from loadtest.publish.page import asset, policy, template
from loadtest.publish.svg import MARGIN_BOTTOM, MARGIN_RIGHT, MARGIN_TOP, Plot, Scale, Size, linear_ticks

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
_ROW_PX = 32
_LABEL_PX = 140


def print_comparisons(comparisons: Sequence[Comparison], console: Console) -> None:
    """Print each run's shifts with their intervals, and what they come to; first the overview of several."""
    if len(comparisons) > 1:
        console.print(_overview(comparisons))
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
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for name in ("metric", "BASE", "HEAD", "shift", "interval", "finding"):
        table.add_column(name, justify="left" if name in ("metric", "finding") else "right")
    for shift in comparison.shifts:
        table.add_row(shift.metric, *cells(shift), Text(shift.finding.value, style=_STYLES[shift.finding]))
    console.print(Text(sentence(comparison), style=_STYLES[comparison.finding]))
    console.print(
        f"  BASE {base_names(comparison)}\n  HEAD {comparison.head_id}", highlight=False, markup=False
    )
    console.print(table)
    for note in comparison.notes:
        console.print(Text(f"  differs: {note}"))


def base_names(comparison: Comparison) -> str:
    """The baseline, or all of the pool."""
    return ", ".join(comparison.base_ids)


def render(comparisons: Sequence[Comparison]) -> str:
    """The comparisons, at least one, as one HTML document that opens offline."""
    style = asset("report.css")
    sections = [
        {
            "comparison": comparison,
            "base": base_names(comparison),
            "sentence": sentence(comparison),
            "rows": [(shift, cells(shift)) for shift in comparison.shifts],
            "picture": _picture(comparison, "wide", 1000, 10) + _picture(comparison, "narrow", 360, 3),
        }
        for comparison in comparisons
    ]
    page = template("comparison.html.j2").render(sections=sections, style=style, policy=policy(style))
    return page + "\n"


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


def _picture(comparison: Comparison, name: str, width: int, ticks: int) -> Markup:
    """Each ratio's interval beside zero, as a whisker with a dot; error rates are left to the table."""
    drawn = [s for s in comparison.shifts if s.unit is not Unit.SHARE and s.finding is not Finding.UNKNOWN]
    size = Size(name, width, MARGIN_TOP + MARGIN_BOTTOM + _ROW_PX * len(drawn), ticks, 0)
    reach = max([LEAST_RATIO * 2, *(max(abs(s.low), abs(s.high)) for s in drawn)]) * 1.1
    x = Scale(-reach, reach, _LABEL_PX, width - MARGIN_RIGHT)
    plot = Plot(size, x, Scale(0, 1, 0, 1))
    _ground(plot, linear_ticks(-reach, reach, ticks))
    for row, shift in enumerate(drawn):
        _whisker(plot, shift, MARGIN_TOP + (row + 0.5) * _ROW_PX)
    found = "; ".join(f"{s.metric} {_signed(s.shift, s.unit)}, {s.finding.value}" for s in drawn)
    return plot.markup(f"Shift of each metric from BASE to HEAD: {found or 'too little data'}.")


def _ground(plot: Plot, ticks: list[float]) -> None:
    for tick in ticks:
        css = "base" if tick == 0 else "grid"
        plot.add('<path class="{}" d="M{:.1f} {}V{}"/>', css, plot.x(tick), MARGIN_TOP, plot.bottom)
        plot.text(plot.x(tick), plot.bottom + 17, f"{tick * 100:+g}%" if tick else "0", "tick mid")


def _whisker(plot: Plot, shift: Shift, y: float) -> None:
    css = f"whisker {shift.finding.name.lower()}"
    plot.text(0, y + 4, shift.metric, "row-name")
    plot.add('<path class="{}" d="M{:.1f} {:.1f}H{:.1f}"/>', css, plot.x(shift.low), y, plot.x(shift.high))
    plot.add('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="4.5"/>', css, plot.x(shift.shift), y)
