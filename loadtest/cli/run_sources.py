"""Where the results that a comparison reads come from: a folder, a file, or a git ref.

    runs/20261111T000000Z-soak        a run folder
    result.json                       the record itself
    baselines                         a folder of run folders: a pool
    main:baselines, HEAD~3:runs/x     either of them as git has it at a commit: REF:PATH, as in `git show`

What exists on disk is taken for a path, whatever it is called. A ref is read from the repository of the
working directory, without a checkout.
"""

import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from loadtest.measure.run_result import RESULT, RunResult

POOL = 5
"""The latest runs of a pool that are compared with: a service changes, and old baselines with it."""
EXPECTED = f"a run folder, a {RESULT}, a folder of run folders, or REF:PATH of one in git"
GIT_TIMEOUT_S = 60


class SourceError(Exception):
    """What was given is not a run; the message says what was expected."""


def read_run(source: str) -> RunResult:
    """The one run at `source`. Raises `SourceError`."""
    found = read_runs(source)
    if len(found) > 1:
        raise SourceError(f"{source}: expected one run to judge, got a folder of {len(found)}")
    return found[0]


def read_runs(source: str) -> list[RunResult]:
    """The runs at `source`, one or a pool's, latest first. Raises `SourceError`."""
    if Path(source).exists():
        contents = _on_disk(Path(source))
    elif ":" in source:
        contents = _in_git(source)
    else:
        raise SourceError(f"{source}: expected {EXPECTED}; there is nothing of that name")
    runs = [_decoded(name, data) for name, data in contents]
    if not runs:
        raise SourceError(f"{source}: expected {EXPECTED}; there is no {RESULT} in it")
    return sorted(runs, key=lambda run: run.run.started_at, reverse=True)


def pool_for(head: RunResult, source: str, runs: Sequence[RunResult]) -> list[RunResult]:
    """The baselines at `source` that HEAD is compared with. Raises `SourceError` when none fits.

    A single one is taken as it is. Of a pool: the latest that played HEAD's plan and are VALID or DEGRADED, without
    HEAD itself, so that `compare runs runs/LATEST` works.
    """
    if len(runs) == 1:
        return list(runs)
    others = [run for run in runs if run.run.id != head.run.id and run.run.plan == head.run.plan]
    if not others:
        plans = ", ".join(sorted({run.run.plan for run in runs}))
        raise SourceError(
            f"{source}: expected another run of plan {head.run.plan}; there are runs of {plans}"
        )
    usable = [run for run in others if run.validity.verdict != "INVALID"]
    if not usable:
        raise SourceError(f"{source}: expected a run of plan {head.run.plan} that is not INVALID")
    return usable[:POOL]


def save_baseline(run: RunResult, folder: Path) -> Path:
    """Keep a run's record in a folder of baselines; the file. Raises `OSError`."""
    place = folder / re.sub(r"^\.+|[^\w.-]", "_", run.run.id)  # an id is a folder's name; a forged one too
    place.mkdir(parents=True, exist_ok=True)
    run.write(place / RESULT)
    return place / RESULT


def _on_disk(path: Path) -> Iterable[tuple[str, bytes]]:
    if path.is_file():
        files = [path]
    elif (path / RESULT).is_file():
        files = [path / RESULT]
    else:
        files = sorted(path.glob(f"*/{RESULT}"))
    try:
        return [(str(file), file.read_bytes()) for file in files]
    except OSError as error:
        raise SourceError(f"{error.filename}: cannot be read ({error.strerror})") from error


def _in_git(source: str) -> Iterable[tuple[str, bytes]]:
    ref, _, path = source.partition(":")
    commit = _object(source, f"{ref}^{{commit}}", f"git knows no commit {ref!r}")
    top = _object(source, f"{commit}:{path.rstrip('/')}", f"{ref} has no path {path!r}")
    if _git(source, "cat-file", "-t", top) == "blob":
        return [(source, _git(source, "cat-file", "blob", top).encode())]
    entries = [
        entry.split("\t", 1) for entry in _git(source, "ls-tree", "-r", "-z", top).split("\0") if entry
    ]
    blobs = {name: meta.split()[2] for meta, name in entries if name.split("/")[-1] == RESULT}
    chosen = [RESULT] if RESULT in blobs else [name for name in blobs if name.count("/") == 1]
    return [
        (f"{source.rstrip('/')}/{name}", _git(source, "cat-file", "blob", blobs[name]).encode())
        for name in chosen
    ]


def _object(source: str, name: str, unless: str) -> str:
    """The id of the object that a name stands for; `unless` says what it means that there is none."""
    try:
        return _git(source, "rev-parse", "--verify", "--end-of-options", name)
    except SourceError as error:
        raise SourceError(str(error).replace("fatal: Needed a single revision", unless)) from None


def _git(source: str, *arguments: str) -> str:
    git = shutil.which("git")
    if git is None:
        raise SourceError(
            f"{source}: expected {EXPECTED}; nothing of that name is here, and git is not installed"
        )
    command = [git, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, timeout=GIT_TIMEOUT_S, check=False)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise SourceError(f"{source}: git {arguments[0]} did not end in {error.timeout:g} s") from error
    if done.returncode:
        raise SourceError(f"{source}: expected {EXPECTED}; {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode(errors="replace").rstrip("\n")


def _decoded(name: str, data: bytes) -> RunResult:
    try:
        return RunResult.decode(data)
    except msgspec.MsgspecError as error:
        raise SourceError(f"{name}: expected the result of a run: {error}") from error
