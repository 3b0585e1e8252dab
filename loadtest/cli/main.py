"""`singlesday`: the command line, one command a function, each a thin layer over a module of its own.

Here stand those that play something; `other_machines`, `plans` and `results` have the others.
"""

import os
import platform
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from loadtest.cli import flags, importing, other_machines, plans, results
from loadtest.cli.app import (
    BAD_INPUT,
    PLANS,
    PROJECT,
    RUNS,
    SERVICE,
    app,
    console,
    errors,
    give_up,
    refuse,
    shadow,
)
from loadtest.cli.bench import HelpWithBenchmarks
from loadtest.cli.place import listening_place
from loadtest.configuration.run_config import RunConfig
from loadtest.place import Place
from loadtest.plan.overrides import duration_s, number_above_0
from loadtest.plan.plan_error import suggestion
from loadtest.plan.plan_file import Plan, PlanError, shipped_drills
from loadtest.publish.run_folder import new_run_folder
from loadtest.release import release

if TYPE_CHECKING:
    from loadtest.fleet.checkpoint import Checkpoint

app.add_typer(importing.app, name=importing.NAME, rich_help_panel=PLANS)
__all__ = ["app", "main", "other_machines", "plans", "results"]


def _print_version(wanted: bool) -> None:
    """Print what this is, and end."""
    if not wanted:
        return
    from importlib.metadata import version  # noqa: PLC0415 - rarely asked for

    from loadtest.drive._core import CORE, WHY_PURE  # noqa: PLC0415 - gevent takes a second to import

    console.print(f"singlesday {release()}, Python {platform.python_version()}, Locust {version('locust')}")
    console.print(f"client core: {CORE}" + (f" ({WHY_PURE})" if WHY_PURE else ""), soft_wrap=True)
    raise typer.Exit


@app.callback()
def singlesday(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Load tests for the biggest day of the year."""


@app.command(
    rich_help_panel=RUNS,
    epilog=flags.example(
        'singlesday run smoke --target http://127.0.0.1:8080 --slo "p99(POST /orders) < 250ms"'
    ),
)
@flags.takes(flags.RunFlags)
def run(context: typer.Context) -> None:
    """Play a plan against the order service, or against --target, and give a verdict."""
    from loadtest.cli.asked import asked_run  # noqa: PLC0415 - gevent takes a second to import

    _take_token(context.params["token_file"])
    try:
        config = asked_run(context, context.params["plan"])
        name = "web" if config.web else config.plan.name
        config = _checked(config.but(folder=str(new_run_folder(Path(config.out), name))))
    except BAD_INPUT as error:
        refuse(error)
    raise typer.Exit(_play(config, errors if config.console == "json" else console))


@app.command(rich_help_panel=RUNS, epilog=flags.example("singlesday resume runs/20261111T155950Z-soak"))
def resume(
    run_folder: flags.ToResume,
    store: Annotated[
        str | None,
        typer.Option(
            help="The run's database; needed only if its address has a password, which is not saved.",
            metavar="DSN",
        ),
    ] = None,
    quiet: flags.Quiet = False,
    json_lines: flags.JsonLines = False,
    metrics_port: flags.MetricsPort = None,
    remote_write: flags.RemoteWrite = None,
    token_file: flags.TokenFile = None,
) -> None:
    """Continue a run that was killed or stopped, from its last checkpoint."""
    from loadtest.cli import resume as resuming  # noqa: PLC0415 - gevent takes a second to import

    _take_token(token_file)
    mode = "quiet" if quiet else "json" if json_lines else "auto"
    try:
        with resuming.resumable(
            run_folder, store=store, console=mode, metrics_port=metrics_port, remote_write=remote_write
        ) as run:
            config = _checked(run.config)
            out = errors if json_lines else console
            if not quiet:
                out.print(resuming.where_it_goes_on(run), style="dim")
            code = _play(config, out, run.checkpoint, run.lock)
    except (*BAD_INPUT, resuming.ResumeError) as error:
        refuse(error)
    raise typer.Exit(code)


@app.command(
    rich_help_panel=SERVICE,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)
def serve(context: typer.Context) -> None:
    """Start the order service alone; `singlesday serve --help` lists its options."""
    os.execv(sys.executable, [sys.executable, "-m", "target_service", *context.args])  # noqa: S606


@app.command(rich_help_panel=RUNS, epilog=flags.example("singlesday watch --workers 2"))
@flags.takes(flags.WatchFlags)
def watch(context: typer.Context) -> None:
    """Start the order service, the web UI and, if it is installed, Prometheus, and print their addresses."""
    from loadtest.cli import watch as watching  # noqa: PLC0415 - gevent takes a second to import
    from loadtest.cli.asked import asked_run  # noqa: PLC0415
    from loadtest.cli.service import ServiceError  # noqa: PLC0415

    try:
        config = _checked(asked_run(context, "singles-day", web=True))
        watching.watch(config, context.params["prometheus_port"], console)
    except BAD_INPUT as error:
        refuse(error)
    except (watching.ProcessEndedError, ServiceError) as error:
        give_up(error)


@shadow.command(
    "purge",
    epilog=flags.example("singlesday shadow purge 20261111T155950Z-smoke --store sqlite:///orders.db"),
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def purge(
    context: typer.Context,
    run_id: Annotated[str, typer.Argument(help="The run's id: `run.id` in its result.json.", metavar="RUN")],
) -> None:
    """Remove what a run left in the order service's tables for load tests; --store DSN names the database."""
    command = [sys.executable, "-m", "target_service.purge", run_id, *context.args]
    os.execv(sys.executable, command)  # noqa: S606 - our own program


@app.command(
    rich_help_panel=RUNS,
    epilog=flags.example(
        'singlesday capacity --target http://127.0.0.1:8080 --slo "p99(POST /orders) < 100ms"'
    ),
)
@flags.takes(flags.CapacityFlags)
def capacity(context: typer.Context) -> None:
    """Find the highest rate at which all objectives are met, or how many machines a higher rate needs.

    Tries one rate after another at the order service or --target, and draws them in capacity.html.
    """
    from loadtest.cli import capacity as finding  # noqa: PLC0415 - gevent takes a second to import
    from loadtest.cli.asked import asked_run  # noqa: PLC0415
    from loadtest.cli.run_session import RunError  # noqa: PLC0415
    from loadtest.cli.service import ServiceError  # noqa: PLC0415

    asked = context.params
    try:
        if asked["measured"]:
            finding.print_bill(finding.bill_of(asked["measured"], asked["for_tps"]), console)
            return
        config, settings = finding.asked_search(
            asked_run(context, asked["plan"], **finding.NOT_OF_A_RUN), asked
        )
        found = finding.search(_checked(config), settings, errors if asked["json_lines"] else console)
    except BAD_INPUT as error:
        refuse(error)
    except (RunError, ServiceError) as error:
        give_up(error)
    raise typer.Exit(int(found))


@app.command(
    rich_help_panel=RUNS,
    epilog=flags.example(
        "singlesday simulate singles-day --peak-tps 583000 --replicas 60 --from runs/FOLDER"
    ),
)
@flags.takes(flags.SimulateFlags)
def simulate(context: typer.Context) -> None:
    """Predict how more replicas would take a plan, from measurements of one. Sends nothing."""
    from loadtest.cli import simulate as simulating  # noqa: PLC0415 - what only this command needs

    asked = context.params
    try:
        if asked["bill"]:
            simulating.print_bill(asked["for_tps"], asked["inputs"], asked["json_lines"], console)
            return
        plan = Plan.load(asked["plan"]).with_overrides(
            peak_tps=number_above_0(asked["peak_tps"], "--peak-tps"),
            duration_s=duration_s(asked["duration"]),
            time_scale=number_above_0(asked["time_scale"], "--time-scale"),
            seed=asked["seed"],
        )
        given = {each.name: asked[each.name] for each in fields(simulating.Asked)}
        wanted = simulating.Asked(**given | {"plan": plan, "replicas": asked["replicas"] or [1]})
        simulating.simulate_plan(wanted, errors if asked["json_lines"] else console)
    except (PlanError, simulating.SimulationError) as error:
        refuse(error)
    except OSError as error:
        refuse(f"{error.filename}: cannot be written ({error.strerror})")


@app.command(rich_help_panel=RUNS, epilog=flags.example("singlesday drill worker-kill network-cut"))
@flags.takes(flags.DrillFlags)
def drill(context: typer.Context) -> None:
    """Break something on purpose, and judge how well the order service recovers.

    Each drill is a run of about 20 s: a worker is killed, the network is cut and so on. Without a name, runs all.
    """
    from loadtest.cli import drill as drilling  # noqa: PLC0415 - gevent takes a second to import
    from loadtest.cli.asked import asked_run  # noqa: PLC0415
    from loadtest.cli.run_session import RunError  # noqa: PLC0415
    from loadtest.cli.service import ServiceError  # noqa: PLC0415
    from loadtest.stored_orders import StoreError  # noqa: PLC0415

    asked, shipped = context.params, shipped_drills()
    if asked["listed"]:
        drilling.print_list(console)
        return
    for name in asked["names"] or ():
        if name not in shipped:
            refuse(f'unknown drill "{name}"{suggestion(name, shipped)}; expected one of {", ".join(shipped)}')
    try:
        configs = [
            _checked(asked_run(context, str(shipped[name]), quiet=True)) for name in asked["names"] or shipped
        ]
        code = drilling.play(configs, console)
    except BAD_INPUT as error:
        refuse(error)
    except (RunError, ServiceError, StoreError) as error:
        give_up(error)
    raise typer.Exit(code)


@app.command(
    cls=HelpWithBenchmarks,
    rich_help_panel=PROJECT,
    epilog=flags.example("singlesday bench client --rounds 3"),
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
    },
)
def bench(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(help="Which benchmark; its own options follow.", metavar="NAME")
    ] = "",
) -> None:
    """Run a benchmark; without a name, list them. Needs a checkout of the project."""
    from loadtest.cli import bench as benches  # noqa: PLC0415 - what only this command needs

    if not name:
        typer.echo(benches.listed(), nl=False)
        return
    try:
        command = benches.command_of(name, context.args)
    except benches.BenchError as error:
        refuse(error)
    if {"--help", "-h"} & set(context.args) and (said := benches.help_without_flags(name)):
        typer.echo(said)
        return
    os.execv(command[0], command)  # noqa: S606 - our own program


def _take_token(path: Path | None) -> None:
    """Put the token from a file into the environment of the processes that are started, or check the one there."""
    from loadtest.environment import TOKEN_VARIABLE  # noqa: PLC0415 - rarely needed
    from loadtest.fleet.token import TokenError, read_token, token_in  # noqa: PLC0415

    try:
        if path is not None:
            os.environ[TOKEN_VARIABLE] = read_token(path)
        token_in(os.environ)
    except TokenError as error:
        refuse(error)


def _checked(config: RunConfig) -> RunConfig:
    """Check a configuration, and return it completed. Raises one of `BAD_INPUT`."""
    from loadtest.configuration.auditor import check_class, with_plans_auditor  # noqa: PLC0415
    from loadtest.configuration.check import check, check_port_free  # noqa: PLC0415 - gevent takes a second to import
    from loadtest.configuration.inspection import inspect_apart  # noqa: PLC0415

    if config.web:
        check_port_free(config.web_port, "--web-port")
    if config.workers_elsewhere:
        config = config.but(bind=listening_place(Place(config.bind, config.control_port), "--bind").host)
    checked = check(config, inspect_apart)
    # Each form of the web UI has a plan of its own, with its auditor; the first one is checked here too.
    check_class(with_plans_auditor(checked) if config.web else checked)
    return checked


def _play(
    config: RunConfig, out: Console, resumed: "Checkpoint | None" = None, lock: int | None = None
) -> int:
    """Run a plan and return the exit code; end with code 1 and a sentence where there is no verdict."""
    from loadtest.cli import run as runner  # noqa: PLC0415 - gevent takes a second to import
    from loadtest.cli.run_session import RunError  # noqa: PLC0415
    from loadtest.cli.service import ServiceError  # noqa: PLC0415
    from loadtest.stored_orders import StoreError  # noqa: PLC0415

    try:
        return int(runner.run(config, out, resumed, lock))
    except (RunError, ServiceError, StoreError) as error:
        give_up(error)


def main() -> None:
    """Run a command; an unexpected error ends with exit code 1 and its traceback."""
    app()


if __name__ == "__main__":
    main()
