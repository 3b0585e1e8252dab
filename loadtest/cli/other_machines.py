"""The commands for machines other than the master's: `worker` and `relay`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from loadtest.cli import flags
from loadtest.cli.app import BAD_INPUT, app, errors, refuse
from loadtest.cli.cores import usable_cores


@app.command(
    rich_help_panel=flags.FLEET,
    epilog=flags.example("singlesday worker --master 10.0.0.1:5557 --token-file token --workers 4"),
)
def worker(
    master: Annotated[
        str,
        flags.option(flags.FLEET, "HOST:PORT", "Address of the master: the --bind of its `singlesday run`."),
    ],
    token_file: flags.TokenFile = None,
    workers: Annotated[
        int | None,
        flags.option(flags.LOAD, "N", "Processes that send requests. Default: one for every core.", min=1),
    ] = None,
    wait: Annotated[
        str,
        flags.option(
            flags.FLEET,
            "TIME",
            "How long to wait for the master, at first and whenever it is gone: a killed run may be resumed.",
        ),
    ] = "5m",
    out: flags.Out = Path("runs"),
) -> None:
    """Send requests for a `singlesday run` on another machine, which sends plan, scripts and data."""
    from loadtest.cli import worker as working  # noqa: PLC0415 - what only this command needs
    from loadtest.fleet.joining import JoiningError  # noqa: PLC0415
    from loadtest.fleet.token import TokenError  # noqa: PLC0415
    from loadtest.plan.overrides import above_0_s  # noqa: PLC0415

    try:
        met = working.master_of(master, token_file, os.environ)
        code = working.work(met, workers or usable_cores(), out, above_0_s(wait, "--wait"), errors)
    except (*BAD_INPUT, TokenError, JoiningError) as error:
        refuse(error)
    except OSError as error:
        refuse(f"{error.filename}: cannot be written ({error.strerror})")
    raise typer.Exit(int(code))


@app.command(
    rich_help_panel=flags.FLEET,
    epilog=flags.example(
        "singlesday relay --master 10.0.0.1:5557 --bind 10.0.1.1:5557 --token-file token",
    ),
)
def relay(
    master: Annotated[
        str,
        flags.option(flags.FLEET, "HOST:PORT", "Address of the master: the --bind of its `singlesday run`."),
    ],
    bind: Annotated[
        str,
        flags.option(
            flags.FLEET,
            "HOST:PORT",
            "Address and port of this machine that workers connect to, as their --master.",
        ),
    ],
    token_file: flags.TokenFile = None,
    wait: Annotated[str, flags.option(flags.FLEET, "TIME", "How long to wait for the master.")] = "5m",
) -> None:
    """Gather what some workers report to their master, so that a run can have more than a thousand workers."""
    from loadtest.cli import relay as relaying  # noqa: PLC0415 - what only this command needs
    from loadtest.cli import worker as working  # noqa: PLC0415
    from loadtest.fleet.joining import JoiningError  # noqa: PLC0415
    from loadtest.fleet.token import TokenError  # noqa: PLC0415
    from loadtest.plan.overrides import above_0_s  # noqa: PLC0415

    try:
        met = working.master_of(master, token_file, os.environ)
        code = relaying.serve(met, bind, above_0_s(wait, "--wait"), errors)
    except (*BAD_INPUT, TokenError, JoiningError) as error:
        refuse(error)
    raise typer.Exit(int(code))
