"""`singlesday worker`: workers on this machine for a master on another.

It greets the master, which compares releases and sends the plan's scripts and data, then starts Locust's worker
processes with them and waits for their end. They get the run itself from the master, when it begins. The files lie in
a folder that is removed at the end; what workers write of a run (`--out`) stays.

A master that is gone without a word may have been killed, and its run may be resumed. Worker processes cannot go on
with it, as time counts from another instant there; so they end, and all begins anew once a master answers.
"""

import contextlib
import os
import signal
import socket
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from rich.console import Console

from loadtest.cli.children import LOCUST, Child, signals_go_to, wait_until
from loadtest.cli.crew import FINAL, Crew
from loadtest.cli.place import place_of
from loadtest.configuration.config_error import ConfigError
from loadtest.environment import MASTER_LOST, PLAN_FOLDER_VARIABLE, RUNS_FOLDER_VARIABLE, TOKEN_VARIABLE
from loadtest.exit_codes import INTERRUPTED, ExitCode
from loadtest.fleet.build import build_of
from loadtest.fleet.joining import Joining, JoiningError, Master, home_in
from loadtest.fleet.journal import FOLDER, SUFFIX
from loadtest.fleet.token import check_token, read_token, token_in
from loadtest.place import EVERYWHERE, Place, is_loopback

STOP_TIMEOUT_S = 10.0
FILE_CLOCK_S = 1.0
"""By how much a file system's clock may be behind at most."""
LOOK_S = 5.0
"""How long a master that may be gone is dialled."""


def master_of(text: str, token_file: Path | None, environ: Mapping[str, str]) -> Master:
    """Where the master is, with the token for it. Raises `ConfigError`, `TokenError`."""
    place = place_of(text, "--master")
    if place.host in EVERYWHERE:
        raise ConfigError(
            "--master",
            f"--master {text}: is where a master listens; expected the address at which its machine is reached",
            value=text,
        )
    named = f"--token-file {token_file}" if token_file is not None else TOKEN_VARIABLE
    if token_file is not None:
        token = read_token(token_file)
    else:
        check_token(token := token_in(environ))
    if not token and not is_loopback(place.host):
        raise ConfigError(
            "--token-file",
            f"--master {text}: is another machine and needs the run's token: --token-file FILE, or {TOKEN_VARIABLE}",
        )
    return Master(place.host, place.port, token, named if token else "")


def work(master: Master, workers: int, out: Path, wait_s: float, console: Console) -> int:
    """Serve a master until it ends, or is gone and does not come back within `wait_s`; an exit code.

    Raises `JoiningError` where it never came, `OSError`.
    """
    check_out(out)
    began_s = time.time()
    code = work_once(master, workers, out, wait_s, console)
    while code == MASTER_LOST:
        kept = kept_in(out, began_s)
        console.print(gone(master, kept, wait_s), soft_wrap=True, markup=False)
        try:
            code = work_once(master, workers, out, wait_s, console)
        except JoiningError as error:
            console.print(f"error: {error}; {what_to_do(kept)}", soft_wrap=True, markup=False)
            return ExitCode.ABORTED
    return code


def work_once(master: Master, workers: int, out: Path, wait_s: float, console: Console) -> int:
    """Serve a master until it ends; an exit code, or `MASTER_LOST`. Raises `JoiningError`, `OSError`."""

    def tell(text: str) -> None:
        console.print(text, style="dim", soft_wrap=True, markup=False)

    with tempfile.TemporaryDirectory(prefix="singlesday-") as folder:
        with Joining(master, wait_s, tell) as joining:
            welcome, met = joining.bring(build_of(), Path(folder)), joining.place
        plans = home_in(Path(folder), welcome)
        out.mkdir(parents=True, exist_ok=True)
        sent = f" with {len(welcome.files)} files of {welcome.plan}" if welcome.files else ""
        tell(f"{workers} worker{'s' * (workers != 1)} for the master at {master}{sent}; logs in {out}")
        flags = ["--plan", str(plans / welcome.plan)] if welcome.plan else []
        environment = {PLAN_FOLDER_VARIABLE: str(plans), RUNS_FOLDER_VARIABLE: str(out.resolve())}
        environment |= {TOKEN_VARIABLE: master.token} if master.token else {}
        command = [*LOCUST, "--worker", *flags]
        command += ["--master-host", met.host, "--master-port", str(met.port)]

        def start(name: str) -> Child:
            return Child(name, command, log=out / f"{name}-{os.getpid()}.log", environment=environment)

        return serve(Crew(workers, start, tell), met, console)


def check_out(out: Path) -> None:
    """Raise `ConfigError` unless a folder can be made at `out`, before a master is waited for."""
    place = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        why = "cannot be written to" if place.is_dir() else "is a file"
        raise ConfigError(
            "--out", f"--out {out}: expected a folder to write into; {place} {why}", value=str(out)
        )


def listens(place: Place) -> bool:
    """Whether anybody listens there."""
    try:
        socket.create_connection(place, LOOK_S).close()
    except OSError:
        return False
    return True


def kept_in(out: Path, since_s: float) -> list[Path]:
    """The folders below `out` in which workers have kept what they reported, since an instant of the wall clock."""
    found = set()
    for path in out.glob(f"*/{FOLDER}/*{SUFFIX}"):
        with contextlib.suppress(FileNotFoundError):  # other workers may write there too
            if path.stat().st_mtime >= since_s - FILE_CLOCK_S:
                found.add(path.parent)
    return sorted(found)


def gone(master: Master, kept: list[Path], wait_s: float) -> str:
    """That a master is gone, where what was reported to it lies, and what is waited for."""
    where = f"what was reported to it lies in {_named(kept)}" if kept else "nothing had been reported to it"
    return (
        f"the master at {master} is gone without a word; {where}; "
        f"waiting {wait_s:g} s for its run to be resumed at the same address …"
    )


def what_to_do(kept: list[Path]) -> str:
    """What to do when nobody has resumed the run."""
    again = "start this command again once `singlesday resume` waits for workers"
    if not kept:
        return again
    return (
        f"{again}, or copy {_named(kept)} into the run's folder on the master's machine, and draw the result there "
        "with `singlesday report`"
    )


def _named(folders: list[Path]) -> str:
    return " and ".join(str(folder) for folder in folders)


def serve(crew: Crew, master: Place, console: Console) -> int:
    """Wait until the workers end; end them on a signal, or when the master is gone.

    Returns an exit code, or `MASTER_LOST`.
    """
    asked: list[int] = []
    failed = 0

    def ask(number: int, _frame: FrameType | None) -> None:
        asked.append(number)

    with signals_go_to(ask):
        try:
            while not asked:
                wait_until(lambda: not crew.running or bool(asked), timeout_s=1)
                if not asked and crew.failed > failed and not listens(master):
                    return MASTER_LOST
                if not asked:
                    crew.tend()
                    failed = crew.failed
                if not crew.running:
                    break
        finally:
            codes = crew.stop(STOP_TIMEOUT_S)
    if asked:
        return INTERRUPTED if asked[0] == signal.SIGINT else ExitCode.PASS
    for sentence in crew.last_words():
        console.print(sentence, soft_wrap=True, markup=False)
    if MASTER_LOST in codes:
        return MASTER_LOST
    return max(codes) if FINAL.issuperset(codes) else ExitCode.INTERNAL_ERROR
