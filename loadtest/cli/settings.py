"""What shaped a run besides its plan, kept in its folder so that `singlesday resume` need not ask for it again.

`run.json` is written before anything starts. Passwords never are: an address that holds one is kept without it, and
the file says so. The file is also the run's lock: every process of the run holds it open, so it is free when the last
of them has died, whatever killed it.
"""

import fcntl
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from loadtest.measure.whole_file import write_durably
from loadtest.stored_books import SQLITE

SETTINGS = "run.json"
VERSION = 1
_PASSWORD = re.compile(
    r"(?<=://)([^:/?#@]*):[^/?#]*@|(?<=[?&])(?:[a-z]*password|passfile)=[^&#]*", re.IGNORECASE
)
"""Between user and host, or as a parameter."""

AtLeastOne = Annotated[int, Meta(ge=1)]


class SettingsError(ValueError):
    """A run folder that cannot be gone on with, as it stands; the message says why."""


class RunSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How `singlesday run` was started. The plan itself is in the checkpoint."""

    version: int = VERSION
    workers: AtLeastOne
    service_workers: AtLeastOne
    store: str | None
    """Of the order service; None for `orders.db` in the folder."""
    targets: list[str]
    allow_hosts: list[str]
    service_metrics: str | None
    csv: bool
    checkpoint_s: Annotated[float, Meta(gt=0)]
    withheld: list[str] = []
    """Which of these held a password, and are written without it."""


def without_password(address: str) -> str:
    """A URL or DSN without any password in it; the same text if there is none."""
    return _PASSWORD.sub(lambda found: f"{found[1]}@" if found[1] is not None else "", address)


def without_secrets(settings: RunSettings) -> RunSettings:
    """The settings as they may be written down. A path to a database becomes absolute."""
    store = _absolute(settings.store) if settings.store else None
    given = {"store": store, "targets": settings.targets, "service_metrics": settings.service_metrics}
    written = {
        "store": without_password(store) if store else None,
        "targets": [without_password(target) for target in settings.targets],
        "service_metrics": without_password(settings.service_metrics) if settings.service_metrics else None,
    }
    withheld = [name for name, value in written.items() if value != given[name]]
    return msgspec.structs.replace(settings, **written, withheld=withheld)


def write_settings(settings: RunSettings, folder: Path) -> None:
    """Leave the settings in a run folder. Raises `OSError`."""
    document = msgspec.json.format(msgspec.json.encode(without_secrets(settings)), indent=1)
    write_durably(document, folder / SETTINGS)


def read_settings(folder: Path) -> RunSettings:
    """The settings in a run folder. Raises `SettingsError`."""
    path = folder / SETTINGS
    try:
        settings = msgspec.json.decode(path.read_bytes(), type=RunSettings)
    except OSError as error:
        raise SettingsError(
            f"{path}: expected the folder of a run that `singlesday run` began ({error.strerror})"
        ) from error
    except msgspec.DecodeError as error:
        raise SettingsError(f"{path}: {error}") from error
    if settings.version != VERSION:
        raise SettingsError(f"{path}: expected version {VERSION}, got version {settings.version}")
    return settings


@contextmanager
def held(folder: Path) -> Iterator[int]:
    """Hold a run folder as long as this process, or one that inherits the descriptor, lives.

    Raises `SettingsError` when somebody else holds it, `OSError` when it has no settings.
    """
    with (folder / SETTINGS).open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(
                f"{folder}: this run is still going on, or its last processes are ending"
            ) from None
        yield file.fileno()


def _absolute(store: str) -> str:
    """A store's address that means the same in every working directory."""
    path = store.removeprefix(SQLITE)
    return f"{SQLITE}{Path(path).resolve()}" if store.startswith(SQLITE) else store
