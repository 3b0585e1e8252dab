"""`singlesday capacity`: the highest rate that is sustained, and what a much higher one would take.

Each trial is a run of its own, on a fresh database, at one constant rate. Where measurements at several sizes
are given, the Universal Scalability Law is fitted to them (`judge.usl`) and says how many machines a rate takes.
"""

from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from loadtest.cli.run import run
from loadtest.configuration.run_config import RunConfig
from loadtest.exit_codes import ExitCode
from loadtest.judge.capacity import Capacity, CapacitySearch, Limit, Outcome
from loadtest.judge.usl import Measurement, UslFit, fit
from loadtest.publish.run_folder import new_run_folder

PLAN = "steady"
OUTCOMES: dict[int, Outcome] = {
    ExitCode.PASS: Outcome.PASS,
    ExitCode.SLO_FAIL: Outcome.FAIL,
    ExitCode.INVALID: Outcome.INVALID,
}
LIMITS = {
    Limit.TARGET: "above that rate the service missed an objective",
    Limit.GENERATOR: "above that rate the load generator fell behind; the service may be capable of more",
    Limit.CEILING: "that is the highest rate that was allowed",
    Limit.FLOOR: "not even the lowest rate passed",
    Limit.TRIALS: "the search used up its runs",
}


class CapacityError(Exception):
    """The search cannot go on: a run ended neither in a pass nor in a failure."""


def search(config: RunConfig, start_tps: float, tolerance: float, console: Console) -> Capacity:
    """Run at one rate after another until the highest that passes is known. Raises `CapacityError`, `RunError`."""
    quiet = Console(quiet=True)
    seeking = CapacitySearch(start_tps=start_tps, tolerance=tolerance)
    while (tps := seeking.next_tps) is not None:
        plan = config.plan.with_overrides(peak_tps=tps)
        folder = new_run_folder(Path(config.out), plan.name)
        overrides = config.overrides | {"peak_tps": str(tps)}
        code = run(config.but(plan=plan, overrides=overrides, folder=str(folder)), quiet)
        outcome = OUTCOMES.get(code)
        if outcome is None:
            raise CapacityError(f"the run at {tps:,.0f} TPS ended with exit code {code}; see {folder}")
        seeking.record(outcome)
        console.print(f"  {tps:>9,.0f} TPS  {outcome.value:<8} {folder}", soft_wrap=True)
    return seeking.result


def print_capacity(found: Capacity, console: Console) -> None:
    """Print what the search found and what limited it."""
    console.print(f"sustained {found.sustained_tps:,.0f} TPS: {LIMITS[found.limit]} ({found.trials} runs)")


def fitted(measured: list[str], refuse: Callable[[str], object]) -> UslFit:
    """Fit `MACHINES=TPS` measurements; what cannot be used goes to `refuse`, which does not return."""
    try:
        pairs = [text.split("=", 1) for text in measured]
        return fit([Measurement(int(machines), float(tps)) for machines, tps in pairs])
    except (ValueError, ImportError) as error:
        refuse(f"--measured: expected MACHINES=TPS such as 4=14000, at several sizes ({error})")
        raise


def print_bill(law: UslFit, tps: float, console: Console) -> None:
    """Print the machines that a rate takes, with their confidence."""
    bill = law.bill(tps)
    table = Table(box=None, show_header=False)
    table.add_row("rate", f"{bill.tps:,.0f} TPS")
    table.add_row(
        "machines",
        f"{bill.machines.estimate:,.0f} ({bill.machines.low:,.0f} to {bill.machines.high:,.0f}, 95 %)",
    )
    table.add_row("arranged as", f"{bill.cells:,} cells of {bill.machines_a_cell:,} machines")
    table.add_row("extrapolated", f"{bill.extrapolation:.1f} times beyond the largest size measured")
    console.print(table)
