"""Which charts a run is shown by, live and in the report: what each one holds, and in which unit.

All but one share the run's time axis. The percentile curve sets response time beside service time: where they part,
a tool that waits for answers before it sends more would have reported the lower one, and missed the difference.
"""

import math
import operator
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from msgspec.structs import replace

from loadtest.judge.validity import MAX_LAG_P99_MS
from loadtest.measure.run_result import Buckets, Endpoint, EndpointOverTime, RunResult, TimelinePoint
from loadtest.publish import wording
from loadtest.publish.series import Chart, Column, Line, Sheet, heat_of, short

MOST_ERROR_LINES = 6
"""Classes of error that have a line of their own."""
ERROR_POINTS = 120
NINES_A_STEP = 1 / 30
"""Resolution of the percentile curve: thirty points for each further nine."""

_Fold = Callable[[float, float], float]
PlannedTransactions = Callable[[float, float], float]
"""How many transactions the plan intends between two offsets, in seconds."""


class _Of(NamedTuple):
    """A line over a run's time: its colour and label, and its value at a point."""

    key: str
    label: str
    value: Callable[[TimelinePoint], float | None]
    area: bool = False


def _quantile(name: str) -> _Of:
    def value(point: TimelinePoint) -> float | None:
        return getattr(point.response_ms, name) if point.response_ms.count else None

    return _Of(name.replace("_", "-"), name.replace("_", "."), value)


_TIMES = Chart(id="percentiles", title="Response time", unit="ms", counts="response time", log=True)
_OVER_TIME = (
    Chart(id="rates", title="Planned, started, completed", unit="per_s", counts=""),
    _TIMES,
    Chart(id="error-rate", title="Error rate", unit="share", counts="of the requests"),
    replace(_TIMES, id="apart", title="Response time of ok and failed requests"),
    Chart(id="lag", title="Dispatch lag", unit="ms", counts="lateness", log=True, limit=MAX_LAG_P99_MS),
    Chart(id="load", title="In flight and waiting", unit="count", counts="arrivals"),
)
_LINES = {
    "rates": [
        _Of("planned", "planned", lambda p: p.planned_tps, area=True),
        _Of("started", "started", lambda p: p.started_tps),
        _Of("completed", "completed", lambda p: p.completed_tps),
        # None where nothing failed: no red line along the axis.
        _Of("failed", "failed", lambda p: p.failed_per_s or p.failed_tps or None),
    ],
    "percentiles": [_quantile(name) for name in ("p50", "p90", "p99", "p99_9", "max")],
    "error-rate": [
        _Of("failed", "failed", lambda p: p.failures / p.requests if p.requests else None, area=True)
    ],
    "apart": [
        _Of("p50", "ok p50", lambda p: p.ok_p50_ms),
        _Of("p99", "ok p99", lambda p: p.ok_p99_ms),
        _Of("failed-p50", "failed p50", lambda p: p.failed_p50_ms),
        _Of("failed", "failed p99", lambda p: p.failed_p99_ms),
    ],
    "lag": [_Of("lag", "p99", lambda p: p.dispatch_lag_p99_ms or None)],
    "load": [
        _Of("in-flight", "in flight", lambda p: p.in_flight),
        _Of("backlog", "waiting for a free user", lambda p: p.backlog),
    ],
}


def over_time(points: Sequence[TimelinePoint], noun: str, ahead: Sequence[TimelinePoint] = ()) -> list[Chart]:
    """The charts over a sheet's time: each of `points` is one of its instants. `noun` is what a transaction is.

    `ahead` are instants to come, of which only what is planned is drawn.
    """

    def drawn(of: _Of) -> Line:
        known = [*points, *ahead] if of.key == "planned" else points
        return Line(key=of.key, label=of.label, values=[short(of.value(p)) for p in known], area=of.area)

    def filled(chart: Chart) -> Chart:
        return replace(chart, counts=chart.counts or f"{noun}s/s", lines=[*map(drawn, _LINES[chart.id])])

    return [*map(filled, _OVER_TIME), heat_map(points)]


def heat_map(points: Sequence[TimelinePoint]) -> Chart:
    """How many requests took how long."""
    heat = heat_of([point.heat for point in points])
    return replace(_TIMES, id="heat", title="Response times of all requests", heat=heat)


def of_run(
    result: RunResult,
    points: Sequence[TimelinePoint],
    bin_s: float,
    end_s: float,
    *,
    now_s: float | None = None,
    planned: PlannedTransactions | None = None,
) -> Sheet:
    """The charts of a run's `points`; with `planned` they have the curve of what is to come, too."""
    ahead: list[TimelinePoint] = []
    if planned is not None:
        first = points[-1].t_s // bin_s + 1 if points else 0
        to_come = [at * bin_s for at in range(int(first), math.ceil(result.run.duration_s // 1 / bin_s))]
        ahead = [TimelinePoint(t_s=t, planned_tps=planned(t, t + bin_s) / bin_s) for t in to_come]
    errors = errors_by_class(result, end_s)
    return Sheet(
        end_s=end_s,
        t=[point.t_s for point in (*points, *ahead)],
        bin_s=bin_s,
        phases=result.run.phases,
        marks=result.events,
        now_s=now_s,
        charts=[*over_time(points, wording.transaction(result), ahead), *filter(None, [errors])],
    )


def of_endpoints(seen: Mapping[str, EndpointOverTime], frame: Sheet, most: int) -> Sheet:
    """A sheet with two charts for each endpoint, `endpoint-N-rate` and `-time`, N by its place in `seen`.

    Axis, phases and marks are those of `frame`. There are at most `most` instants, for all endpoints the same:
    neighbours are folded into one as everywhere, rates to their mean and latencies to the worst.
    """
    bin_s = max((each.bin_s for each in seen.values()), default=1)
    last_s = max((each.t_s[-1] for each in seen.values() if each.t_s), default=0)
    step_s = bin_s * -(-(last_s // bin_s + 1) // most)
    t = [float(t_s) for t_s in range(0, last_s + 1, step_s)]

    def line(key: str, label: str, each: EndpointOverTime, values: Sequence[float], fold: _Fold) -> Line:
        """Folded values, None instead of 0; no column at all of nothing, since most endpoints never fail."""
        folded = [0.0] * len(t)
        for t_s, value in zip(each.t_s, values, strict=True):
            folded[t_s // step_s] = fold(folded[t_s // step_s], value)
        over_s = 1 if fold is max else step_s
        shown = [short(value / over_s) if value or key == "completed" else None for value in folded]
        return Line(key=key, label=label, values=shown if any(folded) else [])

    charts: list[Chart] = []
    for number, (name, each) in enumerate(seen.items()):
        rates = [
            line("completed", "made", each, each.requests, operator.add),
            line("failed", "failed", each, each.failures, operator.add),
        ]
        times = [line("p50", "p50", each, each.p50_ms, max), line("p99", "p99", each, each.p99_ms, max)]
        rate, time = f"endpoint-{number}-rate", f"endpoint-{number}-time"
        charts += [
            Chart(id=rate, title=f"{name}: requests", unit="per_s", counts="requests/s", lines=rates),
            replace(_TIMES, id=time, title=f"{name}: response time", lines=times),
        ]
    return replace(frame, t=t, bin_s=step_s, charts=charts)


def errors_by_class(result: RunResult, end_s: float) -> Chart | None:
    """Failures a second of each of the most frequent classes, over `end_s` seconds; None without any."""
    seen = {
        f"{row.error} at {row.endpoint}": evidence.per_second
        for row in wording.error_rows(result)[:MOST_ERROR_LINES]
        if (evidence := result.endpoints[row.endpoint].evidence.get(row.error)) is not None
    }
    if not any(seen.values()):
        return None
    bin_s = max(1.0, end_s / ERROR_POINTS)
    bins = max(1, math.ceil(end_s / bin_s))
    return Chart(
        id="errors",
        title="Errors by class",
        unit="per_s",
        counts="errors/s",
        t=[number * bin_s for number in range(bins)],
        bin_s=bin_s,
        lines=[
            Line(key=f"error-{number}", label=label, values=_spread(per_second, bins, bin_s))
            for number, (label, per_second) in enumerate(seen.items(), start=1)
        ],
    )


def _spread(per_second: Sequence[tuple[float, int]], bins: int, bin_s: float) -> Column:
    """Counts by time, as failures a second in each bin; None before and after the first and last."""
    counts = [0.0] * bins
    for t_s, count in per_second:
        counts[min(bins - 1, max(0, int(t_s / bin_s)))] += count
    known = [number for number, count in enumerate(counts) if count]
    shown = range(known[0] - 1, known[-1] + 2) if known else range(0)
    return [short(count / bin_s) if number in shown else None for number, count in enumerate(counts)]


def percentile_curve(name: str, endpoint: Endpoint) -> Chart:
    """Latency over percentile: response time beside service time."""
    most = max(sum(endpoint.response_buckets.counts), sum(endpoint.service_buckets.counts), 10)
    steps = math.ceil(math.log10(most) / NINES_A_STEP)
    nines = [round(step * NINES_A_STEP, 4) for step in range(steps + 1)]
    return Chart(
        id="curve",
        title=f"Percentiles of {name}",
        unit="ms",
        counts="latency",
        log=True,
        axis="quantile",
        t=nines,
        lines=[
            Line(key="service", label="service time", values=_at(endpoint.service_buckets, nines)),
            Line(key="response", label="response time", values=_at(endpoint.response_buckets, nines)),
        ],
    )


def _at(buckets: Buckets, nines: Sequence[float]) -> Column:
    """The value in ms at each quantile, given by its nines."""
    if not buckets.counts:
        return []
    cumulative = list(accumulate(buckets.counts))
    ranks = [max(1, math.ceil((1 - 10**-n) * cumulative[-1] - 1e-9)) for n in nines]
    return [short(buckets.upper_us[bisect_left(cumulative, rank)] / 1000) for rank in ranks]
