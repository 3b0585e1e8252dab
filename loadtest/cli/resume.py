"""`singlesday resume`: continues a run that was killed or stopped, from its folder alone.

Everything that shaped the run is in the folder: `run.json` says how it was started, `checkpoint.bin` holds the plan,
the objectives and the totals. From then on it is `singlesday run`, with the same verdict over the whole time axis.
Whatever speaks against going on is found here, before any traffic.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from loadtest.address import without_password
from loadtest.configuration.run_config import RunConfig
from loadtest.configuration.run_document import DOCUMENT, DocumentError, directory_of, held, read_document
from loadtest.fleet import checkpoint as checkpoints
from loadtest.fleet.checkpoint import Checkpoint, CheckpointError
from loadtest.measure.run_result import RESULT, RunResult
from loadtest.plan.plan_file import Plan
from loadtest.stored_orders import SQLITE


class ResumeError(ValueError):
    """The run cannot be resumed; the message says why."""


class Resumable(NamedTuple):
    """A run that can be resumed: its configuration, checkpoint and lock."""

    config: RunConfig
    checkpoint: Checkpoint
    lock: int
    """The descriptor that holds its folder."""


@contextmanager
def resumable(
    folder: Path,
    *,
    store: str | None,
    console: str,
    metrics_port: int | None,
    remote_write: str | None = None,
) -> Iterator[Resumable]:
    """What it takes to resume the run in `folder`, which is locked meanwhile. Raises `ResumeError`, `PlanError`.

    Goes to the directory in which the run was started, if it is still there.
    """
    try:
        with _held(folder) as lock:
            config = read_document(folder, _plan_of(folder))
            folder = _from_where_it_began(folder)
            checkpoint = _checkpoint(folder, config)
            config = config.but(
                plan=Plan.from_json(checkpoint.plan),
                store=_store(config, checkpoint, folder, store),
                folder=str(folder),
                console=console,
                metrics_port=metrics_port,
                remote_write=_remote_write(config, remote_write),
                auto_peak=False,
                service=None,
                resume=True,
                web=False,
                conducted=True,
            )
            yield Resumable(config, checkpoint, lock)
    except (DocumentError, CheckpointError) as error:
        raise ResumeError(str(error)) from error


def where_it_goes_on(run: Resumable) -> str:
    """Where the run is resumed, as one line for the console."""
    return f"resuming at {_clock(run.checkpoint.known_to_s)} of {_clock(run.config.plan.duration_s)} …"


@contextmanager
def _held(folder: Path) -> Iterator[int]:
    """Lock the run's folder. Raises `DocumentError`, also where a folder cannot be locked."""
    if not (folder / DOCUMENT).is_file():
        read_document(folder)
    with held(folder) as lock:
        yield lock


def _from_where_it_began(folder: Path) -> Path:
    """Go to where the run was started, from which relative paths lead; the folder as seen from there."""
    directory = directory_of(folder)
    if directory is None or directory == Path.cwd():
        return folder
    folder = folder.resolve()
    os.chdir(directory)
    return folder


def _plan_of(folder: Path) -> Plan | None:
    """The plan, for the document of a run that an older version began. Raises `CheckpointError`, `PlanError`."""
    try:
        return Plan.from_json(checkpoints.read(folder).plan)
    except OSError:
        return None


def _checkpoint(folder: Path, config: RunConfig) -> Checkpoint:
    """The totals that the resumed part adds to. Raises `ResumeError`, `CheckpointError`."""
    try:
        return checkpoints.read(folder)
    except OSError:
        pass
    try:
        ended = RunResult.read(folder / RESULT)
    except (OSError, ValueError):
        raise ResumeError(f"{folder}: the run ended before it sent anything; start a new one") from None
    audit = (
        "" if ended.audit or config.targets else "; `singlesday audit` compares its orders with the database"
    )
    raise ResumeError(f"{folder}: the run has ended ({ended.verdict}), so there is nothing to resume{audit}")


def _store(config: RunConfig, checkpoint: Checkpoint, folder: Path, given: str | None) -> str | None:
    """The order service's store, which must be the one that has the first part's orders. Raises `ResumeError`."""
    if given is not None and (config.store is None or without_password(given) != config.store):
        kept = config.store or f"{SQLITE}{folder / 'orders.db'}"
        raise ResumeError(f"--store: expected {kept}, the database of this run, which has its orders")
    if given is None and "store" in config.withheld:
        raise ResumeError(
            f"--store: expected {config.store} with its password, which the run folder does not keep"
        )
    if {"targets", "service_metrics"} & set(config.withheld):
        raise ResumeError(
            f"{folder}: the target's address had a password, which the run folder does not keep; start a new run"
        )
    store = given or config.store
    if not config.targets and any(any(worker.counted) for worker in checkpoint.totals.workers):
        _require_store(store or f"{SQLITE}{folder / 'orders.db'}")
    return store


def _remote_write(config: RunConfig, given: str | None) -> str | None:
    """Where metrics are pushed: where they were, unless said otherwise. Raises `ResumeError`."""
    if given is None and "remote_write" in config.withheld:
        raise ResumeError(
            f"--remote-write: expected {config.remote_write} with its password, which the run folder does not keep, "
            "or '' to push nothing"
        )
    return config.remote_write if given is None else given or None


def _require_store(store: str) -> None:
    path = Path(store.removeprefix(SQLITE))
    if store.startswith(SQLITE) and not path.is_file():
        raise ResumeError(
            f"{path}: not found; expected the order service's database of this run, which has its orders"
        )


def _clock(seconds: float) -> str:
    """Seconds as `1:23:00`."""
    return str(timedelta(seconds=round(seconds)))
