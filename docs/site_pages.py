"""Pages of the site that are drawn from the code while it is built, so that none can be out of date.

`mkdocs build` calls `on_files`; nothing of it is committed.
"""

import ast
import inspect
import re
from collections.abc import Iterator
from typing import Any

from mkdocs.structure.files import File, Files
from msgspec import NODEFAULT, Struct
from typer.main import get_command

from loadtest.cli.main import app
from loadtest.plan import curve, plan_file

TABLES: dict[str, tuple[str, type[Struct]]] = {
    "": ("The plan itself", plan_file._PlanTable),
    "profile": ("The shape of its traffic", curve.ProfileTable),
    "scenario": ("What the arrivals do; once for each", plan_file.Scenario),
    "slo": ("What has to hold; once for each", plan_file._SloTable),
    "abort": ("When to stop a run that has gone wrong", plan_file._AbortTable),
}
PYTHON = {
    "For locustfiles": ["loadtest.drive.user.FastHttpUser", "loadtest.drive.serving.open_loop"],
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
    """Every key of a plan file, with its default."""
    lines = [
        "# Plan files",
        "",
        'TOML, checked completely before any traffic. Durations are text, `"30s"`, or seconds.',
        "",
    ]
    for table, (what, kind) in TABLES.items():
        heading = (
            f"`[[{table}]]`" if table in {"scenario", "slo"} else f"`[{table}]`" if table else "Top level"
        )
        lines += [f"## {heading}", "", f"{what}.", "", "| key | default | meaning |", "|---|---|---|"]
        told = dict(_told(kind)) | (dict(_told(plan_file.Plan)) if not table else {})
        lines += [f"| `{key}` | {default} | {told.get(key, '')} |" for key, default in _defaults(kind)]
        lines.append("")
    shipped = ", ".join(f"`{name}`" for name in plan_file.shipped_plans())
    return "\n".join([*lines, f"Shipped plans: {shipped}. `singlesday show NAME` draws one.", ""])


def _defaults(kind: type[Struct]) -> Iterator[tuple[str, str]]:
    required = object()
    defaults = [required] * (len(kind.__struct_fields__) - len(kind.__struct_defaults__)) + [
        *kind.__struct_defaults__
    ]
    for key, default in zip(kind.__struct_fields__, defaults, strict=True):
        if default is required or default is NODEFAULT:
            yield key, "required"
        else:
            plain = default is None or default == () or not isinstance(default, str | int | float)
            yield key, "" if plain else f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _told(kind: type[Struct]) -> Iterator[tuple[str, str]]:
    """The sentence under each field in the source."""
    (body,) = (node for node in ast.parse(inspect.getsource(kind)).body if isinstance(node, ast.ClassDef))
    for field, below in zip(body.body, body.body[1:], strict=False):
        match field, below:
            case ast.AnnAssign(target=ast.Name(key)), ast.Expr(ast.Constant(str(sentence))):
                yield key, " ".join(sentence.split())


def commands() -> str:
    """Every command of `singlesday`, with its flags."""
    group: Any = get_command(app)
    lines = ["# Commands", ""]
    for name, command in sorted(group.commands.items()):
        lines += [f"## `singlesday {name}`", "", _plain(command.help or ""), ""]
        options = [parameter for parameter in command.params if getattr(parameter, "help", None)]
        if options:
            lines += ["| flag | meaning |", "|---|---|"]
            lines += [f"| `{' '.join(option.opts)}` | {_cell(option.help)} |" for option in options]
            lines.append("")
    return "\n".join(lines)


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
