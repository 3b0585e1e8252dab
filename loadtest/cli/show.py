"""`singlesday show PLAN`: what a plan will play, before anything is sent: curve, mix of scenarios, objectives."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadtest.judge import implicit
from loadtest.judge.slo_syntax import SloError, parse
from loadtest.measure.whole_file import write_whole
from loadtest.plan.plan_file import Plan, Scenario
from loadtest.publish import curve, wording

WIDEST = 120
"""Characters; a wider curve is harder to read, not easier."""


def print_plan(plan: Plan, console: Console) -> None:
    """Draw the curve, and below it list who arrives, how often, and what the run will be judged by."""
    drawn = curve.as_text(plan.name, plan.profile(), min(console.width, WIDEST))
    console.print(drawn, markup=False, soft_wrap=True)
    console.print(_mix(plan))
    console.print()
    settings = Table.grid(padding=(0, 2))
    for name, what in _settings(plan):
        settings.add_row(Text(f" {name}", style="dim"), Text(what))
    console.print(settings)
    console.print()
    console.print(_objectives(plan))


def write_plan(plan: Plan, svg: Path | None, csv: Path | None) -> list[Path]:
    """Write the curve as a picture and as a table, where asked for; the files written. Raises `OSError`."""
    if svg is not None:
        write_whole(curve.as_svg(plan.name, plan.profile()), svg)
    if csv is not None:
        write_whole(curve.as_csv(plan.profile()), csv)
    return [path for path in (svg, csv) if path is not None]


def _mix(plan: Plan) -> Table:
    """Each scenario's share of the arrivals, and how many of it arrive."""
    arrivals, everything = plan.scenario_arrivals(), plan.arrivals_profile()
    table = Table(box=None, padding=(0, 1), header_style="dim", show_footer=len(plan.scenarios) > 1)
    table.add_column(" scenario", " all", overflow="fold")
    table.add_column("share", justify="right", no_wrap=True)
    table.add_column("at its peak", f"{wording.rate(everything.peak[1])}/s", justify="right", no_wrap=True)
    table.add_column("arrivals", f"{everything.total:,.0f}", justify="right", no_wrap=True)
    for i, scenario in enumerate(plan.scenarios):
        table.add_row(
            Text(f" {_name(scenario)}{' (own curve)' if scenario.curve else ''}"),
            wording.percent(arrivals[i] / everything.total),
            f"{wording.rate(plan.scenario_profile(i).peak[1])}/s",
            f"{arrivals[i]:,.0f}",
        )
    return table


def _name(scenario: Scenario) -> str:
    return scenario.user.rpartition(":")[2]


def _settings(plan: Plan) -> list[tuple[str, str]]:
    at_peak = wording.rate(plan.arrivals_profile().peak[1])
    spacing = "evenly spaced" if plan.arrivals == "uniform" else f"random (Poisson, seed {plan.seed})"
    targets = [f"{host} (at most {wording.rate(rate)} requests/s)" for host, rate in plan.targets.items()]
    return [
        ("requests/s", f"{at_peak} at the peak if each arrival sends one; more if a scenario sends several"),
        ("arrivals", spacing),
        ("users", f"{plan.virtual_users:,} virtual users serve the arrivals"),
        ("patience", f"an arrival is dropped if no user is free within {plan.patience_s:g} s"),
        *(
            ("aborts", f"when this is missed for {plan.abort.after_s:g} s: {expr}")
            for expr in plan.abort.unless
        ),
        ("targets", ", ".join(["127.0.0.1", *targets])),
    ]


def _objectives(plan: Plan) -> Table:
    """The plan's, and those of every run whose place none of them takes."""
    table = Table(box=None, padding=(0, 1), header_style="dim")
    table.add_column(" objective", overflow="fold")
    table.add_column("set by", no_wrap=True, style="dim")
    for expr in plan.slos:
        table.add_row(Text(f" {expr}"), "the plan")
    try:
        own = [parse(expr) for expr in plan.slos]
    except SloError:  # `run` says what is wrong with it
        own = []
    for slo in implicit.with_implicit(own, [])[len(own) :]:
        table.add_row(Text(f" {slo.expr}"), "every run")
    return table
