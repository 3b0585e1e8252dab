"""`singlesday run`: service, master and workers as processes, one run, one verdict.

This process measures nothing. It checks the input before anything starts, starts the others in order, passes a
Ctrl-C on as a request to stop, audits the books when the run is over, and prints the verdict. The master, a
plain Locust process with our plugin, leads the run and writes the run folder.
"""

import contextlib
import json
import os
import secrets
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from loadtest.cli.children import Child, wait_until
from loadtest.cli.run_session import RunError, RunOptions, Session
from loadtest.cli.service import Service
from loadtest.cli.settings import held, write_settings
from loadtest.cli.sizing import sized
from loadtest.environment import TOKEN_VARIABLE
from loadtest.exit_codes import ExitCode
from loadtest.judge.slo_syntax import parse
from loadtest.judge.verdict import judge, settle
from loadtest.measure.run_result import Arrivals, RunResult, Transactions
from loadtest.publish.run_folder import REPORT, RESULT, deliver, draw, rescue
from loadtest.publish.step_summary import append_step_summary
from loadtest.publish.summary import print_verdict
from loadtest.run_audit import IncompleteBooksError, audit_folder
from loadtest.run_info import run_info

LOCUSTFILE = Path(__file__).parent.parent / "locustfile.py"


def run(options: RunOptions, console: Console) -> ExitCode:
    """Play a plan, or what the web UI starts; the (last) verdict's exit code.

    Raises `RunError` and `ServiceError`.
    """
    session = Session(options, console)
    before = _written(options.folder)
    with _signals(session), _folder_held(options) as session.inherited:
        try:
            host = options.targets[0] if options.targets else _start_service(session)
            peak = sized(session, host)
            if not session.interrupts:
                _lead(session, host, peak)
        finally:
            session.close()
        if options.resumed is not None and _written(options.folder) == before and not session.interrupts:
            raise RunError(_no_result(options.folder))
        return _conclude(session)


@contextlib.contextmanager
def _folder_held(options: RunOptions) -> Iterator[tuple[int, ...]]:
    """Make the run's folder, and the lock that is free when the last process of the run has ended."""
    if options.lock is not None:
        yield (options.lock,)
        return
    options.folder.mkdir(parents=True)
    if options.web:  # several runs, each in a folder of its own, and nobody to resume them
        yield ()
        return
    try:
        write_settings(options.settings, options.folder)
    except OSError as error:
        raise RunError(f"{options.folder}: cannot be written ({error.strerror})") from error
    with held(options.folder) as lock:
        yield (lock,)


def _written(folder: Path) -> int:
    """When the result there was written, in nanoseconds; 0 if there is none."""
    try:
        return (folder / RESULT).stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _no_result(folder: Path) -> str:
    return f"the master left no result in {folder}; its last words are in {folder / 'master.log'}"


def _start_service(session: Session) -> str:
    options = session.options
    store = options.store or f"sqlite:///{(options.folder / 'orders.db').resolve()}"
    session.service = Service(
        store,
        options.folder / "service.log",
        workers=options.service_workers,
        inherits=session.inherited,
    )
    return session.service.url


def _lead(session: Session, host: str, peak: list[str]) -> None:
    """Start master and workers and wait for the master to end."""
    options = session.options
    port = str(free_port())
    locust = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE)]
    environment = options.allowed | new_token()
    flags = _master_flags(options, host) + peak
    metrics = session.service.metrics_url if session.service is not None else options.service_metrics
    flags += ["--service-metrics", metrics] if metrics else []
    inherits = session.inherited
    command = [*locust, "--master", "--master-bind-port", port, *flags]
    master = Child("master", command, environment=environment, inherits=inherits)
    session.master = master
    if session.interrupts:  # while there was no master yet to pass it on to
        master.send(signal.SIGTERM)
    for name in (f"worker-{number + 1}" for number in range(options.workers)):
        worker = [*locust, "--worker", "--master-port", port]
        log = options.folder / f"{name}.log"
        session.workers.append(Child(name, worker, log=log, environment=environment, inherits=inherits))
    if options.web:
        address = f"http://127.0.0.1:{options.web_port}"
        session.console.print(
            f"The web UI is at {address}; Ctrl-C ends it and audits its runs.", soft_wrap=True
        )
    while master.running:
        wait_until(lambda: not master.running, timeout_s=3600)


def _master_flags(options: RunOptions, host: str) -> list[str]:
    folder = str(options.folder)
    flags = [*options.plan_flags, "--host", host, "--expect-workers", str(options.workers)]
    flags += ["--console", options.console, "--logfile", f"{folder}/master.log"]
    flags += ["--checkpoint", f"{options.checkpoint_s}s"]
    flags += [part for url in options.targets[1:] for part in ("--also", url)]
    flags += [part for expr in options.slos for part in ("--slo", expr)]
    flags += [part for name in options.allow_hosts for part in ("--allow-host", name)]
    flags += ["--metrics-port", str(options.metrics_port)] if options.metrics_port is not None else []
    flags += ["--remote-write", options.remote_write] if options.remote_write else []
    flags += ["--csv", f"{folder}/{_csv_prefix(options)}"] if options.csv else []
    flags += ["--resume"] if options.resumed is not None else []
    if options.web:  # several runs, each in a folder of its own below this session's
        return [*flags, "--web-port", str(options.web_port), "--out", folder]
    return [*flags, "--headless", "--run-dir", folder]


def _csv_prefix(options: RunOptions) -> str:
    """Locust begins its files anew, so those of a resumed part do not take the place of the first's."""
    part = len(options.resumed.info.resumed_s) + 2 if options.resumed is not None else 1
    return "locust" if part == 1 else f"locust_part_{part}"


def _conclude(session: Session) -> ExitCode:
    """Audit every run, draw its report again with the audit, and print its verdict."""
    folder, web = session.options.folder, session.options.web
    codes = [
        _conclude_one(session, path.parent) for path in sorted(folder.glob(f"*/{RESULT}" if web else RESULT))
    ]
    if codes:
        return codes[-1]
    if web:
        return ExitCode.PASS
    if session.interrupts:
        return _conclude_unstarted(session)
    raise RunError(_no_result(folder))


def _conclude_one(session: Session, folder: Path) -> ExitCode:
    result = RunResult.read(folder / RESULT)
    if session.service is not None:
        try:
            result.audit = audit_folder(folder, result, session.service.store)
        except IncompleteBooksError as error:
            result.unaudited = str(error)
        settle(result)
        _rewrite(result, folder)
    return _announce(session, result, folder)


def _announce(session: Session, result: RunResult, folder: Path) -> ExitCode:
    """Say how a run ended; with `--json`, programs read one more line of JSON and people read stderr."""
    print_verdict(result, folder / REPORT, session.console)
    append_step_summary(result)
    if session.options.console == "json":
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
            "but a result without its evidence is none"
        ) from error
    draw(result, folder)


def _conclude_unstarted(session: Session) -> ExitCode:
    """Leave the artefacts of a run that was stopped before it began: whoever collects them finds them."""
    options = session.options
    resumed = options.resumed
    info = resumed.info if resumed else run_info(options.plan, options.targets, options.folder)
    info.duration_s = 0.0
    slos = [parse(expr) for expr in (*options.plan.slos, *options.slos)]
    result = RunResult(run=info, arrivals=Arrivals(), transactions=Transactions())
    deliver(judge(result, slos, aborted="it was stopped by a signal before it began"), options.folder)
    return _announce(session, result, options.folder)


def plan_flags(name: str, **overrides: object) -> list[str]:
    """What Locust's command line needs to play the same plan; overrides that are None are left out."""
    given = {f"--{key.replace('_', '-')}": value for key, value in overrides.items() if value is not None}
    return ["--plan", name, *(part for flag, value in given.items() for part in (flag, str(value)))]


def new_token() -> dict[str, str]:
    """The variable that lets master and workers know each other, unless whoever started us has set it."""
    return {} if os.environ.get(TOKEN_VARIABLE) else {TOKEN_VARIABLE: secrets.token_urlsafe(32)}


def free_port() -> int:
    """A TCP port of loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def _signals(session: Session) -> Iterator[None]:
    """Turn SIGINT and SIGTERM into a request to stop, and put the old handlers back."""
    before = {number: signal.signal(number, session.interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
