"""`--peak-tps auto`: how much this machine can do, found by a probe before the run."""

import os
import subprocess
import sys
from functools import partial

import msgspec
from rich.console import Console

from loadtest.cli.cores import bind
from loadtest.cli.peak import Sizing
from loadtest.cli.run_session import NothingToJudgeError, RunError, Session
from loadtest.cli.service import Service
from loadtest.exit_codes import ExitCode

PROBE_TIMEOUT_S = 90


def sized(session: Session) -> None:
    """Scale the plan to what the machine can do, unless a peak was asked for. Raises `RunError`."""
    config = session.config
    if not config.auto_peak or session.interrupts:
        return
    say = session.console.print if config.console != "quiet" else Console(quiet=True).print
    say("Measuring what this machine can do …", style="dim")
    sizing = probe_service(session) if config.needs_service else _probe_target(session, config.host)
    if sizing is None:  # interrupted
        return
    say(sizing.in_words(), soft_wrap=True)
    if sizing.trials:
        found = {"peak_tps": str(sizing.peak_tps)}
        plan = config.plan.with_overrides(peak_tps=float(sizing.peak_tps))
        session.config = session.config.but(plan=plan, overrides=config.overrides | found)


def probe_service(session: Session) -> Sizing | None:
    """Probe a service of its own, so that the run starts with an empty ledger."""
    folder = session.folder
    database = folder / "probe.db"
    service = Service(
        f"sqlite:///{database.resolve()}",
        folder / "service.log",
        workers=session.config.service_workers,
        cores=session.cores.service,
    )
    try:
        return _probe_target(session, service.url)
    finally:
        service.stop()
        for path in folder.glob("probe.db*"):
            path.unlink()


def _probe_target(session: Session, host: str | None) -> Sizing | None:
    """What one generator process drives out of `host`, or each class's own; None when somebody interrupted it."""
    command = [sys.executable, "-m", "loadtest.cli.probe", *([host] if host else [])]
    environment = {**os.environ, **session.environment}
    at = host or "the target"
    pipe = subprocess.PIPE
    bound = partial(bind, session.cores.generator)
    with subprocess.Popen(  # noqa: S603 - our own program, no shell
        command,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        env=environment,
        preexec_fn=bound,  # noqa: PLW1509 - no threads here
    ) as probe:
        session.probe = probe
        try:
            said, words = probe.communicate(session.config.to_json(), PROBE_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            probe.kill()
            raise RunError(f"the probe of {at} did not end within {PROBE_TIMEOUT_S} s") from error
        finally:
            session.probe = None
    if session.interrupts:
        return None
    if probe.returncode == ExitCode.INVALID:
        raise NothingToJudgeError(f"the probe of {at}: {words.decode(errors='replace').splitlines()[-1]}")
    if probe.returncode:
        raise RunError(f"the probe of {at} failed: {words.decode(errors='replace')[-500:]}")
    return msgspec.json.decode(said.splitlines()[-1], type=Sizing)
