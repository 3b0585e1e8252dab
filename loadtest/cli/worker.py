"""`singlesday worker`: workers on this machine for a master on another.

It greets the master, which compares releases and sends the plan's scripts and data, then starts Locust's worker
processes with them and waits for their end. They get the run itself from the master, when it begins. The files lie in
a folder that is removed at the end; what workers write of a run (`--out`) stays.
"""

import os
import signal
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from rich.console import Console

from loadtest.cli.children import LOCUST, Child, signals_go_to, wait_until
from loadtest.cli.crew import Crew
from loadtest.cli.place import place_of
from loadtest.configuration.config_error import ConfigError
from loadtest.environment import PLAN_FOLDER_VARIABLE, RUNS_FOLDER_VARIABLE, TOKEN_VARIABLE
from loadtest.exit_codes import INTERRUPTED, ExitCode
from loadtest.fleet.build import build_of
from loadtest.fleet.joining import Joining, Master
from loadtest.fleet.token import check_token, read_token
from loadtest.place import Place, is_loopback

STOP_TIMEOUT_S = 10.0
LOOK_S = 5.0
"""How long a master that may be gone is dialled."""


def master_of(text: str, token_file: Path | None, environ: Mapping[str, str]) -> Master:
    """Where the master is, with the token for it. Raises `ConfigError`, `TokenError`."""
    place = place_of(text, "--master")
    named = f"--token-file {token_file}" if token_file is not None else TOKEN_VARIABLE
    if token_file is not None:
        token = read_token(token_file)
    else:
        check_token(token := environ.get(TOKEN_VARIABLE, ""))
    if not token and not is_loopback(place.host):
        raise ConfigError(
            "--token-file",
            f"--master {text}: is another machine and needs the run's token: --token-file FILE, or {TOKEN_VARIABLE}",
        )
    return Master(place.host, place.port, token, named if token else "")


def work(master: Master, workers: int, out: Path, wait_s: float, console: Console) -> int:
    """Serve a master until it ends; an exit code. Raises `JoiningError`, `OSError`."""

    def tell(text: str) -> None:
        console.print(text, style="dim", soft_wrap=True, markup=False)

    with tempfile.TemporaryDirectory(prefix="singlesday-") as folder:
        plans = Path(folder)
        with Joining(master, wait_s, tell) as joining:
            welcome, met = joining.bring(build_of(), plans), joining.place
        out.mkdir(parents=True, exist_ok=True)
        sent = f" with {len(welcome.files)} files of {welcome.plan}" if welcome.files else ""
        tell(f"{workers} worker{'s' * (workers != 1)} for the master at {master}{sent}; logs in {out}")
        flags = ["--plan", str(plans / welcome.plan)] if welcome.plan else []
        environment = {PLAN_FOLDER_VARIABLE: folder, RUNS_FOLDER_VARIABLE: str(out.resolve())}
        environment |= {TOKEN_VARIABLE: master.token} if master.token else {}
        command = [*LOCUST, "--worker", *flags]
        command += ["--master-host", met.host, "--master-port", str(met.port)]

        def start(name: str) -> Child:
            return Child(name, command, log=out / f"{name}-{os.getpid()}.log", environment=environment)

        return serve(Crew(workers, start, tell), met, console)


def listens(place: Place) -> bool:
    """Whether anybody listens there."""
    try:
        socket.create_connection(place, LOOK_S).close()
    except OSError:
        return False
    return True


def serve(crew: Crew, master: Place, console: Console) -> int:
    """Wait until the workers end; end them on a signal, or when the master is gone. Returns an exit code."""
    asked: list[int] = []

    def ask(number: int, _frame: FrameType | None) -> None:
        asked.append(number)

    with signals_go_to(ask):
        try:
            while not asked:
                wait_until(lambda: not crew.running or bool(asked), timeout_s=1)
                if crew.crashed and not asked and not listens(master):
                    gone = f"error: the master at {master} is gone; reports that it had not saved are in "
                    console.print(f"{gone}this machine's run folder", soft_wrap=True, markup=False)
                    return ExitCode.USAGE
                if not asked:
                    crew.tend()
                if not crew.running:
                    break
        finally:
            codes = crew.stop(STOP_TIMEOUT_S)
    if asked:
        return INTERRUPTED if asked[0] == signal.SIGINT else ExitCode.PASS
    for worker in crew.workers:
        if worker.process.returncode:
            console.print(
                f"{worker.name}: {worker.ending()}: {worker.last_lines(1)}", soft_wrap=True, markup=False
            )
    return ExitCode.INTERNAL_ERROR if any(codes) else ExitCode.PASS
