"""Which releases and scripts a process runs, and how a worker's differ from its master's.

Two releases may understand a message, a plan or an arrival in different ways, and two copies of a script send
different requests. Either would show as odd figures at best, so a run does not begin with such a worker.
"""

import hashlib
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

from loadtest.release import DISTRIBUTION

SCRIPT = "script "
"""Before the name of a plan's module, in a build."""
PACKAGES = {"singlesday": DISTRIBUTION, "locust": "locust"}
"""By the name in a build, the name that pip knows."""
DIGEST_LETTERS = 16

Build = Mapping[str, str]
"""Releases by package, and digests by script."""


def build_of(modules: Iterable[str] = ()) -> dict[str, str]:
    """What this process runs: its releases, and the scripts of the named modules, which are imported already."""
    scripts = {f"{SCRIPT}{Path(file).name}": _digest(Path(file)) for file in map(_file_of, modules) if file}
    return {name: version(known_as) for name, known_as in PACKAGES.items()} | scripts


def differences(master: Build, worker: Build) -> str:
    """What a worker has other than its master, and what to do about it, as a clause; empty if there is nothing.

    Only what both know of is compared, but for releases, which a worker before 0.2 does not tell.
    """
    found = []
    for name, known_as in PACKAGES.items():
        if name in master and worker.get(name) != master[name]:
            had = f"{name} {worker[name]}" if name in worker else f"an older {name}"
            found.append(
                f"{had} instead of the master's {master[name]}: pip install {known_as}=={master[name]}"
            )
    for name in sorted(set(master) & set(worker) - set(PACKAGES)):
        if master[name] != worker[name]:
            script = name.removeprefix(SCRIPT)
            found.append(
                f"a {script} that differs from the master's: copy the master's there, or start the worker with "
                "`singlesday worker`, which gets it from the master"
            )
    return "; ".join(found)


def _file_of(module: str) -> str | None:
    return getattr(sys.modules.get(module), "__file__", None)


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:DIGEST_LETTERS]
    except OSError:
        return ""
