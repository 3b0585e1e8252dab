"""Who, when and where a run is: what its result opens with, made once at its start."""

import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import psutil

from loadtest.configuration.run_config import RunConfig, public
from loadtest.drive._core import CORE
from loadtest.judge.slo import judgeable
from loadtest.judge.slo_syntax import parse
from loadtest.measure.run_result import RunInfo


def run_info(config: RunConfig, folder: Path) -> RunInfo:
    """Who, when, where, and how it was asked for: what a reader needs to compare this run with another."""
    plan, shown = config.plan, public(config)
    left_out = [expr for expr in plan.slos if not judgeable([parse(expr)], plan.duration_s)]
    return RunInfo(
        id=f"{folder.name}-{uuid4().hex[:6]}",
        plan=plan.name,
        started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        duration_s=plan.duration_s,
        seed=plan.seed,
        versions={name: version(name) for name in ("locust", "gevent", "aiohttp", "httptools")}
        | {"python": platform.python_version(), "client core": CORE},
        machine=machine(),
        targets=shown.addresses,
        settings={
            "peak_tps": plan.peak_tps,
            "time_scale": plan.time_scale,
            "arrivals": plan.arrivals,
            "virtual_users": plan.virtual_users,
            "patience_s": plan.patience_s,
            "scenarios": {s.user: s.per_transaction for s in plan.scenarios},
        }
        | ({"objectives not judged, the run is too short": left_out} if left_out else {}),
        configuration=msgspec.to_builtins(shown),
        phases=[(phase.from_s, phase.to_s, phase.name) for phase in plan.profile().phases],
    )


def machine() -> dict[str, Any]:
    """The machine, as far as it explains numbers."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "cores": psutil.cpu_count() or 0,
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "python": sys.implementation.name,
    }
