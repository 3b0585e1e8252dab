"""`singlesday drill [NAME…]`: runs in which something goes wrong on purpose, one after another, and their table."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadtest.cli.run import run
from loadtest.configuration.run_config import RunConfig
from loadtest.exit_codes import ExitCode
from loadtest.measure.run_result import RESULT, FaultResult, RunResult
from loadtest.plan.fault import PROCESS
from loadtest.plan.plan_file import Plan, shipped_drills
from loadtest.publish import wording
from loadtest.publish.console_verdict import COLOURS
from loadtest.publish.paragraph import print_paragraph
from loadtest.publish.run_folder import REPORT, new_run_folder

GRAVEST_FIRST = (
    ExitCode.AUDIT_MISMATCH,
    ExitCode.SLO_FAIL,
    ExitCode.INVALID,
    ExitCode.ABORTED,
)
"""Verdicts' exit codes, in the order in which one of several drills' becomes that of all: a verdict on the service
before one that there is too little data to judge it."""


class Played(NamedTuple):
    """One drill that was run."""

    name: str
    result: RunResult
    folder: Path


def service_settings(name: str) -> dict[str, str]:
    """Environment variables of the order service that a drill needs."""
    if name != "overload":
        return {}
    return {
        "ORDERS_ENABLE_FAULTS": "yes",
        "ORDERS_DRILL": str(shipped_drills()[name].with_name("slow-store.json")),
        "ORDERS_MOST_IN_FLIGHT": "64",
    }


def play(configs: Sequence[RunConfig], console: Console) -> int:
    """Run each drill and print its findings; return the worst exit code.

    A drill that is refused leaves no result: the others are not run, and the code is USAGE.
    Raises `RunError`, `ServiceError` and `StoreError`.
    """
    played: list[Played] = []
    for config in configs:
        one = _play_one(config, console)
        if one is None:  # its master has said why
            if played:
                _print_played(played, console)
            return ExitCode.USAGE
        played.append(one)
        if one.result.exit_code == ExitCode.ABORTED:
            break
    _print_played(played, console)
    codes = {one.result.exit_code for one in played}
    return int(next((code for code in GRAVEST_FIRST if code in codes), ExitCode.PASS))


def _play_one(config: RunConfig, console: Console) -> Played | None:
    """Run a drill and print what its faults did; None where it was refused."""
    console.print(f"{config.plan.name}: {_told(config.plan)} …", soft_wrap=True, style="dim")
    folder = new_run_folder(Path(config.out), config.plan.name)
    settings = service_settings(config.plan.name)
    code = run(config.but(folder=str(folder)), Console(quiet=True), service_environment=settings)
    if code == ExitCode.USAGE:
        return None
    result = RunResult.read(folder / RESULT)
    for fault in result.faults:
        console.print(f"  {fault.did or fault.problem or 'nothing was done'}", soft_wrap=True, markup=False)
    return Played(config.plan.name, result, folder)


def _print_played(played: Sequence[Played], console: Console) -> None:
    """Print the table of drills that were run, and why some did not pass."""
    console.print()
    console.print(table_of(played))
    for one in played:
        _print_why(one, console)


def table_of(played: Sequence[Played]) -> Table:
    """A row for each fault: when it showed, when the service had recovered, goodput meanwhile, audit and verdict."""
    table = Table(box=None, padding=(0, 1), header_style="dim")
    table.add_column(" drill", no_wrap=True)
    for heading in ("detected in", "recovered in", "goodput"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("audit", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for one in played:
        for number, fault in enumerate(one.result.faults):
            table.add_row(
                Text(f" {one.name}" if not number else ""),
                *_figures(fault),
                Text(_audit(one.result) if not number else ""),
                Text(one.result.verdict if not number else "", style=COLOURS[one.result.verdict]),
            )
    return table


def print_list(console: Console) -> None:
    """Print the name, the length and the faults of each shipped drill."""
    for name in shipped_drills():
        plan = Plan.load(shipped_drills()[name])
        console.print(f"  {name:<12} {plan.duration_s:.0f} s  {_told(plan)}", soft_wrap=True)


def _figures(fault: FaultResult) -> tuple[str, str, str]:
    def seconds(value: float | None, none: str) -> str:
        return none if value is None else f"{value:.1f} s"

    if fault.began_s is None:
        return "-", "-", "-"
    goodput = "-" if fault.goodput is None else wording.percent(fault.goodput)
    return seconds(fault.detected_in_s, "no"), seconds(fault.recovered_in_s, "no"), goodput


def _audit(result: RunResult) -> str:
    if result.audit is None:
        return "none"
    return "passed" if result.audit.balanced else "MISMATCH"


def _print_why(one: Played, console: Console) -> None:
    """Print why a drill did not pass, and where its report is."""
    if one.result.exit_code == ExitCode.PASS:
        return
    head = wording.headline(one.result)
    print_paragraph(console, f"\n{one.name}: {head.word}: {head.sentence}", hang=2)
    for reason in head.reasons[:5]:
        print_paragraph(console, f"  - {reason}", hang=4)
    console.print(f"  report  {one.folder / REPORT}", soft_wrap=True, markup=False)


def _told(plan: Plan) -> str:
    """A plan's faults in words: kind, begin and length in seconds."""
    return "; ".join(
        f"{fault.kind}{f' of {fault.process}' if fault.kind in PROCESS else ''}"
        f" at {fault.at_s:g} s{f' for {fault.for_s:g} s' if fault.for_s else ''}"
        for fault in plan.faults
    )
