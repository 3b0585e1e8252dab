"""`singlesday simulate`: simulates a plan against more replicas than there are, from measurements of one."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Console
from rich.table import Table

from loadtest.plan.overrides import duration_s, number_above_0
from loadtest.plan.plan_file import Plan
from loadtest.publish.paragraph import print_paragraph
from loadtest.release import installs
from loadtest.simulate.bill import Inputs, bill, read_inputs, rows, shipped_inputs

if TYPE_CHECKING:
    from loadtest.simulate.simulation import Simulated, ZoneLoss

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
    under_way: int | None
    slower: float
    zone_lost: str | None
    zones: int
    page: Path | None
    json_lines: bool


def simulate_plan(asked: Asked, console: Console) -> None:
    """Simulate, and print what was found. Raises `SimulationError`, `PlanError`, `OSError`."""
    _check(asked)
    number_above_0(asked.replica_tps, "--replica-tps")
    lost_at_s = duration_s(asked.zone_lost, "--zone-lost")
    if lost_at_s is not None and lost_at_s >= asked.plan.duration_s:
        raise SimulationError(
            f"--zone-lost: expected a time within the plan's {asked.plan.duration_s:g} s, got {asked.zone_lost}"
        )
    try:
        from loadtest.simulate import simulation, source  # noqa: PLC0415 - numpy is an extra
        from loadtest.simulate.arrivals import Curve  # noqa: PLC0415
        from loadtest.simulate.replica import Replica, machine_words  # noqa: PLC0415
    except ImportError as missing:
        raise SimulationError(f"a simulation needs the package numpy: {installs('analysis')}") from missing
    if asked.source is None:
        raise SimulationError(
            "--from: expected the folder of a `singlesday capacity` search or of a run, whose measurements "
            "are simulated"
        )
    try:
        replica: Replica = source.replica_from(
            asked.source, asked.replica_tps, asked.at_once, asked.plan.seed, asked.under_way
        )
    except source.SourceError as error:
        raise SimulationError(str(error)) from error
    loss = simulation.ZoneLoss(lost_at_s, asked.zones) if lost_at_s is not None else None
    curve, every = Curve.of(asked.plan), []
    for replicas in asked.replicas:
        with console.status(f"{replicas:,} replicas, {curve.total:,.0f} arrivals …"):
            what_if = simulation.WhatIf(replicas, asked.slower, loss)
            every.append(simulation.simulate(curve, replica, what_if, asked.plan.seed))
    words = machine_words(replica)
    _tell(asked, every, _sentences(asked, words, loss), words, console)


def _check(asked: Asked) -> None:
    if not asked.replicas or not all(0 < count <= MOST_REPLICAS for count in asked.replicas):
        raise SimulationError(f"--replicas: expected 1 to {MOST_REPLICAS:,}, got {asked.replicas}")
    if not 0 < asked.slower < float("inf"):
        raise SimulationError(f"--slower: expected a factor above 0, got {asked.slower:g}")
    if asked.under_way is not None and asked.under_way < asked.at_once:
        raise SimulationError(
            f"--under-way: expected at least the {asked.at_once} of --at-once, got {asked.under_way}"
        )
    if not asked.zones >= 2:
        raise SimulationError(f"--zones: expected at least 2, got {asked.zones}")
    if asked.zone_lost is not None and min(asked.replicas) < asked.zones:
        raise SimulationError(
            f"--zone-lost: expected at least as many replicas as zones, got {min(asked.replicas)} and {asked.zones}"
        )
    if asked.page is not None and not os.access(asked.page.parent, os.W_OK):
        raise SimulationError(f"--html: expected a file in a folder that can be written to, got {asked.page}")
    total = asked.plan.profile().total
    if total > MOST_ARRIVALS:
        raise SimulationError(
            f"plan {asked.plan.name}: expected at most {MOST_ARRIVALS:,} arrivals to simulate, got {total:,.0f}; "
            "shorten it with --duration"
        )


def _tell(
    asked: Asked, every: "list[Simulated]", settings: list[str], replica: dict[str, Any], console: Console
) -> None:
    from loadtest.publish import simulation_page  # noqa: PLC0415 - it needs numpy

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
        print_paragraph(console, sentence, style="dim")
    console.print(simulation_page.table(every))
    console.print(
        f"projected, not measured; simulated in {sum(found.took_s for found in every):.1f} s", soft_wrap=True
    )
    if asked.page is not None:
        console.print(f"wrote {asked.page}", soft_wrap=True, markup=False)


def _sentences(asked: Asked, replica: dict[str, Any], loss: "ZoneLoss | None") -> list[str]:
    kind = replica["kind"]
    said = [
        (
            f"One replica, from {asked.source}: at most {replica['tps']:,.0f} transactions a second, {kind}, "
            f"{replica['commit_p50_ms']:.2f} ms at p50 and {replica['commit_p99_ms']:.2f} ms at p99."
        )
    ]
    if asked.slower != 1:
        said.append(f"What if: everything takes {asked.slower:g} times as long.")
    if loss is not None:
        said.append(
            f"What if: one of {loss.zones} zones is lost at {asked.zone_lost}, noticed after "
            f"{loss.noticed_after_s:g} s."
        )
    return said


def print_bill(tps: float, inputs: Path | None, json_lines: bool, console: Console) -> None:
    """Print what a rate takes. Raises `SimulationError`, `PlanError`."""
    number_above_0(tps, "--for")
    measured = _measured(inputs)
    try:
        lines, found = bill(tps, measured), rows(tps, measured)
    except OverflowError:
        raise SimulationError(f"--for: expected a rate that can be reckoned with, got {tps:g}") from None
    if json_lines:
        document = {"tps": tps, "projected": True, "lines": [line._asdict() for line in lines]}
        sys.stdout.write(json.dumps(document) + "\n")
        return
    print_paragraph(
        console, f"{tps:,.0f} orders a second, projected from what was measured on: {measured.machine}"
    )
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    for name, side in (("", "left"), ("", "left"), ("estimate", "right"), ("interval", "right")):
        table.add_column(name, justify=side, no_wrap=True)  # type: ignore[arg-type]  # one of its words
    for row in found:
        table.add_row(*row[:4])
    console.print(table)
    console.print(
        "Each line follows from measurements; --inputs FILE takes your own.",
        style="dim",
        soft_wrap=True,
    )


def _measured(inputs: Path | None) -> Inputs:
    """The measurements in a file, or those that are shipped. Raises `SimulationError`."""
    try:
        return shipped_inputs() if inputs is None else read_inputs(inputs.read_bytes())
    except OSError as error:
        raise SimulationError(f"--inputs {inputs}: cannot be read ({error.strerror})") from error
    except msgspec.MsgspecError as error:
        raise SimulationError(f"--inputs {inputs}: {error}") from error
