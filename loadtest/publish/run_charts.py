"""Which charts a run is shown by, live and in the report: what each one holds, in which unit, and its words.

All but one share the run's time axis. The percentile curve sets response time beside service time: where they part,
a tool that waits for answers before it sends more would have reported the lower one, and missed the difference.
"""

import math
from collections.abc import Callable, Sequence
from itertools import accumulate

from loadtest.judge.validity import MAX_LAG_P99_MS
from loadtest.measure.run_result import Buckets, Endpoint, RunResult, TimelinePoint
from loadtest.publish import wording
from loadtest.publish.series import Chart, Limit, Line, heat_of, short

MOST_ERROR_LINES = 6
"""Classes of error that have a line of their own."""
ERROR_POINTS = 120
NINES_A_STEP = 1 / 30
"""Resolution of the percentile curve: thirty points for each further nine."""

Value = Callable[[TimelinePoint], float | None]


def over_time(points: Sequence[TimelinePoint], noun: str) -> list[Chart]:
    """The charts over a sheet's time: each of `points` is one of its instants. `noun` is what a transaction is."""
    return [
        rates(points, noun),
        response_times(points),
        heat_map(points),
        error_rate(points),
        ok_and_failed(points),
        dispatch_lag(points),
        load(points),
    ]


def rates(points: Sequence[TimelinePoint], noun: str) -> Chart:
    """Transactions a second: planned, started, completed and failed."""
    best = max((point.completed_tps for point in points), default=0.0)
    return Chart(
        id="rates",
        title="Planned, started, completed",
        caption=f"What the plan intends, what was started and what the target completed, in {noun}s a second. "
        "Failed are arrivals of every scenario.",
        unit="per_s",
        counts=f"{noun}s/s",
        says=f"{noun.capitalize()}s a second over the run; at best {wording.rate(best)} were completed in a second.",
        lines=[
            _line("planned", "planned", points, lambda p: p.planned_tps, area=True),
            _line("started", "started", points, lambda p: p.started_tps),
            _line("completed", "completed", points, lambda p: p.completed_tps),
            # None where nothing failed: no red line along the axis.
            _line("failed", "failed", points, lambda p: p.failed_per_s or p.failed_tps or None),
        ],
    )


def response_times(points: Sequence[TimelinePoint]) -> Chart:
    """Percentiles of response time."""
    return Chart(
        id="percentiles",
        title="Response time",
        caption="From the planned instant to the last byte: waiting for a free user is part of it.",
        unit="ms",
        counts="response time",
        says=f"Response-time percentiles of all requests over the run.{_worst(points)}",
        log=True,
        lines=[
            _line(name.replace("_", "-"), name.replace("_", "."), points, _quantile(name))
            for name in ("p50", "p90", "p99", "p99_9", "max")
        ],
    )


def heat_map(points: Sequence[TimelinePoint]) -> Chart:
    """How many requests took how long."""
    heat = heat_of([point.heat for point in points])
    says = "Heat map of response times; shades count requests."
    if heat.upper_ms:
        low, high = heat.upper_ms[0] / 1.4, heat.upper_ms[-1]
        says += f" All are between {wording.latency(low)} and {wording.latency(high)}."
    return Chart(
        id="heat",
        title="Response times of all requests",
        caption="A column is a moment, a cell a range of response times; the stronger its colour, the more requests.",
        unit="ms",
        counts="response time",
        says=says,
        log=True,
        heat=heat,
    )


def error_rate(points: Sequence[TimelinePoint]) -> Chart:
    """The share of requests that failed."""
    failures, requests = (sum(getattr(p, name) for p in points) for name in ("failures", "requests"))
    said = wording.percent(failures / requests) if requests else "no request was made"
    return Chart(
        id="error-rate",
        title="Error rate",
        caption="The share of the requests that failed.",
        unit="share",
        counts="of the requests",
        says=f"Share of failed requests over the run: {said} in all.",
        lines=[_line("failed", "failed", points, _failed_share, area=True)],
    )


def ok_and_failed(points: Sequence[TimelinePoint]) -> Chart:
    """Response times of requests that succeeded and of those that failed, apart."""
    return Chart(
        id="apart",
        title="Response time of ok and failed requests",
        caption="Apart, because errors that come fast make a mean look good.",
        unit="ms",
        counts="response time",
        says="Response time of successful requests beside that of failed ones, median and p99.",
        log=True,
        lines=[
            _line("p50", "ok p50", points, lambda p: p.ok_p50_ms),
            _line("p99", "ok p99", points, lambda p: p.ok_p99_ms),
            _line("failed-p50", "failed p50", points, lambda p: p.failed_p50_ms),
            _line("failed", "failed p99", points, lambda p: p.failed_p99_ms),
        ],
    )


def dispatch_lag(points: Sequence[TimelinePoint]) -> Chart:
    """How late the generator itself was, beside the limit beyond which a run does not count."""
    worst = max((point.dispatch_lag_p99_ms for point in points), default=0.0)
    return Chart(
        id="lag",
        title="Dispatch lag",
        caption="How late the load generator itself started what it could have started on time.",
        unit="ms",
        counts="lateness",
        says=f"Dispatch lag at p99: {wording.latency(worst)} at worst; the limit is {MAX_LAG_P99_MS:g} ms.",
        log=True,
        lines=[_line("lag", "p99", points, lambda p: p.dispatch_lag_p99_ms or None)],
        limit=Limit(value=MAX_LAG_P99_MS, label=f"limit {MAX_LAG_P99_MS:g} ms"),
    )


def load(points: Sequence[TimelinePoint]) -> Chart:
    """Requests in flight, and arrivals that wait for a free user."""
    in_flight, backlog = (
        max((getattr(p, name) for p in points), default=0) for name in ("in_flight", "backlog")
    )
    return Chart(
        id="load",
        title="In flight and waiting",
        caption="A growing queue is the target's doing: every user was busy.",
        unit="count",
        counts="arrivals",
        says=f"At most {in_flight:,} arrivals were in flight and {backlog:,} waited for a free user.",
        lines=[
            _line("in-flight", "in flight", points, lambda p: p.in_flight),
            _line("backlog", "waiting for a free user", points, lambda p: p.backlog),
        ],
    )


def errors_by_class(result: RunResult, end_s: float) -> Chart | None:
    """Failures a second of each of the most frequent classes, over `end_s` seconds; None without any."""
    seen = [
        (f"{row.error} at {row.endpoint}", evidence)
        for row in wording.error_rows(result)[:MOST_ERROR_LINES]
        if (evidence := result.endpoints[row.endpoint].evidence.get(row.error)) is not None
    ]
    bin_s = max(1.0, end_s / ERROR_POINTS)
    if not any(evidence.per_second for _, evidence in seen):
        return None
    t = [number * bin_s for number in range(max(1, math.ceil(end_s / bin_s)))]
    return Chart(
        id="errors",
        title="Errors by class",
        caption="When each class of error came, and how often.",
        unit="per_s",
        counts="errors/s",
        says="Errors a second: " + ", ".join(f"{label} {e.count:,} in all" for label, e in seen) + ".",
        t=t,
        bin_s=bin_s,
        lines=[
            Line(key=f"error-{number}", label=label, values=_spread(evidence.per_second, t, bin_s))
            for number, (label, evidence) in enumerate(seen, start=1)
        ],
    )


def percentile_curve(name: str, endpoint: Endpoint) -> Chart:
    """Latency over percentile: response time beside service time."""
    most = max(sum(endpoint.response_buckets.counts), sum(endpoint.service_buckets.counts), 10)
    steps = math.ceil(math.log10(most) / NINES_A_STEP)
    nines = [round(step * NINES_A_STEP, 4) for step in range(steps + 1)]
    said = ", ".join(
        f"{what} p50 {wording.latency(q.p50)}, p99 {wording.latency(q.p99)}, p99.9 {wording.latency(q.p99_9)}"
        for what, q in (("response time", endpoint.response_ms), ("service time", endpoint.service_ms))
    )
    return Chart(
        id="curve",
        title=f"Percentiles of {name}",
        caption="Response time counts from the planned instant, service time from the first byte sent. "
        "Where they part, requests waited to be sent.",
        unit="ms",
        counts="latency",
        says=f"Percentiles of {name}: {said}.",
        log=True,
        axis="quantile",
        t=nines,
        lines=[
            Line(key="service", label="service time", values=_at(endpoint.service_buckets, nines)),
            Line(key="response", label="response time", values=_at(endpoint.response_buckets, nines)),
        ],
    )


def _line(key: str, label: str, points: Sequence[TimelinePoint], value: Value, area: bool = False) -> Line:
    return Line(key=key, label=label, values=[short(value(point)) for point in points], area=area)


def _quantile(name: str) -> Value:
    return lambda point: getattr(point.response_ms, name) if point.response_ms.count else None


def _failed_share(point: TimelinePoint) -> float | None:
    return point.failures / point.requests if point.requests else None


def _worst(points: Sequence[TimelinePoint]) -> str:
    worst = max(points, key=lambda p: p.response_ms.p99, default=None)
    if worst is None or not worst.response_ms.count:
        return " Nothing was measured."
    return f" p99 is worst at {wording.duration(worst.t_s)}, with {wording.latency(worst.response_ms.p99)}."


def _spread(per_second: Sequence[tuple[float, int]], t: Sequence[float], bin_s: float) -> list[float | None]:
    """Counts by time, as failures a second at each of `t`; None before and after the first and last."""
    counts = [0.0] * len(t)
    for t_s, count in per_second:
        counts[min(len(t) - 1, max(0, int(t_s / bin_s)))] += count
    known = [number for number, count in enumerate(counts) if count]
    return [
        short(count / bin_s) if known and known[0] - 1 <= number <= known[-1] + 1 else None
        for number, count in enumerate(counts)
    ]


def _at(buckets: Buckets, nines: Sequence[float]) -> list[float | None]:
    """The value in ms at each quantile, given by its nines."""
    total, cumulative = sum(buckets.counts), list(accumulate(buckets.counts))
    values: list[float | None] = []
    place = 0
    for n in nines:
        rank = max(1, math.ceil((1 - 10**-n) * total - 1e-9))
        while place < len(cumulative) - 1 and cumulative[place] < rank:
            place += 1
        values.append(short(buckets.upper_us[place] / 1000) if total else None)
    return values
