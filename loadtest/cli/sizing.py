"""`--peak-tps auto`: how much this machine can do, found by a probe before the run."""

import json
import os
import subprocess
import sys

from rich.console import Console

from loadtest.cli.run_session import RunError, Session
from loadtest.cli.service import Service
from loadtest.plan.plan_file import Plan

PROBE_FRACTION = 0.4
"""Share of what the probe found that `--peak-tps auto` plays. The probe saturates the machine in a closed loop;
an open loop at more than about 0.7 of that queues without end, and a disk or a neighbour that pauses needs room to
catch up."""
PROBE_TIMEOUT_S = 60


def sized(session: Session, host: str) -> list[str]:
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
        return 0.0
    if probe.returncode:
        raise RunError(f"the probe of {host} failed: {words.decode(errors='replace')[-500:]}")
    return float(json.loads(said.splitlines()[-1])["tps"])
