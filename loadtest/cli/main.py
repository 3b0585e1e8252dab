"""`singlesday`: the command line, one command a function, each a thin layer over a module of its own."""

import json
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import msgspec
import typer
from rich.console import Console
from rich.markup import escape

from loadtest.cli import flags
from loadtest.configuration.config_error import ConfigError
from loadtest.configuration.run_config import RunConfig
from loadtest.exit_codes import ExitCode
from loadtest.measure.run_result import RunResult
from loadtest.plan.overrides import duration_s
from loadtest.plan.plan_file import Plan, PlanError
from loadtest.publish.run_folder import RESULT, new_run_folder

if TYPE_CHECKING:
    from loadtest.fleet.checkpoint import Checkpoint

app = typer.Typer(
    help="Load tests for the biggest day of the year: open-loop, measured from intent, audited.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
shadow = typer.Typer(help="The shadow tables of the order service.", no_args_is_help=True)
app.add_typer(shadow, name="shadow")
console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)
BAD_INPUT = (ConfigError, PlanError)


def refuse(message: object) -> NoReturn:
    """End because of bad input, before any traffic."""
    errors.print(f"[bold red]error:[/] {escape(str(message))}", soft_wrap=True)
    raise typer.Exit(int(ExitCode.USAGE))


def _print_version(wanted: bool) -> None:
    """Print what this is, and end."""
    if not wanted:
        return
    from importlib.metadata import version  # noqa: PLC0415 - rarely asked for

    from loadtest.drive._core import CORE, WHY_PURE  # noqa: PLC0415 - gevent takes a second to import

    console.print(
        f"singlesday {version('singlesday')}, Python {platform.python_version()}, Locust {version('locust')}"
    )
    console.print(f"client core: {CORE}" + (f" ({WHY_PURE})" if WHY_PURE else ""), soft_wrap=True)
    raise typer.Exit


@app.callback()
def singlesday(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Say what this is.")
    ] = False,
) -> None:
    """Load tests for the biggest day of the year: open-loop, measured from intent, audited."""


@app.command()
@flags.takes(flags.RunFlags)
def run(context: typer.Context) -> None:
    """Drive a plan at the order service, or at --target, and judge it."""
    from loadtest.cli.asked import asked_run  # noqa: PLC0415 - gevent takes a second to import

    try:
        config = asked_run(context, context.params["plan"])
        name = "web" if config.web else config.plan.name
        config = _checked(config.but(folder=str(new_run_folder(Path(config.out), name))))
    except BAD_INPUT as error:
        refuse(error)
    raise typer.Exit(_play(config, errors if config.console == "json" else console))


@app.command()
def resume(
    run_folder: Annotated[
        Path, typer.Argument(help="The folder of a run that was killed or stopped.", metavar="RUN")
    ],
    store: Annotated[
        str | None, typer.Option(help="The store again, if its address holds a password.")
    ] = None,
    quiet: flags.Quiet = False,
    json_lines: flags.JsonLines = False,
    metrics_port: flags.MetricsPort = None,
) -> None:
    """Go on with a run where its last checkpoint ends, with its own plan, objectives and settings."""
    from loadtest.cli import resume as resuming  # noqa: PLC0415 - gevent takes a second to import

    mode = "quiet" if quiet else "json" if json_lines else "auto"
    try:
        with resuming.resumable(run_folder, store=store, console=mode, metrics_port=metrics_port) as run:
            config = _checked(run.config)
            out = errors if json_lines else console
            if not quiet:
                out.print(resuming.where_it_goes_on(run), style="dim")
            code = _play(config, out, run.checkpoint, run.lock)
    except (*BAD_INPUT, resuming.ResumeError) as error:
        refuse(error)
    raise typer.Exit(code)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
)
def serve(context: typer.Context) -> None:
    """Run the order service alone; takes the flags of `python -m target_service`."""
    os.execv(sys.executable, [sys.executable, "-m", "target_service", *context.args])  # noqa: S606


@app.command()
@flags.takes(flags.WatchFlags)
def watch(context: typer.Context) -> None:
    """Start the order service, the web UI and, if it is installed, Prometheus; say which addresses to open."""
    from loadtest.cli import watch as watching  # noqa: PLC0415 - gevent takes a second to import
    from loadtest.cli.asked import asked_run  # noqa: PLC0415
    from loadtest.cli.service import ServiceError  # noqa: PLC0415

    try:
        config = _checked(asked_run(context, "singles-day", web=True))
        watching.watch(config, context.params["prometheus_port"], console)
    except BAD_INPUT as error:
        refuse(error)
    except (watching.PartEndedError, ServiceError) as error:
        errors.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(int(ExitCode.INTERNAL_ERROR)) from error


@shadow.command("purge", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def purge(
    context: typer.Context,
    run_id: Annotated[str, typer.Argument(help="The run's id: `run.id` in its result.json.", metavar="RUN")],
) -> None:
    """Remove what a load test left in the order service's shadow tables; takes --store DSN."""
    command = [sys.executable, "-m", "target_service.purge", run_id, *context.args]
    os.execv(sys.executable, command)  # noqa: S606 - our own program


@app.command()
def show(
    plan: flags.PlanName = "singles-day",
    peak_tps: Annotated[float | None, typer.Option(help="Orders a second at the peak.")] = None,
    duration: flags.Duration = None,
    time_scale: flags.TimeScale = None,
    svg: Annotated[Path | None, typer.Option(help="Draw into this SVG file instead.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write t_s,planned_tps into this file instead.")] = None,
) -> None:
    """Draw the curve that a plan will play."""
    from loadtest.publish import curve  # noqa: PLC0415 - only this command draws

    try:
        chosen = Plan.load(plan).with_overrides(
            peak_tps=peak_tps, duration_s=duration_s(duration), time_scale=time_scale
        )
    except PlanError as error:
        refuse(error)
    profile = chosen.profile()
    if svg is None and csv is None:
        console.print(
            curve.as_text(chosen.name, profile, min(console.width, 120)), markup=False, soft_wrap=True
        )
    if svg is not None:
        _write(svg, curve.as_svg(chosen.name, profile))
    if csv is not None:
        _write(csv, curve.as_csv(profile))


@app.command()
def audit(
    run_folder: flags.RunFolder,
    store: Annotated[
        str | None, typer.Option(help="The service's database; default: orders.db in RUN.")
    ] = None,
) -> None:
    """Check a run's ledger against the service's database, and write its verdict and files anew."""
    from loadtest.cli.audit import print_audit, settle_folder  # noqa: PLC0415
    from loadtest.run_audit import IncompleteBooksError, audit_folder  # noqa: PLC0415
    from loadtest.stored_books import StoreError  # noqa: PLC0415

    result = _read_result(run_folder)
    try:
        books = audit_folder(run_folder, result, store or f"sqlite:///{run_folder / 'orders.db'}")
        settle_folder(run_folder, result, books)
    except IncompleteBooksError as error:
        refuse(f"not checked: {error}")
    except StoreError as error:
        refuse(error)
    except OSError as error:
        refuse(f"{error.filename or run_folder}: cannot be written ({error.strerror})")
    print_audit(books, console)
    console.print(f"verdict {result.verdict}, written to {run_folder}", soft_wrap=True, markup=False)
    raise typer.Exit(result.exit_code)


@app.command()
def report(run_folder: flags.RunFolder) -> None:
    """Settle the verdict in result.json, and draw report.html and the other files from it again."""
    from loadtest.cli.audit import settle_folder  # noqa: PLC0415
    from loadtest.publish.run_folder import REPORT  # noqa: PLC0415

    result = _read_result(run_folder)
    try:
        settle_folder(run_folder, result)
    except OSError as error:
        refuse(f"{error.filename or run_folder}: cannot be written ({error.strerror})")
    console.print(f"wrote {run_folder / REPORT}", soft_wrap=True)


@app.command()
def compare(
    base: Annotated[
        str,
        typer.Argument(
            help="What to compare with: a run folder, a result.json, a folder of run folders (the latest five are "
            "pooled), or REF:PATH of one in git.",
            metavar="BASE",
        ),
    ],
    heads: Annotated[list[str], typer.Argument(help="The runs to judge, named likewise.", metavar="HEAD…")],
    html: Annotated[Path | None, typer.Option(help="Also write a page with the comparisons.")] = None,
    save_baseline: Annotated[
        Path | None,
        typer.Option(
            help="Keep each HEAD that passed and is not worse in this folder. With the same folder as BASE, "
            "the first run ever is kept without a comparison.",
            metavar="DIR",
        ),
    ] = None,
) -> None:
    """Say what got worse since a baseline, telling change from noise.

    Exit code 10 if something did, 11 if there is too little data to tell.
    """
    from loadtest.cli import compare as comparing  # noqa: PLC0415 - what only this command needs
    from loadtest.cli.run_sources import SourceError  # noqa: PLC0415
    from loadtest.judge.compare import CompareError  # noqa: PLC0415

    try:
        code = comparing.compare_runs(comparing.CompareOptions(base, heads, html, save_baseline), console)
    except (SourceError, CompareError) as error:
        refuse(error)
    except OSError as error:
        refuse(f"{error.filename}: cannot be written ({error.strerror})")
    raise typer.Exit(int(code))


@app.command()
@flags.takes(flags.CapacityFlags)
def capacity(context: typer.Context) -> None:
    """Find the highest rate that is sustained; from measurements at several sizes, the machines for a higher one."""
    from loadtest.cli import capacity as finding  # noqa: PLC0415 - gevent takes a second to import
    from loadtest.cli.asked import asked_run  # noqa: PLC0415
    from loadtest.cli.run_session import RunError  # noqa: PLC0415
    from loadtest.cli.service import ServiceError  # noqa: PLC0415

    asked = context.params
    for_tps = asked["for_tps"]
    if asked["measured"]:
        finding.print_bill(finding.fitted(asked["measured"], refuse), for_tps, console)
        return
    try:
        config = _checked(asked_run(context, finding.PLAN, peak_tps=None, quiet=True).but(auto_peak=False))
        found = finding.search(config, asked["start_tps"], asked["tolerance"], console)
    except BAD_INPUT as error:
        refuse(error)
    except (finding.CapacityError, RunError, ServiceError) as error:
        errors.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(int(ExitCode.INTERNAL_ERROR)) from error
    finding.print_capacity(found, console)
    if found.sustained_tps:
        share = for_tps / found.sustained_tps
        console.print(f"{for_tps:,.0f} TPS is {share:,.0f} times that; --measured fits how machines add up")


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
)
def bench(context: typer.Context) -> None:
    """Run one of the benchmarks by its name; without a name, list them. Needs a checkout of the project."""
    from loadtest.cli import bench as benches  # noqa: PLC0415 - what only this command needs

    name, *arguments = context.args or [""]
    try:
        command = benches.command_of(name, arguments)
    except benches.BenchError as error:
        refuse(error)
    os.execv(command[0], command)  # noqa: S606 - our own program


@app.command()
def schema(of: flags.SchemaOf = flags.Schemas.RESULT) -> None:
    """Print the JSON Schema of result.json, or with `plan` that of plan files, for editors."""
    from loadtest.plan.plan_schema import plan_schema  # noqa: PLC0415
    from loadtest.publish.schema import result_schema  # noqa: PLC0415

    wanted = plan_schema if of is flags.Schemas.PLAN else result_schema
    typer.echo(json.dumps(wanted(), indent=1))


@app.command()
def init(
    folder: Annotated[
        Path, typer.Argument(help="Where to; made if it is not there.", metavar="DIR")
    ] = Path(),
) -> None:
    """Write a commented plan, a script, a CI file and a compose file to begin with; they run at once."""
    from loadtest.cli import init as beginning  # noqa: PLC0415 - what only this command needs

    try:
        written = beginning.write_starter(folder)
    except beginning.InitError as error:
        refuse(error)
    beginning.print_written(folder, written, console)


def _checked(config: RunConfig) -> RunConfig:
    """What was asked for, if it can be done. Raises one of `BAD_INPUT`."""
    from loadtest.configuration.check import check, check_port_free  # noqa: PLC0415 - gevent takes a second to import
    from loadtest.configuration.inspection import inspect_apart  # noqa: PLC0415

    if config.web:
        check_port_free(config.web_port, "--web-port")
    return check(config, inspect_apart)


def _play(
    config: RunConfig, out: Console, resumed: "Checkpoint | None" = None, lock: int | None = None
) -> int:
    """Run, and say in a sentence why there is no verdict if there is none."""
    from loadtest.cli import run as runner  # noqa: PLC0415 - gevent takes a second to import
    from loadtest.cli.run_session import RunError  # noqa: PLC0415
    from loadtest.cli.service import ServiceError  # noqa: PLC0415
    from loadtest.stored_books import StoreError  # noqa: PLC0415

    try:
        return int(runner.run(config, out, resumed, lock))
    except (RunError, ServiceError, StoreError) as error:
        errors.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(int(ExitCode.INTERNAL_ERROR)) from error


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        refuse(f"{path}: cannot be written ({error.strerror})")
    console.print(f"wrote {path}", soft_wrap=True)


def _read_result(run_folder: Path) -> RunResult:
    path = run_folder / RESULT
    try:
        return RunResult.read(path)
    except OSError as error:
        refuse(f"{path}: expected the result of a run ({error.strerror})")
    except msgspec.MsgspecError as error:
        refuse(f"{path}: expected the result of a run: {error}")


def main() -> None:
    """Run a command; an error of ours that nobody expected ends with exit code 1 and its traceback."""
    app()


if __name__ == "__main__":
    main()
