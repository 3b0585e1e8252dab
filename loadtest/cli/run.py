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
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from rich.console import Console

from loadtest.cli.children import Child, wait_until
from loadtest.cli.service import Service, ServiceError
from loadtest.cli.settings import RunSettings, held, write_settings
from loadtest.exit_codes import ExitCode
from loadtest.fleet.checkpoint import Checkpoint
from loadtest.fleet.run_token import TOKEN_VARIABLE
from loadtest.judge.slo_syntax import parse
from loadtest.judge.verdict import judge, settle
from loadtest.measure.run_result import Arrivals, RunResult, Transactions
from loadtest.plan.plan_file import Plan
from loadtest.publish.run_folder import REPORT, RESULT, deliver, draw, rescue
from loadtest.publish.step_summary import append_step_summary
from loadtest.publish.summary import print_verdict
from loadtest.run_audit import IncompleteBooksError, audit_folder
from loadtest.run_info import run_info

__all__ = ["RunError", "RunOptions", "ServiceError", "free_port", "plan_flags", "run"]

LOCUSTFILE = Path(__file__).parent.parent / "locustfile.py"
PROBE_FRACTION = 0.4
"""Share of what the probe found that `--peak-tps auto` plays. The probe saturates the machine in a closed loop;
an open loop at more than about 0.7 of that queues without end, and a disk or a neighbour that pauses needs room to
catch up."""
PROBE_TIMEOUT_S = 60
WORKER_START_TIMEOUT_S = 30
STOP_GRACE_S = 15


class RunError(Exception):
    """The run could not be started or went wrong beyond a verdict."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the command line asked for, checked."""

    plan: Plan
    plan_flags: list[str]
    """The flags, for Locust, that make this plan: its name and what was overridden."""
    auto_peak: bool
    workers: int
    service_workers: int
    store: str | None
    targets: list[str]
    slos: list[str]
    allow_hosts: list[str]
    folder: Path
    console: str
    web: bool = False
    web_port: int = 8089
    metrics_port: int | None = None
    remote_write: str | None = None
    """Where to push the run's metrics."""
    service_metrics: str | None = None
    """The Prometheus page of a target that is not our own service."""
    csv: bool = False
    """Whether to leave Locust's own CSV files in the run folder too."""
    checkpoint_s: float = 60.0
    resumed: Checkpoint | None = None
    """Where to go on, for a run that was interrupted; `plan_flags` and `slos` are empty then."""
    lock: int | None = None
    """The descriptor that holds the folder of such a run."""

    @property
    def settings(self) -> RunSettings:
        """What `singlesday resume` needs to go on with this run."""
        return RunSettings(
            workers=self.workers,
            service_workers=self.service_workers,
            store=self.store,
            targets=self.targets,
            allow_hosts=self.allow_hosts,
            service_metrics=self.service_metrics,
            csv=self.csv,
            checkpoint_s=self.checkpoint_s,
        )


@dataclass(slots=True)
class Session:
    """The children of one run, and whether somebody asked it to stop."""

    options: RunOptions
    console: Console
    service: Service | None = None
    probe: "subprocess.Popen[bytes] | None" = None
    master: Child | None = None
    workers: list[Child] = field(default_factory=list)
    interrupts: int = 0
    inherited: tuple[int, ...] = ()
    """What every child holds open too: the run's lock."""

    def interrupt(self, _number: int, _frame: FrameType | None) -> None:
        """Ask the master to end the run; on the second signal, do not wait for it."""
        self.interrupts += 1
        if self.probe is not None:
            self.probe.terminate()
        if self.master is not None:
            self.master.send(signal.SIGTERM if self.interrupts == 1 else signal.SIGKILL)
        elif self.interrupts > 1:
            raise KeyboardInterrupt

    def close(self) -> None:
        """End every child that is left."""
        if self.master is not None:
            self.master.stop(STOP_GRACE_S)
        for worker in self.workers:
            worker.send(signal.SIGTERM)
        for worker in self.workers:
            worker.stop(timeout_s=3)
        if self.service is not None:
            self.service.stop()


def run(options: RunOptions, console: Console) -> ExitCode:
    """Play a plan, or what the web UI starts; the (last) verdict's exit code.

    Raises `RunError` and `ServiceError`.
    """
    session = Session(options, console)
    before = _written(options.folder)
    with _signals(session), _folder_held(options) as session.inherited:
        try:
            host = options.targets[0] if options.targets else _start_service(session)
            peak = _sized(session, host)
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


def _sized(session: Session, host: str) -> list[str]:
    """The flags that scale the plan to what the machine can do, unless a peak was asked for."""
    plan = session.options.plan
    if not session.options.auto_peak or session.interrupts:
        return []
    say = session.console.print if session.options.console != "quiet" else Console(quiet=True).print
    say("Probing what this machine can do …", style="dim")
    tps = _probe_target(session, plan, host) if session.options.targets else _probe_service(session, plan)
    if not tps:  # interrupted
        return []
    peak_tps = max(1, round(tps * PROBE_FRACTION))
    say(
        f"At full speed {tps:,.0f} orders/s in a closed loop; "
        f"the plan will peak at {peak_tps:,} ({PROBE_FRACTION:.0%}).",
        soft_wrap=True,
    )
    return ["--peak-tps", str(peak_tps)]


def _probe_service(session: Session, plan: Plan) -> float:
    """Probe a service of its own, so that the run starts with empty books."""
    folder = session.options.folder
    database = folder / "probe.db"
    service = Service(
        f"sqlite:///{database.resolve()}",
        folder / "service.log",
        workers=session.options.service_workers,
    )
    try:
        return _probe_target(session, plan, service.url)
    finally:
        service.stop()
        for path in folder.glob("probe.db*"):
            path.unlink()


def _probe_target(session: Session, plan: Plan, host: str) -> float:
    """What one generator process drives out of `host`; 0 when somebody interrupted it."""
    command = [sys.executable, "-m", "loadtest.cli.probe", host]
    environment = {**os.environ, **_allowed(session.options)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment) as probe:  # noqa: S603
        session.probe = probe
        try:
            said, words = probe.communicate(plan.to_json(), PROBE_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            probe.kill()
            raise RunError(f"the probe of {host} did not end within {PROBE_TIMEOUT_S} s") from error
        finally:
            session.probe = None
    if session.interrupts:
        return 0.0
    if probe.returncode:
        raise RunError(f"the probe of {host} failed: {words.decode(errors='replace')[-500:]}")
    return float(json.loads(said.splitlines()[-1])["tps"])


def _lead(session: Session, host: str, peak: list[str]) -> None:
    """Start master and workers and wait for the master to end."""
    options = session.options
    port = str(free_port())
    locust = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE)]
    environment = _allowed(options) | new_token()
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


def _allowed(options: RunOptions) -> dict[str, str]:
    hosts = [*options.plan.targets, *options.allow_hosts]
    return {"LOADTEST_ALLOW_HOSTS": ",".join(hosts)} if hosts else {}


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
