"""Thins a timeline to as many points as a chart has room for, keeping the worst values.

Rates become means, since they stand for amounts; latencies, lag and queues become the worst of the points
they stand for, since a picture that averages a stall away lies.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from statistics import fmean

import msgspec

from loadtest.measure.run_result import Quantiles, RunResult, TimelinePoint

_RATES = ("planned_tps", "started_tps", "completed_tps", "failed_tps", "failed_per_s")
_AMOUNTS = ("scheduled", "started", "requests", "failures", "dropped")
_LEVELS = (
    "in_flight",
    "backlog",
    "dispatch_lag_p99_ms",
    "ok_p50_ms",
    "ok_p99_ms",
    "failed_p50_ms",
    "failed_p99_ms",
)


def thin(timeline: Sequence[TimelinePoint], most: int) -> list[TimelinePoint]:
    """At most `most` points (> 0), each standing for equally many consecutive ones; the last may be short."""
    group = max(1, -(-len(timeline) // most))
    return [_one(timeline[at : at + group]) for at in range(0, len(timeline), group)]


def shown(result: RunResult) -> list[TimelinePoint]:
    """The timeline without what follows the run's end, unless requests were still answered then."""
    points = list(result.timeline)
    while points and points[-1].t_s >= result.run.duration_s and not points[-1].requests:
        points.pop()
    return points


def end_s(result: RunResult) -> float:
    """Where a picture of the run ends: with the run, or with the last answer after it."""
    points = shown(result)
    if not points or points[-1].t_s < result.run.duration_s:
        return result.run.duration_s
    width_s = points[-1].t_s - points[-2].t_s if len(points) > 1 else 1.0
    return points[-1].t_s + width_s


def ends_s(points: Sequence[TimelinePoint], end_s: float) -> list[float]:
    """Where each point's period of time ends, in seconds: where the next begins, the last one's at `end_s`."""
    return [point.t_s for point in points[1:]] + [end_s] * bool(points)


def _one(points: Sequence[TimelinePoint]) -> TimelinePoint:
    if len(points) == 1:
        return points[0]
    heat: Counter[int] = Counter()
    for point in points:
        heat.update(dict(point.heat))

    def folded(fold: Callable[[list[float]], float], names: Sequence[str]) -> dict[str, float | None]:
        known = {name: [ms for p in points if (ms := getattr(p, name)) is not None] for name in names}
        return {name: fold(values) if values else None for name, values in known.items()}

    rest = folded(fmean, _RATES) | folded(sum, _AMOUNTS) | folded(max, _LEVELS)
    worst = {name: max(getattr(p.response_ms, name) for p in points) for name in Quantiles.__struct_fields__}
    times = Quantiles(**worst | {"count": sum(p.response_ms.count for p in points)})
    return msgspec.structs.replace(points[0], response_ms=times, heat=sorted(heat.items()), **rest)
