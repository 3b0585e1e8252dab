"""What every command of `singlesday` has: the application, where it speaks, and how it refuses."""

from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

from loadtest.cli.flags import FLEET
from loadtest.configuration.config_error import ConfigError
from loadtest.exit_codes import ExitCode
from loadtest.plan.plan_file import PlanError

ABOUT = (
    "Load tests for the biggest day of the year: requests keep to a schedule, and a verdict ends each run."
)
RUNS, RESULTS, PLANS, SERVICE, PROJECT = "Runs", "Results", "Plans", "Order service", "This project"
PANELS = (RUNS, FLEET, RESULTS, PLANS, SERVICE, PROJECT)
"""The groups of commands that `--help` shows, in this order."""


class Panels(TyperGroup):
    """Lists commands by their panel, whichever module was imported first."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names, those of a panel in the order in which they were declared."""
        return sorted(
            super().list_commands(ctx),
            key=lambda name: PANELS.index(getattr(self.commands[name], "rich_help_panel", None) or PROJECT),
        )


app = typer.Typer(
    cls=Panels,
    help=ABOUT,
    epilog="Begin with: singlesday run smoke",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
shadow = typer.Typer(help="The order service's tables for load tests.", no_args_is_help=True)
app.add_typer(shadow, name="shadow", rich_help_panel=SERVICE)
console = Console(highlight=False, emoji=False)
errors = Console(stderr=True, highlight=False, emoji=False)
BAD_INPUT = (ConfigError, PlanError)


def refuse(message: object) -> NoReturn:
    """End because of bad input, before any traffic."""
    _end(message, ExitCode.USAGE)


def give_up(error: Exception) -> NoReturn:
    """End because what was asked for could not be done, with the code of the error's kind."""
    _end(error, getattr(error, "code", ExitCode.INTERNAL_ERROR))


def _end(message: object, code: ExitCode) -> NoReturn:
    errors.print(f"[bold red]error:[/] {escape(str(message))}", soft_wrap=True)
    raise typer.Exit(int(code))
