"""`singlesday init`: plan, script, CI file and compose file to begin with, copied from `loadtest/starter`."""

from importlib.resources import files
from pathlib import Path

from rich.console import Console

from loadtest.publish.paragraph import print_paragraph

WORKFLOW = ".github/workflows/load-test.yml"
STARTER = {
    "checkout.toml": "checkout.toml",
    "checkout.py": "checkout.py",
    "load-test.yml": WORKFLOW,
    "compose.yml": "compose.yml",
}
"""The files of `loadtest/starter`, and where they go."""
MEANING = {
    "checkout.toml": "the plan: when customers arrive, and which objectives must be met",
    "checkout.py": "the script: what they do",
    WORKFLOW: "plays it in CI",
    "compose.yml": "plays it in containers",
}


class InitError(Exception):
    """The files cannot be written; says why in a sentence."""


def write_starter(folder: Path) -> list[Path]:
    """Write the files and return their paths; never overwrites one. Raises `InitError`."""
    there = [folder / place for place in STARTER.values() if (folder / place).exists()]
    if there:
        raise InitError(f"{there[0]}: exists already and is not overwritten; choose another folder")
    written = []
    for name, place in STARTER.items():
        path = folder / place
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(
                (files("loadtest") / "starter" / name).read_text(encoding="utf-8"), encoding="utf-8"
            )
        except OSError as error:
            raise InitError(f"{error.filename or path}: cannot be written ({error.strerror})") from error
        written.append(path)
    return written


def print_written(folder: Path, written: list[Path], console: Console) -> None:
    """Print which files were written, and the commands to play them."""
    for path in written:
        meaning = MEANING[path.relative_to(folder).as_posix()]
        print_paragraph(console, f"wrote {path}: {meaning}", hang=2)
    plan = folder / "checkout.toml"
    if not (folder / ".git").exists():
        print_paragraph(
            console,
            f"GitHub reads workflows only at the root of a repository. If {folder} is not one, move "
            f"{folder / WORKFLOW} to {WORKFLOW} there, and write the path of {plan.name} in it.",
        )
    console.print(
        "\nNow play the plan against the sample order service, then against your own:", markup=False
    )
    console.print(f"  singlesday run {plan}", soft_wrap=True, markup=False)
    console.print(f"  singlesday run {plan} --target http://127.0.0.1:8080", soft_wrap=True, markup=False)
