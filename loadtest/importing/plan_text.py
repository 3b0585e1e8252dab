"""A plan as TOML, with what it was made of and what was left out or guessed at its head."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from loadtest.importing.curve_fit import Knot
from loadtest.importing.import_error import one_line

_LINE = 110


class PlannedScenario(NamedTuple):
    """A scenario: its class in the script, and its arrivals for each transaction."""

    class_name: str
    per_transaction: float
    transaction: bool = False
    """Whether each of its arrivals is a transaction; the first of a plan is one anyway."""
    knots: Sequence[Knot] = ()
    """Its own curve, in arrivals a second; empty where it follows the plan's."""


class PlanText(NamedTuple):
    """What goes into the file. `knots` are in transactions a second; `curve_csv` is a file that has them instead."""

    name: str
    module: str
    made_of: str
    notes: Sequence[str]
    knots: Sequence[Knot]
    scenarios: Sequence[PlannedScenario]
    """The first is the transaction."""
    virtual_users: int
    slos: Sequence[str] = ()
    curve_csv: str | None = None
    peak_tps: float = 0.0
    """With `curve_csv`."""
    patience_s: int | None = None
    """The plan's own where None."""


def plan_toml(plan: PlanText) -> str:
    """The file's text."""
    lines = [f"# {one_line(plan.made_of)}", "#", "# Left out or guessed:"]
    for note in plan.notes or ("nothing",):
        lines += _comment(note)
    lines += ["", f"name = {json.dumps(plan.name)}"]
    if plan.curve_csv:
        lines.append(f"peak_tps = {plan.peak_tps:.9g}")
    lines.append(f"virtual_users = {plan.virtual_users}")
    if plan.patience_s is not None:
        lines.append(f"patience_s = {plan.patience_s}")
    lines += ["", "[profile]"]
    if plan.curve_csv:
        lines.append(f"csv = {json.dumps(plan.curve_csv)}")
    else:
        lines += _knots(plan.knots, "transactions")
    for number, scenario in enumerate(plan.scenarios):
        lines += ["", "[[scenario]]", f'user = "{plan.module}:{scenario.class_name}"']
        if (number or scenario.transaction) and not scenario.knots:
            lines.append(f"per_transaction = {scenario.per_transaction:.12g}")
        if scenario.transaction or not number:
            lines.append("transaction = true")
        if scenario.knots:
            lines += ["[scenario.profile]", *_knots(scenario.knots, "arrivals")]
    for slo in plan.slos:
        lines += ["", "[[slo]]", f"expr = {json.dumps(slo, ensure_ascii=False)}"]
    return "\n".join([*lines, ""])


def _knots(knots: Sequence[Knot], what: str) -> list[str]:
    return [
        f"knots_tps = [  # seconds, {what} a second",
        *(f"  [{at:.9g}, {rate:.9g}]," for at, rate in knots),
        "]",
    ]


def when(second: int) -> str:
    """An instant as people and programs read it."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _comment(note: str) -> list[str]:
    """A note as comments: no line of it is without its sign, whatever names and paths it holds."""
    words, lines, line = one_line(note).split(" "), [], "#  -"
    for word in words:
        if len(line) + len(word) >= _LINE:
            lines.append(line)
            line = "#   "
        line += f" {word}"
    return [*lines, line]
