"""What the types of a `Plan` cannot say: how its numbers, names, scenarios and faults have to go together."""

from __future__ import annotations

import re
from math import isfinite
from typing import TYPE_CHECKING, Any

import msgspec

from loadtest.plan.allowed_host import allowed_host
from loadtest.plan.curve import LONGEST_S, Curve, check_curve
from loadtest.plan.duration import format_duration
from loadtest.plan.fault import check_faults
from loadtest.plan.feeder_table import check_feeder
from loadtest.plan.plan_error import PlanError

if TYPE_CHECKING:
    from loadtest.plan.plan_file import Plan, Scenario

_TRANSACTIONS_TOLERANCE = 1e-9
_MOST_TRANSACTIONS = 2.0**53  # beyond it they cannot be told apart by a float
USER_CLASS = re.compile(r"[^\W\d][\w-]*(\.[^\W\d][\w-]*)*:[^\W\d]\w*")
"""Names of modules and classes, in any alphabet, as Python has them; a file loaded by its path may have hyphens."""
_NAME = re.compile(r"[^/\\\x00-\x1f]{1,100}")


def check_plan(plan: Plan, source: str) -> None:
    """Check a whole plan; `source` is what errors begin with. Raises PlanError."""
    _check_numbers(msgspec.to_builtins(plan), source)
    if not _NAME.fullmatch(plan.name) or plan.name in {".", ".."}:
        raise PlanError(
            f"{source}: name: expected up to 100 characters that can name a folder, got {plan.name!r:.120}"
        )
    if plan.duration_s > LONGEST_S:
        raise PlanError(f"{source}: duration: expected at most 366 days, got {plan.duration_s:g} s")
    for target in plan.targets:
        allowed_host(target, f"{source}: targets")
    _check_scenarios(plan, source)
    total = _checked_total(plan, plan.curve, f"{source}: profile", source)
    if total < 1:
        raise PlanError(f"{source}: profile: expected at least one transaction, got {total:g}")
    for i, scenario in enumerate(plan.scenarios):
        if scenario.curve is not None:
            _checked_total(plan, scenario.curve, f"{source}: scenario[{i}].profile", source)


def _checked_total(plan: Plan, curve: Curve, where: str, source: str) -> float:
    """How many arrivals a curve has as played, at `peak_tps`. Raises PlanError for one that cannot be played."""
    check_curve(curve, where)
    try:
        longest_s = curve.profile(plan.duration_s / plan.time_scale).duration_s * plan.time_scale
        if plan.duration_s > longest_s * (1 + 1e-9):
            raise PlanError(
                f"{source}: duration: expected at most {format_duration(longest_s)}, the length of curve "
                f"{curve.name} at time scale {plan.time_scale:g}, "
                f"got {format_duration(plan.duration_s)}"
            )
        check_faults(
            plan.faults, plan.duration_s, {p.name for p in plan.normally_played(curve).phases}, source
        )
        total = plan.played(curve).total
    except PlanError:
        raise
    except (ValueError, OverflowError) as error:
        raise PlanError(f"{where}: {error}") from error
    if not total <= _MOST_TRANSACTIONS:
        raise PlanError(f"{source}: peak_tps: expected fewer than {_MOST_TRANSACTIONS:g} transactions in all")
    return total


def _check_scenarios(plan: Plan, source: str) -> None:
    for i, scenario in enumerate(plan.scenarios):
        if not USER_CLASS.fullmatch(scenario.user):
            raise PlanError(f'{source}: scenario[{i}].user: expected "module:Class", got "{scenario.user}"')
        if scenario.transaction and scenario.curve is not None:
            raise PlanError(
                f"{source}: scenario[{i}].profile: expected none, since this scenario is the transaction, "
                "which follows "
                "[profile]"
            )
        if scenario.feeder is not None:
            check_feeder(scenario.feeder, f"{source}: scenario[{i}].feeder")
    _check_class_names(plan.scenarios, source)
    transactions = [s.per_transaction for s in plan.scenarios if s.transaction]
    if not transactions:
        raise PlanError(
            f"{source}: scenario: expected at least one [[scenario]] (the first is the transaction)"
        )
    if abs(sum(transactions) - 1) > _TRANSACTIONS_TOLERANCE:
        raise PlanError(
            f"{source}: scenario: expected per_transaction of the scenarios with transaction = true "
            f"to add up to 1, got {sum(transactions):g}"
        )


def _check_class_names(scenarios: tuple[Scenario, ...], source: str) -> None:
    """Raise `PlanError` where two classes have one name: Locust's statistics and ours know classes by name."""
    first: dict[str, str] = {}
    for i, scenario in enumerate(scenarios):
        name = scenario.user.partition(":")[2]
        if name in first:
            raise PlanError(
                f"{source}: scenario[{i}].user: expected a class name that no other scenario has, got "
                f'"{scenario.user}" beside "{first[name]}"; Locust tells classes apart by name'
            )
        first[name] = scenario.user


def _check_numbers(value: Any, source: str, key: str = "") -> None:
    """Raise `PlanError` for nan and inf, which TOML allows."""
    if isinstance(value, dict):
        for name, inner in value.items():
            _check_numbers(inner, source, f"{key}.{name}".lstrip("."))
    elif isinstance(value, list | tuple):
        for i, inner in enumerate(value):
            _check_numbers(inner, source, f"{key}[{i}]")
    elif isinstance(value, float) and not isfinite(value):
        raise PlanError(f"{source}: {key}: expected a finite number, got {value}")
