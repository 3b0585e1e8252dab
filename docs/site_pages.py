"""Pages of the site that are drawn from the code while it is built, so that none can be out of date.

`mkdocs build` calls `on_files`; nothing of it is committed.
"""

import inspect
import re
from collections.abc import Iterator
from typing import Any

from mkdocs.structure.files import File, Files
from typer.main import get_command

from loadtest.cli.main import app
from loadtest.plan import plan_file
from loadtest.plan.plan_schema import PlanKey, plan_keys
from loadtest.plan.plan_tables import TABLES

PYTHON = {
    "For locustfiles": [
        "loadtest.drive.user.FastHttpUser",
        "loadtest.drive.serving.open_loop",
        "loadtest.feeders",
    ],
    "Plans and their curves": ["loadtest.plan.plan_file.Plan", "loadtest.plan.profile"],
    "What a run found out": ["loadtest.measure.run_result", "loadtest.measure.histogram.Histogram"],
    "Fakes for your own tests": ["loadtest.testing"],
    "Exit codes": ["loadtest.exit_codes"],
}


def on_files(files: Files, config: Any) -> Files:
    """Add the drawn pages to those that are written."""
    pages = {"plan-files": plan_files(), "commands": commands(), "python": python()}
    for name, text in pages.items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


def plan_files() -> str:
    """Every key of a plan file: its unit, its default, an example and what it means."""
    lines = [
        "# Plan files",
        "",
        'TOML, checked completely before any traffic. Durations are text, `"1m30s"`, or seconds.',
        "`singlesday schema plan` prints the JSON Schema that editors check it by.",
        "",
    ]
    for table, kind in TABLES.items():
        named = {"scenario": "[[scenario]]", "slo": "[[slo]]", "feeder": "[scenario.feeder]"}
        heading = f"`{named.get(table, f'[{table}]')}`" if table else "Top level"
        lines += [f"## {heading}", "", inspect.cleandoc(kind.__doc__ or ""), ""]
        lines += ["| key | unit | default | example | meaning |", "|---|---|---|---|---|"]
        lines += [_row(told) for told in plan_keys(table)]
        lines.append("")
    shipped = ", ".join(f"`{name}`" for name in plan_file.shipped_plans())
    return "\n".join([*lines, f"Shipped plans: {shipped}. `singlesday show NAME` draws one.", ""])


def _row(told: PlanKey) -> str:
    example = f"`{told.example}`" if told.example else ""
    return f"| `{told.name}` | {told.unit} | {told.default} | {example} | {_cell(told.meaning)} |"


def commands() -> str:
    """Every command of `singlesday`, with its flags."""
    group: Any = get_command(app)
    lines = ["# Commands", ""]
    for name, command in sorted(_each(group)):
        lines += [f"## `singlesday {name}`", "", _plain(command.help or ""), ""]
        options = [parameter for parameter in command.params if getattr(parameter, "help", None)]
        if options:
            lines += ["| flag | meaning |", "|---|---|"]
            lines += [f"| `{' '.join(option.opts)}` | {_cell(option.help)} |" for option in options]
            lines.append("")
    return "\n".join(lines)


def _each(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Every command by its name, those below `import` too."""
    for name, command in group.commands.items():
        yield f"{before}{name}", command
        if hasattr(command, "commands"):
            yield from _each(command, f"{before}{name} ")


def _plain(text: str) -> str:
    return re.sub(r"[ \t]*\n[ \t]*", "\n", text.replace("\b", "")).strip().replace("<", "&lt;")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def python() -> str:
    """The classes and functions that scripts use."""
    lines = ["# Python", ""]
    for heading, names in PYTHON.items():
        lines += [f"## {heading}", ""]
        lines += [f"::: {name}\n" for name in names]
    return "\n".join(lines)
