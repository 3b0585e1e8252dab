"""How a run ended, for a terminal or a log: verdict, figures, errors, response times, objectives, and what to open.

On a terminal sentences wrap between words, to its width, and go on below their beginning. In a log every sentence is
one line, so that it can be searched. Paths and commands are never wrapped, so that they can be copied.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from loadtest.judge.recovery import FAULT
from loadtest.judge.slo_syntax import IMPLICIT
from loadtest.measure.printable import printable
from loadtest.measure.run_result import Endpoint, RunResult, SloResult
from loadtest.publish import wording
from loadtest.publish.paragraph import print_paragraph
from loadtest.publish.regions import HEADINGS as REGION_HEADINGS
from loadtest.publish.regions import regions, residency
from loadtest.publish.summary import (
    MOST_CHARACTERS,
    MOST_ENDPOINTS,
    MOST_ERRORS,
    MOST_REASONS,
    QUANTILES,
    cells,
    facts,
    first,
    short,
)

COLOURS = {"PASS": "green", "FAIL": "red", "AUDIT": "red", "INVALID": "yellow", "ABORTED": "yellow"}
_COLUMNS = ("observed", "result", "set by")
_SOURCES = {"plan": "the plan", "flag": "--slo", FAULT: "a fault", IMPLICIT: "every run"}
MOST_OBJECTIVES = 30
MOST_REGIONS = 10
_REGION_COLUMNS = ("share", "way", "p50", "p99", "service p50", "service p99")


def print_verdict(
    result: RunResult, report_path: Path | None, console: Console, *, resumable: bool = False
) -> None:
    """Print how a run ended; with `resumable`, also the command that goes on with the run in the report's folder."""
    _print_headline(result, console)
    if result.arrivals.planned:
        _print_figures(result, console)
    if report_path is not None:
        console.print()
        console.print(f"  report  {escape(str(report_path))}", soft_wrap=True, highlight=False)
        if resumable:
            command = f"singlesday resume {shlex.quote(str(report_path.parent))}"
            console.print(f"  resume  {escape(command)}", soft_wrap=True, highlight=False)


def print_outcome(result: RunResult, report_path: Path, console: Console) -> None:
    """Print the verdict, the audit and where the report is, of a run whose figures have been printed before."""
    _print_headline(result, console)
    print_paragraph(console, Text(f"  audit   {wording.audit(result)}"), hang=10)
    console.print(f"  report  {escape(str(report_path))}", soft_wrap=True, highlight=False)


def _print_headline(result: RunResult, console: Console) -> None:
    head = wording.headline(result)
    console.print()
    verdict = Text(f" {head.word} ", style=f"bold reverse {COLOURS[head.word]}")
    print_paragraph(console, Text.assemble(verdict, " ", (printable(head.sentence), "bold")), hang=2)
    for reason in first(head.reasons, MOST_REASONS, "reasons"):
        print_paragraph(console, Text(f"  - {short(reason)}"), hang=4)


def _print_figures(result: RunResult, console: Console) -> None:
    """Everything below the headline, which a run that never began does not have."""
    console.print()
    every = facts(result)
    width = max(len(name) for name, _ in every)
    for name, fact in every:
        print_paragraph(console, Text(f"  {name:<{width}}  {printable(fact)}"), hang=width + 4)
    _print_errors(result, console)
    _print_times(result, console)
    _print_regions(result, console)
    _print_objectives(result, console)
    console.print()
    for equation, holds in wording.identities(result):
        print_paragraph(console, Text(f"  {equation}", style="dim" if holds else "bold red"), hang=4)


def _print_errors(result: RunResult, console: Console) -> None:
    """The most frequent errors, each with an example."""
    rows = wording.error_rows(result)
    if rows:
        console.print()
    for row in rows[:MOST_ERRORS]:
        what = f"  {row.failures:,} x {row.error}  {row.endpoint}, {row.share} of its requests"
        print_paragraph(console, Text(short(f"{what}{row.when and f', {row.when}'}"), style="red"), hang=6)
        if row.sample:
            print_paragraph(console, Text(f"      {short(row.sample)}", style="dim"), hang=8)
    if len(rows) > MOST_ERRORS:
        console.print(f"  and {len(rows) - MOST_ERRORS:,} more kinds of error, in the report")


def _print_times(result: RunResult, console: Console) -> None:
    """Response and service time of every endpoint, in two lines below its name and its requests."""
    if not result.endpoints:
        return
    console.print()
    names = [name.replace("_", ".") for name in QUANTILES]
    console.print(Text(_row("", names), style="dim"), soft_wrap=True)
    for name, endpoint in list(result.endpoints.items())[:MOST_ENDPOINTS]:
        print_paragraph(
            console, Text.assemble(f"  {short(name)}", (_counts(endpoint, result), "dim")), hang=4
        )
        console.print(Text(_row("response", cells(endpoint.response_ms))))
        console.print(Text(_row("service", cells(endpoint.service_ms)), style="dim"))
    more = len(result.endpoints) - MOST_ENDPOINTS
    if more > 0:
        console.print(f"  and {more:,} more endpoints, in the report")


def _print_regions(result: RunResult, console: Console) -> None:
    """For each endpoint the regions that asked most, with the way to the service and without."""
    tables = regions(result)
    chosen = [REGION_HEADINGS.index(heading) for heading in _REGION_COLUMNS]
    for table in tables:
        *rows, whole = table.rows
        shown = [*rows[:MOST_REGIONS], whole]
        lines = [list(_REGION_COLUMNS), *([row[place] for place in chosen] for _, row in shown)]
        widths = [2 + max(map(len, column)) for column in zip(*lines, strict=True)]
        names = ["", *(short(name) for name, _ in shown)]
        width = max(map(len, names))
        console.print()
        print_paragraph(console, Text(f"  {short(table.endpoint)} from"), hang=4)
        for number, (name, row) in enumerate(zip(names, lines, strict=True)):
            line = "".join(f"{cell:>{room}}" for cell, room in zip(row, widths, strict=True))
            console.print(Text(f"    {name:<{width}}{line}", "" if number else "dim"), soft_wrap=True)
        if len(rows) > MOST_REGIONS:
            console.print(f"  and {len(rows) - MOST_REGIONS:,} more regions, in the report")
    if tables:
        print_paragraph(console, Text(f"  {residency(result)}"), hang=4)


def _row(name: str, figures: list[str]) -> str:
    return f"    {name:<9}" + "".join(f"{figure:>10}" for figure in figures)


def _counts(endpoint: Endpoint, result: RunResult) -> str:
    per_second = endpoint.requests / result.run.duration_s if result.run.duration_s else 0.0
    failed = f"{endpoint.failures:,} failed" if endpoint.failures else "none failed"
    return f"  {wording.things(endpoint.requests, 'request')}, {wording.rate(per_second)}/s, {failed}"


def _print_objectives(result: RunResult, console: Console) -> None:
    """Every objective with what was seen of it; grey where the run proves nothing about it."""
    if not result.slo:
        return
    shown = result.slo[:MOST_OBJECTIVES]
    figures = [(wording.observed(slo), wording.judged(slo, result.verdict), _set_by(slo)) for slo in shown]
    widths = [max(map(len, column)) for column in zip(_COLUMNS, *figures, strict=True)]
    room = console.width - sum(widths) - 2 * len(widths) - 3 if console.is_terminal else MOST_CHARACTERS
    longest = max(len(each) for each in ("objective", *(short(slo.expr) for slo in shown)))
    width = min(longest, max(room, len("objective")))
    console.print()
    console.print(Text(f"  {'objective':<{width}}{_figures(_COLUMNS, widths)}", style="dim"), soft_wrap=True)
    for slo, seen in zip(shown, figures, strict=True):
        void = seen[1] == wording.NOT_JUDGED
        line = Text(f"  {short(slo.expr):<{width}}", style="dim" if void else "")
        if line.cell_len > width + 2:
            print_paragraph(console, line, hang=4)
            line = Text(" " * (width + 2), style=line.style)
        line.append(_figures(seen, widths), style="dim" if void else "green" if slo.passed else "bold red")
        console.print(line, soft_wrap=True)
    if len(result.slo) > MOST_OBJECTIVES:
        console.print(f"  and {len(result.slo) - MOST_OBJECTIVES:,} more objectives, in the report")


def _figures(cells: Sequence[str], widths: Sequence[int]) -> str:
    """The first to the right, the others to the left, two spaces before each."""
    first, *others = (
        f"{cell:>{width}}" if not number else f"{cell:<{width}}"
        for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  " + "  ".join([first, *others]).rstrip()


def _set_by(slo: SloResult) -> str:
    return _SOURCES.get(slo.source, slo.source)
