"""Decides, second by second, whether a run has become pointless and must stop.

A condition is an objective turned round, with how long it must hold: `errors(*) > 50% for 5 s`. It is judged
by the timeline's points as they arrive, so it sees whole-run metrics and the percentiles a point carries.

A second without data neither starts nor ends a breach: a target that hangs answers nothing at all, and the
breach that led up to it has not healed. A target that never answered is caught by `goodput < 1tps for 5 s`.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from loadtest.judge.bound import holds, with_unit
from loadtest.judge.observation import NAMED_QUANTILES
from loadtest.judge.slo_syntax import GOODPUT, Slo, SloError, parse
from loadtest.measure.run_result import TimelinePoint

_FOR = re.compile(r"\s+for\s+(\d+(?:\.\d+)?)\s*s\s*$")

_METRICS: dict[str, Callable[[TimelinePoint], float | None]] = {
    "errors": lambda p: p.failures / p.requests if p.requests else None,
    "requests": lambda p: p.requests,
    "goodput": lambda p: p.completed_tps,
    "started_rate": lambda p: p.started / p.scheduled if p.scheduled else None,
    "dropped": lambda p: p.dropped,
    "mean": lambda p: p.response_ms.mean if p.response_ms.count else None,
    "max": lambda p: p.response_ms.max if p.response_ms.count else None,
}


@dataclass(frozen=True, slots=True)
class AbortCondition:
    """What ends a run when it holds for `sustained_s` seconds without a break."""

    slo: Slo
    sustained_s: float


def parse_condition(expr: str) -> AbortCondition:
    """Parse `OBJECTIVE for SECONDS s`. Raises `SloError` also for what one second of a run cannot tell."""
    sustained = _FOR.search(expr)
    if sustained is None:
        raise SloError(expr, len(expr) + 1, "how long it must hold", f"{expr.strip()} for 5 s")
    slo = parse(expr[: sustained.start()])
    _check_known_live(expr, slo)
    return AbortCondition(slo, float(sustained[1]))


_OPPOSITES = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}


def unless(expr: str, after_s: float) -> AbortCondition:
    """The condition of a plan's `[abort] unless`: that an objective is missed for `after_s` seconds.

    Raises `SloError` like `parse_condition`, and for `==`, whose opposite no single comparison says.
    """
    slo = parse(expr)
    if slo.operator not in _OPPOSITES:
        raise SloError(expr, expr.find(slo.operator) + 1, f"one of {', '.join(_OPPOSITES)} in an abort")
    opposite = expr.replace(slo.operator, _OPPOSITES[slo.operator], 1)
    return parse_condition(f"{opposite} for {after_s:g} s")


class AbortDetector:
    """Watches one run for sustained breaches."""

    def __init__(self, conditions: Iterable[AbortCondition]) -> None:
        self._conditions = list(conditions)
        self._began_s: dict[AbortCondition, float] = {}

    def forget(self) -> None:
        """Begin anew: of the seconds before the next one nothing is known."""
        self._began_s.clear()

    def feed(self, point: TimelinePoint) -> str | None:
        """Take the latest second, in order; returns why the run must stop, or None while it may go on."""
        reasons = [self._watch(condition, point) for condition in self._conditions]
        return next(filter(None, reasons), None)

    def _watch(self, condition: AbortCondition, point: TimelinePoint) -> str | None:
        observed = _observed(condition.slo, point)
        if observed is not None:
            if not holds(condition.slo, observed):
                self._began_s.pop(condition, None)
                return None
            self._began_s.setdefault(condition, point.t_s)
        began_s = self._began_s.get(condition)
        if began_s is None or point.t_s + 1 - began_s < condition.sustained_s:
            return None
        return _reason(condition, began_s, observed)


def _check_known_live(expr: str, slo: Slo) -> None:
    if slo.endpoint not in (None, "*"):
        raise SloError(expr, expr.find(slo.endpoint) + 1, "* (aborts look at all endpoints together)")
    if slo.phase or slo.window_s or slo.per_region:
        raise SloError(expr, 1, "no `during` and no `in every`: an abort looks at each second as it comes")
    if slo.metric == GOODPUT and slo.endpoint is not None:
        raise SloError(expr, expr.find("(") + 1, "goodput of the whole run", "goodput < 1tps for 5 s")
    if slo.metric == "p" and round(slo.quantile or 0, 9) in NAMED_QUANTILES:
        return
    if slo.metric not in _METRICS:
        names = ", ".join([*(name.replace("_", ".") for name in NAMED_QUANTILES.values()), *_METRICS])
        raise SloError(expr, 1, f"a metric that is known while a run goes on ({names})")


def _observed(slo: Slo, point: TimelinePoint) -> float | None:
    """The metric in this second, in the condition's own unit."""
    if slo.quantile is not None:
        name = NAMED_QUANTILES[round(slo.quantile, 9)]
        value = float(getattr(point.response_ms, name)) if point.response_ms.count else None
    else:
        value = _METRICS[slo.metric](point)
    return None if value is None else round(value / slo.unit_size, 9)


def _reason(condition: AbortCondition, began_s: float, observed: float | None) -> str:
    last = (
        "no request was answered any more"
        if observed is None
        else f"last {with_unit(condition.slo, observed)}"
    )
    since = f"since {began_s:g} s"
    return f"{condition.slo.expr} for {condition.sustained_s:g} s ({since}, {last})"
