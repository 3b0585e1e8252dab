"""The commands about plans, which send nothing: `show`, `schema` and `init`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from loadtest.cli import flags
from loadtest.cli.app import PLANS, app, console, refuse
from loadtest.plan.overrides import duration_s, number_above_0
from loadtest.plan.plan_file import Plan, PlanError


@app.command(rich_help_panel=PLANS, epilog=flags.example("singlesday show singles-day --peak-tps 5000"))
def show(
    plan: flags.PlanName = "singles-day",
    peak_tps: Annotated[float | None, typer.Option(help="Orders a second at the peak.", metavar="N")] = None,
    duration: flags.Duration = None,
    time_scale: flags.TimeScale = None,
    svg: Annotated[
        Path | None, typer.Option(help="Write the curve into this SVG file instead.", metavar="FILE")
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(help="Write the curve into this CSV file instead: t_s,planned_tps.", metavar="FILE"),
    ] = None,
) -> None:
    """Show what a plan will play: its curve, its scenarios and its objectives. Sends nothing."""
    from loadtest.cli.show import print_plan, write_plan  # noqa: PLC0415 - only this command draws

    try:
        chosen = Plan.load(plan).with_overrides(
            peak_tps=number_above_0(peak_tps, "--peak-tps"),
            duration_s=duration_s(duration),
            time_scale=number_above_0(time_scale, "--time-scale"),
        )
        written = write_plan(chosen, svg, csv)
    except PlanError as error:
        refuse(error)
    except OSError as error:
        refuse(f"{error.filename}: cannot be written ({error.strerror})")
    for path in written:
        console.print(f"wrote {path}", soft_wrap=True, markup=False)
    if not written:
        print_plan(chosen, console)


@app.command(rich_help_panel=PLANS, epilog=flags.example("singlesday schema plan > plan.schema.json"))
def schema(of: flags.SchemaOf = flags.Schemas.RESULT) -> None:
    """Print the JSON Schema of result.json or, with `plan`, of plan files, for editors and validators."""
    from loadtest.plan.plan_schema import plan_schema  # noqa: PLC0415
    from loadtest.publish.schema import result_schema  # noqa: PLC0415

    wanted = plan_schema if of is flags.Schemas.PLAN else result_schema
    typer.echo(json.dumps(wanted(), indent=1))


@app.command(rich_help_panel=PLANS, epilog=flags.example("singlesday init my-load-test"))
def init(
    folder: Annotated[
        Path, typer.Argument(help="Folder to write into; created if missing.", metavar="DIR")
    ] = Path(),
) -> None:
    """Write a first plan, script, CI file and compose file, with comments, ready to run."""
    from loadtest.cli import init as beginning  # noqa: PLC0415 - what only this command needs

    try:
        written = beginning.write_starter(folder)
    except beginning.InitError as error:
        refuse(error)
    beginning.print_written(folder, written, console)
