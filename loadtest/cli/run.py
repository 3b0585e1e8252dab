"""`singlesday run`: service, master and workers as processes, one run, one verdict.

This process measures nothing. It checks the input before anything starts, starts the others in order, passes a
Ctrl-C on as a request to stop, audits the ledger when the run is over, and prints the verdict. The master, a
plain Locust process with our plugin, leads the run and writes the run folder.
"""

import contextlib
import json
import os
import secrets
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from rich.console import Console

from loadtest.cli.children import LOCUST, Child, signals_go_to, wait_until
from loadtest.cli.cores import divide_machine
from loadtest.cli.crew import Crew
from loadtest.cli.run_session import RunError, Session
from loadtest.cli.sizing import sized
from loadtest.configuration.check import objectives_of
from loadtest.configuration.run_config import RunConfig
from loadtest.configuration.run_document import held, write_document
from loadtest.environment import TOKEN_VARIABLE
from loadtest.exit_codes import ExitCode
from loadtest.fleet.checkpoint import CHECKPOINT, Checkpoint
from loadtest.fleet.token import token_in
from loadtest.judge.verdict import judge, settle
from loadtest.measure.run_result import RESULT, Arrivals, RunResult, Transactions
from loadtest.place import EVERYWHERE, Place, is_loopback
from loadtest.publish import wording
from loadtest.publish.console_verdict import print_outcome, print_verdict
from loadtest.publish.run_folder import REPORT, deliver, draw, rescue
from loadtest.publish.step_summary import append_step_summary
from loadtest.run_audit import AuditorError, LedgerError, audit_apart, audit_folder

TEND_S = 1.0
"""How often to look whether a worker has crashed."""


def run(
    config: RunConfig,
    console: Console,
    resumed: Checkpoint | None = None,
    lock: int | None = None,
    service_environment: Mapping[str, str] | None = None,
) -> int:
    """Play a checked run, or what the web UI starts; the (last) verdict's exit code, or a script's own if that is 0.

    `resumed` is where to go on with an interrupted run, whose folder is held by the descriptor `lock`; the order
    service is started with the variables of `service_environment` besides ours.
    Raises `RunError`, `ServiceError` and, where the audit cannot read the store, `StoreError`.
    """
    session = Session(config, console, resumed, lock, service_environment or {})
    before = _written(session.folder)
    with signals_go_to(session.interrupt), _folder_held(session) as session.inherited:
        try:
            _print_beginning(session)
            if config.needs_service:
                session.cores = divide_machine(config.workers)
                session.start_service()
            sized(session)
            if not session.interrupts:
                _lead(session)
        finally:
            session.close()
        master = session.master
        if (
            master is not None
            and master.process.returncode == ExitCode.USAGE
            and _written(session.folder) == before
        ):
            return ExitCode.USAGE  # it has said why
        if resumed is not None and _written(session.folder) == before and not session.interrupts:
            raise RunError(_no_result(session.folder))
        return _conclude(session)


@contextlib.contextmanager
def _folder_held(session: Session) -> Iterator[tuple[int, ...]]:
    """Make the run's folder, and the lock that is free when the last process of the run has ended."""
    if session.lock is not None:
        yield (session.lock,)
        return
    try:
        write_document(session.config, session.folder)
    except OSError as error:
        raise RunError(f"{session.folder}: cannot be written ({error.strerror})") from error
    with held(session.folder) as lock:
        yield (lock,)


def _written(folder: Path) -> int:
    """When the result in `folder` was written, in ns since 1970; 0 if there is none."""
    try:
        return (folder / RESULT).stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _no_result(folder: Path) -> str:
    said = f"the master left no result in {folder}; the end of {folder / 'master.log'} says why"
    if not (folder / CHECKPOINT).is_file():
        return said
    return (
        f"{said}. `singlesday report {folder}` draws one of what it and its workers have saved, "
        f"`singlesday resume {folder}` goes on with the run"
    )


def _print_beginning(session: Session) -> None:
    """Tell a terminal what is being started, since that takes some seconds in which nothing else is shown."""
    config = session.config
    if config.console != "auto" or not session.console.is_terminal:
        return
    started = ["the order service"] * config.needs_service + ["a master"]
    workers = wording.things(config.workers_here, "worker")
    session.console.print(f"Starting {', '.join(started)} and {workers} …", style="dim", soft_wrap=True)


def _lead(session: Session) -> None:
    """Start master and workers and wait for the master to end."""
    config, folder = session.config, session.folder
    write_document(config, folder)  # with the peak that was found, and where the service answers
    master_flags, worker_flags = locust_flags(config, folder)
    environment, inherits = session.environment, session.inherited
    if (
        not config.workers_elsewhere
    ):  # whom others start, at a master on loopback, cannot know one that is drawn
        environment |= new_token()
    if config.workers_elsewhere:
        session.console.print(how_to_join(config), soft_wrap=True, markup=False)
    cores = session.cores.generator
    master = Child("master", master_flags, environment=environment, inherits=inherits, cores=cores)
    session.master = master
    if session.interrupts:  # while there was no master yet to pass it on to
        master.send(session.asked_by)

    def start_worker(name: str) -> Child:
        log = folder / f"{name}.log"
        return Child(name, worker_flags, log=log, environment=environment, inherits=inherits, cores=cores)

    def tell(text: str) -> None:
        if config.console != "quiet":
            session.console.print(text, soft_wrap=True, markup=False)

    crew = session.crew = Crew(config.workers_here, start_worker, tell)
    if config.web:
        address = f"http://127.0.0.1:{config.web_port}"
        session.console.print(
            f"Start runs at {address}; Ctrl-C here ends the web UI and audits its runs.", soft_wrap=True
        )
    _tend(session, master, crew)
    if master.process.returncode != ExitCode.USAGE:  # else it has said what is wrong with the script
        for sentence in crew.last_words():
            tell(sentence)


def _tend(session: Session, master: Child, crew: Crew) -> None:
    """Wait for the master to end, and replace workers that crash meanwhile."""
    while master.running:
        wait_until(lambda: not master.running, timeout_s=TEND_S)
        if master.running and not session.interrupts:
            crew.tend()


def locust_flags(config: RunConfig, folder: Path) -> tuple[list[str], list[str]]:
    """The command lines of the master and of each worker, with Locust's own flags; all else is in `run.json`."""
    port = str(config.control_port or free_port())
    master = [
        *LOCUST,
        "--master",
        "--master-bind-host",
        config.bind,
        "--master-bind-port",
        port,
        "--logfile",
        f"{folder}/master.log",
    ]
    master += ["--csv", f"{folder}/{_csv_prefix(config, folder)}"] if config.csv else []
    master += ["--web-port", str(config.web_port)] if config.web else ["--headless"]
    return master, [*LOCUST, "--worker", "--master-host", _dialled_here(config.bind), "--master-port", port]


def _dialled_here(bind: str) -> str:
    """Where workers on this machine find a master that listens at an address."""
    if bind in EVERYWHERE:
        return "::1" if bind == "::" else "127.0.0.1"
    return bind


def how_to_join(config: RunConfig) -> str:
    """The command that starts a worker for this run, for the console."""
    count, address = config.workers_elsewhere, Place(config.bind, config.control_port)
    waits = f"waiting for {wording.things(count, 'worker')} at {address}"
    if is_loopback(config.bind):
        return (
            f"{waits}; start them on this machine: singlesday worker --master {address}{_token_flag()}\n"
            "workers on other machines can connect only if this run is started with --bind ADDRESS:PORT and "
            "--token-file"
        )
    if config.bind in EVERYWHERE:
        address = Place("ADDRESS-OF-THIS-MACHINE", config.control_port)
    return f"{waits}; start them on each machine: singlesday worker --master {address} --token-file FILE"


def _csv_prefix(config: RunConfig, folder: Path) -> str:
    """Locust begins its files anew, so those of a resumed part do not take the place of the first's."""
    part = 1
    while config.resume and list(folder.glob(f"{_csv_name(part)}_stats*.csv")):
        part += 1
    return _csv_name(part)


def _csv_name(part: int) -> str:
    return "locust" if part == 1 else f"locust_part_{part}"


def _conclude(session: Session) -> int:
    """Audit every run, draw its report again with the audit, and print its verdict."""
    folder, web = session.folder, session.config.web
    codes = [
        _conclude_one(session, path.parent) for path in sorted(folder.glob(f"*/{RESULT}" if web else RESULT))
    ]
    if codes:
        return int(codes[-1]) or _scripts_own_code(session)
    if web:
        return ExitCode.PASS
    if session.interrupts:
        return _conclude_unstarted(session)
    raise RunError(_no_result(folder))


def _scripts_own_code(session: Session) -> int:
    """What a script had the master end with, which a run that passed keeps, as under plain Locust; 0 if nothing."""
    code = session.master.process.returncode if session.master is not None else None
    return max(code or 0, 0)  # a master that a signal ended has a negative code


def _conclude_one(session: Session, folder: Path) -> ExitCode:
    result = RunResult.read(folder / RESULT)
    if result.audit is None and (session.service is not None or session.config.auditor is not None):
        _audit(session, result, folder)
        settle(result)
        _rewrite(result, folder)
    return _announce(session, result, folder)


def _audit(session: Session, result: RunResult, folder: Path) -> None:
    """Audit a run by its class or in the order service's database, or note why that was not possible."""
    auditor = session.config.auditor
    try:
        if auditor is not None:
            result.audit = audit_apart(folder, auditor, session.config.plan_file)
        elif session.service is not None:
            result.audit = audit_folder(folder, result, session.service.store)
    except (LedgerError, AuditorError) as error:
        result.unaudited = str(error)


def _announce(session: Session, result: RunResult, folder: Path) -> ExitCode:
    """Say how a run ended; with `--json`, programs read one more line of JSON and people read stderr."""
    if session.config.web:  # the master has printed the figures
        print_outcome(result, folder / REPORT, session.console)
    else:
        resumable = (folder / CHECKPOINT).exists()
        print_verdict(result, folder / REPORT, session.console, resumable=resumable)
    append_step_summary(result)
    if session.config.console == "json":
        last = {"verdict": result.verdict, "exit_code": result.exit_code, "run_folder": str(folder)}
        sys.stdout.write(json.dumps(last) + "\n")
    return ExitCode(result.exit_code)


def _rewrite(result: RunResult, folder: Path) -> None:
    """Write the result with its audit, and draw the rest anew. Raises `RunError` when the result cannot be kept."""
    try:
        result.write(folder / RESULT)
    except OSError as error:
        rescue(result, sys.stderr)
        raise RunError(
            f"{folder / RESULT} cannot be written ({error.strerror}): the verdict was {result.verdict}, "
            "but it does not count without that file"
        ) from error
    draw(result, folder)


def _conclude_unstarted(session: Session) -> ExitCode:
    """Write the files of a run that was stopped before it began, for CI jobs that collect them."""
    from loadtest.run_info import run_info  # noqa: PLC0415 - gevent with it, which no other run needs here

    config, resumed = session.config, session.resumed
    info = resumed.info if resumed else run_info(config, session.folder)
    info.duration_s = 0.0
    result = RunResult(run=info, arrivals=Arrivals(), transactions=Transactions())
    stopped = f"it was stopped by {session.who_stopped} before it began"
    deliver(judge(result, objectives_of(config), aborted=stopped), session.folder)
    return _announce(session, result, session.folder)


def new_token() -> dict[str, str]:
    """A random run token as an environment variable; empty if one is set already."""
    return {} if token_in(os.environ) else {TOKEN_VARIABLE: secrets.token_urlsafe(32)}


def _token_flag() -> str:
    return " --token-file FILE" if token_in(os.environ) else ""


def free_port() -> int:
    """A TCP port of loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
