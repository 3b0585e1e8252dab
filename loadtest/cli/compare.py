"""`singlesday compare`: one or several runs against a baseline, the worst of them deciding the exit code.

10 if one got worse; else 11 if one cannot be judged, with the reason; else 0.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from loadtest.cli.run_sources import pool_for, read_run, read_runs, save_baseline
from loadtest.exit_codes import ExitCode
from loadtest.judge.compare import Comparison, Finding, compare
from loadtest.measure.run_result import RunResult
from loadtest.publish import comparison as page


@dataclass(frozen=True, slots=True)
class CompareOptions:
    """What the command line asked for."""

    base: str
    heads: Sequence[str]
    html: Path | None = None
    save_baseline: Path | None = None


def compare_runs(options: CompareOptions, console: Console) -> ExitCode:
    """Compare, print, draw, keep. Raises `SourceError`, `CompareError`, and `OSError` for what it writes."""
    heads = [read_run(source) for source in options.heads]
    comparisons = [] if _is_first(options) else _compared(options.base, heads)
    if not comparisons:
        console.print(f"There is no baseline in {options.base} yet.", soft_wrap=True, markup=False)
    page.print_comparisons(comparisons, console)
    if options.html is not None and comparisons:
        page.write(comparisons, options.html)
        console.print(f"wrote {options.html}", soft_wrap=True, markup=False)
    found = {comparison.head_id: comparison.finding for comparison in comparisons}
    if options.save_baseline is not None:
        _keep(heads, found, options.save_baseline, console)
    return _exit_code(found.values())


def _exit_code(findings: Collection[Finding]) -> ExitCode:
    """A run that got worse counts most; one that cannot be judged is no success either."""
    if Finding.WORSE in findings:
        return ExitCode.SLO_FAIL
    return ExitCode.INVALID if Finding.UNKNOWN in findings else ExitCode.PASS


def _is_first(options: CompareOptions) -> bool:
    """Whether there is no baseline yet: BASE is the folder of --save-baseline, and it is empty."""
    base = Path(options.base)
    return options.save_baseline == base and (
        not base.exists() or (base.is_dir() and not any(base.iterdir()))
    )


def _compared(base: str, heads: Sequence[RunResult]) -> list[Comparison]:
    runs = read_runs(base)
    return [compare(pool_for(head, base, runs), head) for head in heads]


def _keep(heads: Sequence[RunResult], found: dict[str, Finding], folder: Path, console: Console) -> None:
    """Keep what passed and is not worse; what is worse must not become what the next is compared with."""
    unfit = {Finding.WORSE: "it is worse", Finding.UNKNOWN: "there is too little data to judge it"}
    for head in heads:
        why = unfit.get(found.get(head.run.id, Finding.SAME))
        if why is None and head.verdict != "PASS":
            why = f"its verdict is {head.verdict}"
        if why is None:
            console.print(f"kept {save_baseline(head, folder)}", soft_wrap=True, markup=False)
        else:
            console.print(f"not kept as a baseline: {head.run.id}, {why}", soft_wrap=True, markup=False)
