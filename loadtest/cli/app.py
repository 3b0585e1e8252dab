"""What every command of `singlesday` uses: the application, its consoles, and how it ends on an error."""

from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup

from loadtest.cli.flags import FLEET
from loadtest.configuration.config_error import ConfigError
from loadtest.exit_codes import ExitCode
from loadtest.plan.plan_file import PlanError
from loadtest.publish.paragraph import print_paragraph

ABOUT = "Load tests for the biggest day of the year: requests follow a schedule, and each run ends with a verdict."
RUNS, RESULTS, PLANS, SERVICE, PROJECT = "Runs", "Results", "Plans", "Order service", "This project"
PANELS = (RUNS, FLEET, RESULTS, PLANS, SERVICE, PROJECT)
"""The groups of commands in `--help`, in their order."""


class Panels(TyperGroup):
    """Lists commands by panel, whichever module was imported first."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of the commands, by panel; within a panel in the order of their declaration."""
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
shadow = typer.Typer(help="Remove load-test data from the order service's database.", no_args_is_help=True)
app.add_typer(shadow, name="shadow", rich_help_panel=SERVICE)
console = Console(highlight=False, emoji=False)
errors = Console(stderr=True, highlight=False, emoji=False)
BAD_INPUT = (ConfigError, PlanError)


def refuse(message: object) -> NoReturn:
    """Print an error about bad input, and exit with code 2."""
    _end(message, ExitCode.USAGE)


def give_up(error: Exception) -> NoReturn:
    """Print an error that is not about the input, and exit with the code of its kind: 1 unless it has another."""
    _end(error, getattr(error, "code", ExitCode.INTERNAL_ERROR))


def _end(message: object, code: ExitCode) -> NoReturn:
    print_paragraph(errors, Text.assemble(("error:", "bold red"), f" {message}"), hang=2)
    raise typer.Exit(int(code))
