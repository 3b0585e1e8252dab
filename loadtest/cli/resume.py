"""`singlesday resume`: goes on with a run that was killed or stopped, from its folder alone.

Everything that shaped the run is in the folder: `run.json` says how it was started, `checkpoint.bin` holds the plan,
the objectives and the books. From then on it is `singlesday run`, with the same verdict over the whole time axis.
Whatever speaks against going on is found here, before any traffic.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from loadtest.cli.run_session import RunOptions
from loadtest.cli.settings import RunSettings, SettingsError, held, read_settings, without_password
from loadtest.fleet import checkpoint as checkpoints
from loadtest.fleet.checkpoint import Checkpoint, CheckpointError
from loadtest.measure.run_result import RunResult
from loadtest.plan.plan_file import Plan
from loadtest.publish.run_folder import RESULT
from loadtest.stored_books import SQLITE


class ResumeError(ValueError):
    """A run that cannot be gone on with; the message says why."""


@contextmanager
def resumable(
    folder: Path, *, store: str | None, console: str, metrics_port: int | None
) -> Iterator[RunOptions]:
    """How to go on with the run in `folder`, which is held meanwhile. Raises `ResumeError`, `PlanError`."""
    try:
        settings = read_settings(folder)
        with held(folder) as lock:
            checkpoint = _checkpoint(folder, settings)
            yield RunOptions(
                plan=Plan.from_json(checkpoint.plan),
                plan_flags=[],
                workers=settings.workers,
                service_workers=settings.service_workers,
                store=_store(settings, checkpoint, folder, store),
                targets=settings.targets,
                allow_hosts=settings.allow_hosts,
                folder=folder,
                console=console,
                metrics_port=metrics_port,
                service_metrics=settings.service_metrics,
                csv=settings.csv,
                checkpoint_s=settings.checkpoint_s,
                resumed=checkpoint,
                lock=lock,
            )
    except (SettingsError, CheckpointError) as error:
        raise ResumeError(str(error)) from error


def where_it_goes_on(options: RunOptions) -> str:
    """One line for whoever waits."""
    known_s = options.resumed.known_to_s if options.resumed is not None else 0.0
    return f"resuming at {_clock(known_s)} of {_clock(options.plan.duration_s)} …"


def _checkpoint(folder: Path, settings: RunSettings) -> Checkpoint:
    """The books to go on with. Raises `ResumeError`, `CheckpointError`."""
    try:
        return checkpoints.read(folder)
    except OSError:
        pass
    try:
        ended = RunResult.read(folder / RESULT)
    except (OSError, ValueError):
        raise ResumeError(f"{folder}: the run was over before it played anything; start it anew") from None
    audit = "" if ended.audit or settings.targets else "; `singlesday audit` checks its books"
    raise ResumeError(f"{folder}: the run has ended ({ended.verdict}), nothing is left to play{audit}")


def _store(settings: RunSettings, checkpoint: Checkpoint, folder: Path, given: str | None) -> str | None:
    """The order service's store, which must be the one that has the first part's orders. Raises `ResumeError`."""
    if given is not None and (settings.store is None or without_password(given) != settings.store):
        kept = settings.store or f"{SQLITE}{folder / 'orders.db'}"
        raise ResumeError(f"--store: expected the run's own, {kept}; its orders are there")
    if given is None and "store" in settings.withheld:
        raise ResumeError(f"--store: expected {settings.store} with its password, which is not written down")
    if {"targets", "service_metrics"} & set(settings.withheld):
        raise ResumeError(
            f"{folder}: an address of the target held a password, which is not written down; start the run anew"
        )
    store = given or settings.store
    if not settings.targets and any(any(worker.counted) for worker in checkpoint.books.workers):
        _require_books(store or f"{SQLITE}{folder / 'orders.db'}")
    return store


def _require_books(store: str) -> None:
    path = Path(store.removeprefix(SQLITE))
    if store.startswith(SQLITE) and not path.is_file():
        raise ResumeError(f"{path}: expected the order service's database of this run, which has its orders")


def _clock(seconds: float) -> str:
    """`1:23:00`."""
    return str(timedelta(seconds=round(seconds)))
