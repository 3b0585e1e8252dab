"""`singlesday import`: a plan, a script and its data, made of somebody's traffic, and what was dropped or guessed."""

import csv
import io
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from loadtest.importing.import_error import ImportingError
from loadtest.importing.log_format import FORMATS
from loadtest.importing.log_plan import Written
from loadtest.plan.plan_error import PlanError
from loadtest.plan.plan_file import Plan

if TYPE_CHECKING:
    from loadtest.importing.traffic import Traffic

NAME = "import"
app = typer.Typer(help="Make a plan, a script and its data of somebody's traffic.", no_args_is_help=True)
console = Console(highlight=False)

OutFolder = Annotated[Path, typer.Option("--out", help="Where to; made if it is not there.", metavar="DIR")]
PlanName = Annotated[
    str | None, typer.Option("--name", help="What plan and script are called; default: as the file.")
]
Transaction = Annotated[
    str | None,
    typer.Option(help='The endpoint that is one transaction, for example "POST /orders"; default: guessed.'),
]


@app.command()
def log(
    files: Annotated[list[Path], typer.Argument(help="Access logs, also .gz and .zst.", metavar="FILE…")],
    log_format: Annotated[
        str | None,
        typer.Option("--format", help=f"One of {', '.join(FORMATS)}; default: told from the lines."),
    ] = None,
    out: OutFolder = Path(),
    name: PlanName = None,
    transaction: Transaction = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Replay each second as it was, instead of a fitted curve.")
    ] = False,
) -> None:
    """Make a plan of access logs: their curve, their mix, and the skew of their keys."""
    from loadtest.importing.log_plan import plan_of  # noqa: PLC0415 - what only this command needs
    from loadtest.importing.log_reader import read_logs  # noqa: PLC0415

    try:
        if log_format is not None and log_format not in FORMATS:
            raise ImportingError(f'--format: expected one of {", ".join(FORMATS)}, got "{log_format}"')
        named = plan_name(name, files[0])
        check_free(out, named)
        traffic = read_logs(files, log_format)
        written = plan_of(traffic, named, transaction=transaction, exact=exact)
        write(out, named, written)
    except ImportingError as error:
        refuse(error)
    _print_traffic(traffic)
    print_written(out, named, written)


def refuse(error: Exception) -> None:
    """End because of bad input."""
    from loadtest.cli.main import refuse as end  # noqa: PLC0415 - which imports this module

    end(error)


def plan_name(asked: str | None, file: Path) -> str:
    """What the plan is called: a name that a Python module can have too. Raises `ImportingError`."""
    if asked is not None:
        if not re.fullmatch(r"[A-Za-z]\w{0,60}", asked, re.ASCII):
            raise ImportingError(
                f'--name: expected letters, digits and _, as a Python module has, got "{asked}"'
            )
        return asked
    stem = re.sub(r"\W+", "_", file.name.split(".")[0], flags=re.ASCII).strip("_").lower()[:60]
    named = stem if re.match("[a-z]", stem) else f"traffic_{stem}".rstrip("_")
    taken = named in sys.stdlib_module_names or named in {"locust", "loadtest", "gevent", "target_service"}
    return f"{named}_traffic" if taken else named


def check_free(out: Path, name: str) -> None:
    """Refuse to overwrite. Raises `ImportingError`."""
    for path in (out / f"{name}.toml", out / f"{name}.py", out / f"{name}-data"):
        if path.exists():
            raise ImportingError(
                f"{path}: is there already, and is not overwritten; choose another --name or --out"
            )


def write(out: Path, name: str, written: Written) -> None:
    """Write plan, script and data. Raises `ImportingError`."""
    files = {
        f"{name}.py": written.script,
        **{each.path: _rows(each.columns, each.rows, each.is_json) for each in written.files},
        f"{name}.toml": written.plan,
    }
    if written.curve_csv is not None:
        files = {f"{name}-data/curve.csv": written.curve_csv, **files}
    for place, text in files.items():
        path = out / place
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ImportingError(f"{error.filename or path}: cannot be written ({error.strerror})") from error
    try:
        Plan.load(out / f"{name}.toml")
    except PlanError as error:
        raise ImportingError(f"too little traffic for a plan: {error}") from error


def _rows(columns: tuple[str, ...], rows: tuple[tuple[str, ...], ...], is_json: bool) -> str:
    if is_json:
        return "".join(f"{line}\n" for (line,) in rows)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def _print_traffic(traffic: "Traffic") -> None:
    from loadtest.importing.script_text import keys_told  # noqa: PLC0415

    total = sum(traffic.counts)
    console.print(
        f"{total:,} requests in {len(traffic.counts):,} s, at most {max(traffic.counts):,} in one",
        markup=False,
    )
    for each in traffic.endpoints:
        keys = f"  {keys_told(each.keys)}" if each.keys else ""
        console.print(
            f"  {each.requests / total:7.2%}  {each.method} {each.called}{keys}", markup=False, soft_wrap=True
        )


def print_written(out: Path, name: str, written: Written) -> None:
    """Say what was dropped or guessed, what there is now, and what to do with it."""
    if written.notes:
        console.print("dropped or guessed:", markup=False)
    for note in written.notes:
        console.print(f"  - {note}", markup=False, soft_wrap=True)
    plan = out / f"{name}.toml"
    data = f", {out / f'{name}-data'}" if written.files or written.curve_csv else ""
    console.print(f"wrote {plan}, {out / f'{name}.py'}{data}", markup=False, soft_wrap=True)
    console.print(f"  singlesday run {plan} --target http://127.0.0.1:8080", markup=False, soft_wrap=True)
