"""The commands about runs that are over: `audit`, `report` and `compare`."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from loadtest.cli import flags
from loadtest.cli.app import BAD_INPUT, RESULTS, app, console, refuse
from loadtest.measure.run_result import RESULT, Audit, RunResult


@app.command(rich_help_panel=RESULTS, epilog=flags.example("singlesday audit runs/20261111T155950Z-smoke"))
def audit(
    run_folder: flags.RunFolder,
    store: Annotated[
        str | None,
        typer.Option(
            help="The service's database: sqlite:///FILE or postgresql://... Default: orders.db in RUN.",
            metavar="DSN",
        ),
    ] = None,
    auditor: Annotated[
        str | None,
        typer.Option(
            help="Your class with keys(run_id) and problems(run_id), which read what your service stored.",
            metavar="MODULE:CLASS",
        ),
    ] = None,
) -> None:
    """Check that the service's database has every order that it acknowledged, and update the run's verdict."""
    from loadtest.cli.audit import print_audit, settle_folder  # noqa: PLC0415

    if auditor is not None and store is not None:
        refuse("--auditor: cannot be given together with --store")
    result = _read_result(run_folder)
    found = _audited(run_folder, result, store, auditor)
    try:
        settle_folder(run_folder, result, found)
    except OSError as error:
        refuse(f"{error.filename or run_folder}: cannot be written ({error.strerror})")
    print_audit(found, console)
    console.print(f"verdict {result.verdict}, written to {run_folder}", soft_wrap=True, markup=False)
    raise typer.Exit(result.exit_code)


@app.command(rich_help_panel=RESULTS, epilog=flags.example("singlesday report runs/20261111T155950Z-smoke"))
def report(run_folder: flags.RunFolder) -> None:
    """Write report.html and the other files of a run again, from its result.json.

    If the master was killed, the workers' own records are added first.
    """
    from loadtest.cli.audit import settle_folder  # noqa: PLC0415
    from loadtest.cli.recover import recover_folder  # noqa: PLC0415
    from loadtest.fleet.checkpoint import CheckpointError  # noqa: PLC0415
    from loadtest.publish.run_folder import REPORT  # noqa: PLC0415

    try:
        if told := recover_folder(run_folder):
            console.print(told, soft_wrap=True, markup=False)
        settle_folder(run_folder, _read_result(run_folder))
    except (*BAD_INPUT, CheckpointError) as error:
        refuse(error)
    except OSError as error:
        refuse(f"{error.filename or run_folder}: cannot be written ({error.strerror})")
    console.print(f"wrote {run_folder / REPORT}", soft_wrap=True)


@app.command(
    rich_help_panel=RESULTS, epilog=flags.example("singlesday compare baselines/ runs/20261111T155950Z-smoke")
)
def compare(
    base: Annotated[
        str,
        typer.Argument(
            help="The baseline: a run folder, a result.json, a folder of run folders (the latest five are "
            "pooled), or REF:PATH for one in git.",
            metavar="BASE",
        ),
    ],
    heads: Annotated[
        list[str], typer.Argument(help="The runs to judge, given in the same way.", metavar="HEAD…")
    ],
    html: Annotated[
        Path | None, typer.Option(help="Also write the comparisons as a page to this file.", metavar="FILE")
    ] = None,
    save_baseline: Annotated[
        Path | None,
        typer.Option(
            help="Folder in which to keep each HEAD that passed and is not worse, as a later baseline. If it is "
            "BASE and still empty, the first run is kept without a comparison.",
            metavar="DIR",
        ),
    ] = None,
) -> None:
    """Compare runs with a baseline: what got better or worse by more than good runs differ among themselves.

    Exit code 10 if something got worse, 11 if there is too little data to tell.
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


def _audited(run_folder: Path, result: RunResult, store: str | None, auditor: str | None) -> Audit:
    """The audit by the class or the store asked for, or as the run was audited; ends where there is none."""
    from loadtest.run_audit import (  # noqa: PLC0415 - what only this command needs
        AuditorError,
        LedgerError,
        audit_apart,
        audit_gathered,
    )
    from loadtest.stored_orders import StoreError  # noqa: PLC0415

    asked = result.run.configuration
    by = auditor or (asked.get("auditor") if store is None else None)
    plan = asked.get("plan_name") or ""
    try:
        if by is not None:
            return audit_apart(run_folder, by, Path(plan) if plan.endswith(".toml") else None)
        return audit_gathered(run_folder, result, store or f"sqlite:///{run_folder / 'orders.db'}")
    except LedgerError as error:
        refuse(f"not checked: {error}")
    except StoreError as error:
        refuse(error)
    except AuditorError as error:
        refuse(f"{'--auditor' if auditor is not None else 'auditor'}: {error}")


def _read_result(run_folder: Path) -> RunResult:
    path = run_folder / RESULT
    try:
        return RunResult.read(path)
    except OSError as error:
        refuse(f"{path}: expected the result of a run ({error.strerror})")
    except msgspec.MsgspecError as error:
        refuse(f"{path}: expected the result of a run: {error}")
