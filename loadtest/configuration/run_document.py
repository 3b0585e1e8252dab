"""A run's configuration as a file, `run.json` in its folder, and the lock on that folder.

It is written before anything starts and read by the processes that `singlesday` starts, by `singlesday resume`, and
by whoever wants to know how a run was started. What it may not hold, passwords, comes to those processes in the
environment. Every process of the run holds the folder open, so the lock is free when the last of them has died,
whatever killed it.
"""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from loadtest.configuration.run_config import VERSION, RunConfig, public, secrets_of
from loadtest.measure.whole_file import write_durably
from loadtest.plan.plan_file import Plan

DOCUMENT = "run.json"
DIRECTORY = "directory"
"""In it, besides the configuration: the working directory of whoever started the run."""
DOCUMENT_VARIABLE = "LOADTEST_RUN_CONFIG"
"""Where the processes that `singlesday` starts find the document."""
WITHHELD_VARIABLE = "LOADTEST_RUN_WITHHELD"
"""What the document leaves out, as JSON."""


class DocumentError(ValueError):
    """A run folder whose configuration cannot be used, as it stands; the message says why."""


def write_document(config: RunConfig, folder: Path) -> None:
    """Leave the configuration in a run folder, without passwords. Raises `OSError`."""
    folder.mkdir(parents=True, exist_ok=True)
    written = msgspec.to_builtins(public(config)) | {DIRECTORY: str(Path.cwd())}
    write_durably(msgspec.json.format(msgspec.json.encode(written), indent=1), folder / DOCUMENT)


def directory_of(folder: Path) -> Path | None:
    """Where the run in a folder was started, from which its relative paths lead; None if that is not there."""
    document = msgspec.json.decode((folder / DOCUMENT).read_bytes(), type=dict[str, Any])
    directory = document.get(DIRECTORY)
    return Path(directory) if directory and Path(directory).is_dir() else None


def read_document(folder: Path, plan: Plan | None = None) -> RunConfig:
    """The configuration in a run folder, without the passwords it once had. Raises `DocumentError`.

    A document of version 1 had no plan: there, `plan` is the run's.
    """
    path = folder / DOCUMENT
    try:
        document = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        version = document.get("version")
        if version == 1 and plan is not None:
            document |= {"version": VERSION, "plan": msgspec.to_builtins(plan), "plan_name": plan.name}
        elif version != VERSION:
            raise DocumentError(f"{path}: expected version {VERSION}, got version {version}")
        return msgspec.convert(document, RunConfig)
    except OSError as error:
        raise DocumentError(
            f"{path}: expected the folder of a run that `singlesday run` began ({error.strerror})"
        ) from error
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise DocumentError(f"{path}: {error}") from error


def as_environment(config: RunConfig, folder: Path) -> dict[str, str]:
    """The variables by which a process finds the document in `folder`, and what it leaves out."""
    withheld = secrets_of(config)
    return {DOCUMENT_VARIABLE: str(folder / DOCUMENT)} | (
        {WITHHELD_VARIABLE: msgspec.json.encode(withheld).decode()} if withheld else {}
    )


def from_environment(environ: Mapping[str, str] = os.environ) -> RunConfig | None:
    """The configuration that `singlesday` gave this process; None for a process that somebody else started.

    Raises `DocumentError`.
    """
    path = environ.get(DOCUMENT_VARIABLE)
    if not path:
        return None
    config = read_document(Path(path).parent)
    withheld = msgspec.json.decode(environ.get(WITHHELD_VARIABLE) or "{}", type=dict[str, Any])
    return config.but(**withheld, withheld=[])


@contextmanager
def held(folder: Path) -> Iterator[int]:
    """Hold a run folder as long as this process, or one that inherits the descriptor, lives.

    Raises `DocumentError` when somebody else holds it, `OSError` when it is not there.
    """
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield opened
    except BlockingIOError:
        raise DocumentError(
            f"{folder}: this run is still going on, or its last processes are ending"
        ) from None
    finally:
        os.close(opened)
