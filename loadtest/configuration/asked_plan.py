"""The plan of a run: a shipped name or a file, with the figures that flags or the form override."""

from collections.abc import Callable, Mapping
from typing import Any

from loadtest.configuration.config_error import ConfigError, explained_by
from loadtest.plan.overrides import duration_s, number_above_0, share, whole_number
from loadtest.plan.plan_error import PlanError
from loadtest.plan.plan_file import Plan

_READ: dict[str, Callable[[Any, str], Any]] = {
    "peak_tps": number_above_0,
    "duration": duration_s,
    "time_scale": number_above_0,
    "seed": whole_number,
    "trace_fraction": share,
}
"""How what was typed becomes a figure."""

OVERRIDES = tuple(_READ)
"""What may be put in the place of a plan's own figures."""


def asked_plan(name: str | None, overrides: Mapping[str, str]) -> Plan:
    """The plan as it is to be played. Raises `ConfigError` naming what cannot be used."""
    if not name:
        raise ConfigError(
            "plan",
            "--plan: expected a shipped plan's name or a .toml file: the script's users have wait_time = open_loop() "
            "and send nothing without a plan",
            expected="a shipped plan's name or a .toml file",
        )
    figures = {}
    for field, text in overrides.items():
        try:
            figures[field] = _READ[field](text, f"--{field.replace('_', '-')}")
        except PlanError as error:
            raise explained_by(error, field) from error
    if "duration" in figures:
        figures["duration_s"] = figures.pop("duration")
    try:
        return Plan.load(name).with_overrides(**figures)
    except PlanError as error:
        raise explained_by(error, "plan") from error
