"""`singlesday simulate`: a plan played to more replicas than there are, event by event, from one measured."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Console

from loadtest.plan.overrides import duration_s
from loadtest.plan.plan_file import Plan

if TYPE_CHECKING:
    from loadtest.simulate.simulation import Simulated

MOST_REPLICAS = 100_000
MOST_ARRIVALS = 2_000_000_000


class SimulationError(Exception):
    """A simulation cannot be made of what was asked for."""


@dataclass(frozen=True)
class Asked:
    """What was asked for, as it was typed."""

    plan: Plan
    replicas: list[int]
    source: Path | None
    replica_tps: float | None
    at_once: int
    slower: float
    zone_lost: str | None
    zones: int
    page: Path | None
    json_lines: bool


def simulate_plan(asked: Asked, console: Console) -> None:
    """Simulate, and print what was found. Raises `SimulationError`, `PlanError`, `OSError`."""
    _check(asked)
    lost_at_s = duration_s(asked.zone_lost, "--zone-lost")
    if lost_at_s is not None and lost_at_s >= asked.plan.duration_s:
        raise SimulationError(
            f"--zone-lost: expected an instant within the plan's {asked.plan.duration_s:g} s, got {asked.zone_lost}"
        )
    try:
        from loadtest.simulate import simulation, source  # noqa: PLC0415 - numpy is an extra
        from loadtest.simulate.replica import Replica, machine_words  # noqa: PLC0415
    except ImportError as missing:
        raise SimulationError('a simulation needs numpy: install "singlesday[analysis]"') from missing
    if asked.source is None:
        raise SimulationError(
            "--from: expected the folder of `singlesday capacity`, or of a run: a simulation draws from what they "
            "measured"
        )
    try:
        replica: Replica = source.replica_from(
            asked.source, asked.replica_tps, asked.at_once, asked.plan.seed
        )
    except source.SourceError as error:
        raise SimulationError(str(error)) from error
    loss = simulation.ZoneLoss(lost_at_s, asked.zones) if lost_at_s is not None else None
    every = []
    for replicas in asked.replicas:
        with console.status(f"{replicas:,} replicas, {asked.plan.profile().total:,.0f} arrivals …"):
            what_if = simulation.WhatIf(replicas, asked.slower, loss)
            every.append(simulation.simulate(asked.plan.profile(), replica, what_if, asked.plan.seed))
    _tell(asked, every, machine_words(replica), console)


def _check(asked: Asked) -> None:
    if not asked.replicas or not all(0 < count <= MOST_REPLICAS for count in asked.replicas):
        raise SimulationError(f"--replicas: expected 1 to {MOST_REPLICAS:,}, got {asked.replicas}")
    if not 0 < asked.slower < float("inf"):
        raise SimulationError(f"--slower: expected a factor above 0, got {asked.slower:g}")
    if not asked.zones >= 2:
        raise SimulationError(f"--zones: expected at least 2, got {asked.zones}")
    if asked.zone_lost is not None and min(asked.replicas) < asked.zones:
        raise SimulationError(
            f"--zone-lost: expected at least as many replicas as zones, got {min(asked.replicas)} and {asked.zones}"
        )
    total = asked.plan.profile().total
    if total > MOST_ARRIVALS:
        raise SimulationError(
            f"plan {asked.plan.name}: {total:,.0f} arrivals are more than the {MOST_ARRIVALS:,} that are simulated; "
            "give --duration"
        )


def _tell(asked: Asked, every: "list[Simulated]", replica: dict[str, Any], console: Console) -> None:
    from loadtest.publish import simulation_page  # noqa: PLC0415 - it needs numpy

    settings = _sentences(asked, replica)
    if asked.page is not None:
        simulation_page.write(
            f"{asked.plan.name} at {asked.plan.peak_tps:,.0f} TPS", settings, every, asked.page
        )
    if asked.json_lines:
        document = {
            "plan": asked.plan.name,
            "peak_tps": asked.plan.peak_tps,
            "projected": True,
            "replica": replica,
            "simulated": [msgspec.to_builtins(found) for found in every],
        }
        sys.stdout.write(json.dumps(document) + "\n")
        return
    for sentence in settings:
        console.print(sentence, style="dim", soft_wrap=True)
    console.print(simulation_page.table(every))
    console.print(f"projected; simulated in {sum(found.took_s for found in every):.1f} s", soft_wrap=True)
    if asked.page is not None:
        console.print(f"wrote {asked.page}", soft_wrap=True, markup=False)


def _sentences(asked: Asked, replica: dict[str, Any]) -> list[str]:
    kind = replica["kind"]
    said = [
        (
            f"One replica, from {asked.source}: at most {replica['tps']:,.0f} transactions a second, {kind}, "
            f"{replica['commit_p50_ms']:.2f} ms at p50 and {replica['commit_p99_ms']:.2f} ms at p99."
        )
    ]
    if asked.slower != 1:
        said.append(f"What if: everything takes {asked.slower:g} times as long.")
    if asked.zone_lost is not None:
        said.append(f"What if: one of {asked.zones} zones is lost at {asked.zone_lost}, noticed after 5 s.")
    return said
