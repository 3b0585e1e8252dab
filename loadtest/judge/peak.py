"""Whether a run reached the peak that its plan asks for, and for how long it held it."""

from typing import NamedTuple

from loadtest.measure.run_result import RunResult, TimelinePoint, step_s

NEAR = 0.99
"""At the peak is a second whose plan is within 1 % of the highest; it is held when 99 % of that was completed."""
RANDOM_SD = 4.0
"""How many standard deviations a random schedule may draw below its curve before that counts as missing load."""


class Peak(NamedTuple):
    """The plan's peak and what became of it; rates in transactions a second, times in seconds."""

    planned_tps: float
    best_tps: float
    best_at_s: float
    lasted_s: float
    """How long the plan asks for its peak."""
    held_s: float
    """For how much of that the target completed it, within 1 %."""
    share: float
    """Completed at the peak, as a share of what was planned there."""


def find_peak(result: RunResult) -> Peak | None:
    """The run's peak; None where nothing was planned."""
    points = result.timeline
    planned = max((point.planned_tps for point in points), default=0.0)
    if planned <= 0:
        return None
    at_peak = [point for point in points if point.planned_tps >= NEAR * planned]
    best = max(points, key=lambda point: point.completed_tps)
    bin_s = step_s(points)
    random = result.run.settings.get("arrivals") == "poisson"
    held = [point for point in at_peak if _kept_up(point, _asked_tps(point, bin_s, random), bin_s)]
    return Peak(
        planned_tps=planned,
        best_tps=max(best.completed_tps, result.transactions.peak_tps),
        best_at_s=best.t_s,
        lasted_s=len(at_peak) * bin_s,
        held_s=len(held) * bin_s,
        share=sum(p.completed_tps for p in at_peak) / sum(p.planned_tps for p in at_peak),
    )


def fell_short(result: RunResult) -> list[tuple[float, float, float]]:
    """(from_s, to_s, completed as a share of what was asked for) of each time that the target fell 1 % behind."""
    points, bin_s = result.timeline, step_s(result.timeline)
    random = result.run.settings.get("arrivals") == "poisson"
    found: list[tuple[float, float, float, float]] = []
    for point in points:
        asked = _asked_tps(point, bin_s, random)
        if point.t_s >= result.run.duration_s or _kept_up(point, asked, bin_s):
            continue
        if found and found[-1][1] == point.t_s:
            from_s, _, done, wanted = found.pop()
            found.append((from_s, point.t_s + bin_s, done + point.completed_tps, wanted + asked))
        else:
            found.append((point.t_s, point.t_s + bin_s, point.completed_tps, asked))
    return [(from_s, to_s, done / wanted) for from_s, to_s, done, wanted in found]


def _kept_up(point: TimelinePoint, asked_tps: float, bin_s: float) -> bool:
    """Whether 99 % was completed, or all but one transaction: a second of a low rate has no 99 %."""
    return point.completed_tps + 1 / bin_s >= NEAR * asked_tps


def _asked_tps(point: TimelinePoint, bin_s: float, random: bool) -> float:
    """What the target was asked for: the plan's curve, or what a random schedule drew for it."""
    if not random:
        return point.planned_tps
    drawn = point.started_tps * point.scheduled / point.started if point.started else 0.0
    spread = RANDOM_SD * (point.planned_tps / bin_s) ** 0.5
    return drawn if abs(drawn - point.planned_tps) <= spread else point.planned_tps
