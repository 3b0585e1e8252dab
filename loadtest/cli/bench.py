"""`singlesday bench NAME`: the benchmarks, which live beside the package and are not installed with it."""

import ast
import os
import shutil
import sys
import textwrap
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

FOLDER = Path(__file__).parents[2] / "benchmarks"
NONE_HERE = f"none: {FOLDER} is not there; benchmarks come with a checkout, not the package"


class BenchError(Exception):
    """There is no such benchmark here."""


class HelpWithBenchmarks(TyperCommand):
    """A command whose `--help` ends with the list of benchmarks, which is only read then."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help, then the list."""
        super().format_help(ctx, formatter)
        typer.echo(listed(), nl=False)


def names() -> list[str]:
    """The benchmarks of this checkout: modules, and packages with a `__main__`."""
    modules = [path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__"]
    return sorted([*modules, *(path.parent.name for path in FOLDER.glob("*/__main__.py"))])


def listed() -> str:
    """Each benchmark with the first line of its docstring."""
    known = names()
    if not known:
        return f"Benchmarks: {NONE_HERE}\n"
    width = shutil.get_terminal_size().columns
    rows = [
        textwrap.fill(_first_line(name), width, initial_indent=f"  {name:<12}", subsequent_indent=" " * 14)
        for name in known
    ]
    return "\n".join(["Benchmarks (singlesday bench NAME --help lists the options of one):", *rows, ""])


def command_of(name: str, arguments: list[str]) -> list[str]:
    """The command that runs a benchmark from the checkout. Raises `BenchError`, which lists those there are."""
    known = names()
    if name not in known:
        raise BenchError(f"bench {name}: expected one of {', '.join(known) or NONE_HERE}")
    os.chdir(FOLDER.parent)
    return [sys.executable, "-m", f"benchmarks.{name}", *arguments]


def help_without_flags(name: str) -> str:
    """The docstring of a benchmark that reads no flags, for its `--help`; empty where it prints its own help."""
    folder = FOLDER / name
    files = sorted(folder.glob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
    if any("argparse" in file.read_text(encoding="utf-8") for file in files):
        return ""
    return _docstring(name)


def _first_line(name: str) -> str:
    """What a benchmark measures, by its own docstring."""
    return _docstring(name).split("\n", 1)[0]


def _docstring(name: str) -> str:
    path = next(
        path
        for path in (FOLDER / f"{name}.py", FOLDER / name / "run.py", FOLDER / name / "__main__.py")
        if path.exists()
    )
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
