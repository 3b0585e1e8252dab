"""`singlesday`: the command line, one command a function, each a thin layer over a module of its own."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import msgspec
import typer
from rich.console import Console
from rich.markup import escape

from loadtest.cli import flags
from loadtest.exit_codes import ExitCode
from loadtest.measure.run_result import RunResult
from loadtest.plan.overrides import PlanOverrides, above_0_s, duration_s, number_above_0
from loadtest.plan.plan_file import Plan, PlanError, shipped_plans
from loadtest.publish.run_folder import RESULT, new_run_folder

if TYPE_CHECKING:
    from loadtest.cli.run_session import RunOptions

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
AUTO = "auto"


def refuse(message: object) -> NoReturn:
    """End because of bad input, before any traffic."""
    errors.print(f"[bold red]error:[/] {escape(str(message))}", soft_wrap=True)
    raise typer.Exit(int(ExitCode.USAGE))


@app.command()
def run(
    plan: flags.PlanName = "singles-day",
    peak_tps: Annotated[
        str | None,
        typer.Option(
            help="Orders a second at the peak; auto: two fifths of what this machine can do. "
            "Default: auto if a shipped plan drives the service started here, else the plan's own."
        ),
    ] = None,
    duration: flags.Duration = None,
    time_scale: flags.TimeScale = None,
    workers: flags.Workers = None,
    service_workers: flags.ServiceWorkers = 1,
    store: Annotated[str | None, typer.Option(help="Where the order service keeps its books.")] = None,
    target: flags.Targets = None,
    slo: flags.Slos = None,
    out: flags.Out = Path("runs"),
    seed: Annotated[int | None, typer.Option(help="Seed of whatever is random.")] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A host beyond loopback that may be loaded.")
    ] = None,
    quiet: flags.Quiet = False,
    json_lines: flags.JsonLines = False,
    web: Annotated[bool, typer.Option("--web", help="Serve the Locust web UI instead of starting.")] = False,
    web_port: flags.WebPort = 8089,
    metrics_port: flags.MetricsPort = None,
    trace_fraction: flags.TraceFraction = None,
    remote_write: flags.RemoteWrite = None,
    service_metrics: Annotated[
        str | None, typer.Option(help="A --target's own Prometheus page, to sample its memory.")
    ] = None,
    csv: Annotated[
        bool, typer.Option("--csv", help="Leave Locust's own CSV files in the run folder.")
    ] = False,
    checkpoint: Annotated[
        str, typer.Option(help="How often to save the run, so that it can be resumed if it is killed.")
    ] = "60s",
) -> None:
    """Drive a plan at the order service, or at --target, and judge it."""
    from loadtest.cli.checks import BAD_INPUT, check_run  # noqa: PLC0415 - gevent and Locust take a second to import
    from loadtest.cli.run import plan_flags  # noqa: PLC0415
    from loadtest.cli.run_session import RunOptions  # noqa: PLC0415

    try:
        overrides: PlanOverrides = {
            "peak_tps": _peak(peak_tps),
            "time_scale": time_scale,
            "seed": seed,
            "trace_fraction": trace_fraction,
        }
        checked = Plan.load(plan).with_overrides(duration_s=duration_s(duration), **overrides)
        options = RunOptions(
            plan=checked,
            plan_flags=plan_flags(plan, duration=duration, **overrides),
            # Unasked, neither a plan of somebody's own is resized nor an address of somebody's own probed.
            auto_peak=peak_tps == AUTO or (peak_tps is None and plan in shipped_plans() and not target),
            workers=workers or default_workers(),
            service_workers=service_workers,
            store=store,
            targets=target or [],
            slos=slo or [],
            allow_hosts=allow_host or [],
            folder=new_run_folder(out, "web" if web else checked.name),
            console="quiet" if quiet else "json" if json_lines else "auto",
            web=web,
            web_port=web_port,
            metrics_port=metrics_port,
            remote_write=remote_write,
            service_metrics=service_metrics,
            csv=csv,
            checkpoint_s=above_0_s(checkpoint, "--checkpoint"),
        )
        check_run(options)
    except BAD_INPUT as error:
        refuse(error)
    raise typer.Exit(_play(options, errors if json_lines else console))


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
    from loadtest.cli import resume as resuming  # noqa: PLC0415 - gevent and Locust take a second to import
    from loadtest.cli.checks import BAD_INPUT, check_run  # noqa: PLC0415

    mode = "quiet" if quiet else "json" if json_lines else "auto"
    try:
        with resuming.resumable(run_folder, store=store, console=mode, metrics_port=metrics_port) as options:
            check_run(options)
            out = errors if json_lines else console
            if not quiet:
                out.print(resuming.where_it_goes_on(options), style="dim")
            code = _play(options, out)
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
def watch(
    workers: flags.Workers = None,
    service_workers: flags.ServiceWorkers = 1,
    web_port: flags.WebPort = 8089,
    prometheus_port: Annotated[int, typer.Option(help="Port of Prometheus.")] = 9090,
    out: flags.Out = Path("runs"),
) -> None:
    """Start the order service, the web UI and, if it is installed, Prometheus; say which addresses to open."""
    from loadtest.cli import watch as watching  # noqa: PLC0415 - gevent and Locust take a second to import
    from loadtest.cli.checks import BadFlagError  # noqa: PLC0415
    from loadtest.cli.service import ServiceError  # noqa: PLC0415

    options = watching.WatchOptions(
        workers or default_workers(), service_workers, web_port, prometheus_port, out
    )
    try:
        watching.watch(options, console)
    except BadFlagError as error:
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
def capacity(
    start_tps: Annotated[float, typer.Option(min=1, help="The first rate to try.")] = 500,
    duration: Annotated[str, typer.Option(help="How long each rate is held.")] = "10s",
    tolerance: Annotated[float, typer.Option(help="How close to the limit to come, as a share.")] = 0.1,
    slo: flags.Slos = None,
    target: flags.Targets = None,
    workers: flags.Workers = None,
    service_workers: flags.ServiceWorkers = 1,
    out: flags.Out = Path("runs"),
    measured: Annotated[
        list[str] | None, typer.Option(help="MACHINES=TPS found elsewhere; searches nothing, fits these.")
    ] = None,
    for_tps: Annotated[
        float, typer.Option("--for", min=1, help="The rate to find the machines for.")
    ] = 583_000,
) -> None:
    """Find the highest rate that is sustained; from measurements at several sizes, the machines for a higher one."""
    from loadtest.cli import capacity as finding  # noqa: PLC0415 - gevent and Locust take a second to import
    from loadtest.cli.checks import BAD_INPUT, check_run  # noqa: PLC0415
    from loadtest.cli.run_session import RunError, RunOptions  # noqa: PLC0415
    from loadtest.cli.service import ServiceError  # noqa: PLC0415

    if measured:
        finding.print_bill(finding.fitted(measured, refuse), for_tps, console)
        return
    try:
        options = RunOptions(
            plan=Plan.load(finding.PLAN).with_overrides(duration_s=duration_s(duration)),
            plan_flags=[],
            workers=workers or default_workers(),
            service_workers=service_workers,
            targets=target or [],
            slos=slo or [],
            folder=out,
            console="quiet",
        )
        check_run(options)
        found = finding.search(options, out, start_tps, tolerance, console)
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
def schema() -> None:
    """Print the JSON Schema of result.json."""
    from loadtest.publish.schema import result_schema  # noqa: PLC0415

    typer.echo(json.dumps(result_schema(), indent=1))


def _play(options: "RunOptions", out: Console) -> int:
    """Run, and say in a sentence why there is no verdict if there is none."""
    from loadtest.cli import run as runner  # noqa: PLC0415 - gevent and Locust take a second to import
    from loadtest.cli.run_session import RunError  # noqa: PLC0415
    from loadtest.cli.service import ServiceError  # noqa: PLC0415
    from loadtest.stored_books import StoreError  # noqa: PLC0415

    try:
        return int(runner.run(options, out))
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


def default_workers() -> int:
    """One generator for every two cores: the service needs the others."""
    return max(1, (os.cpu_count() or 1) // 2)


def _peak(text: str | None) -> float | None:
    if text is None or text == AUTO:
        return None
    return number_above_0(text, "--peak-tps", "a number above 0, or auto")


def main() -> None:
    """Run a command; an error of ours that nobody expected ends with exit code 1 and its traceback."""
    app()


if __name__ == "__main__":
    main()
