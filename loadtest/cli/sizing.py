"""`--peak-tps auto`: how much this machine can do, found by a probe before the run."""

import os
import subprocess
import sys

import msgspec
from rich.console import Console

from loadtest.cli.peak import Sizing
from loadtest.cli.run_session import RunError, Session
from loadtest.cli.service import Service
from loadtest.plan.plan_file import Plan

PROBE_TIMEOUT_S = 60


def sized(session: Session, host: str) -> list[str]:
    """The flags that scale the plan to what the machine can do, unless a peak was asked for."""
    plan = session.options.plan
    if not session.options.auto_peak or session.interrupts:
        return []
    say = session.console.print if session.options.console != "quiet" else Console(quiet=True).print
    say("Probing what this machine can do …", style="dim")
    sizing = _probe_target(session, plan, host) if session.options.targets else _probe_service(session, plan)
    if sizing is None:  # interrupted
        return []
    say(sizing.in_words(), soft_wrap=True)
    return ["--peak-tps", str(sizing.peak_tps)] if sizing.trials else []


def _probe_service(session: Session, plan: Plan) -> Sizing | None:
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


def _probe_target(session: Session, plan: Plan, host: str) -> Sizing | None:
    """What one generator process drives out of `host`; None when somebody interrupted it."""
    command = [sys.executable, "-m", "loadtest.cli.probe", host]
    environment = {**os.environ, **session.options.allowed}
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
        return None
    if probe.returncode:
        raise RunError(f"the probe of {host} failed: {words.decode(errors='replace')[-500:]}")
    return msgspec.json.decode(said.splitlines()[-1], type=Sizing)
