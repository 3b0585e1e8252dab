"""The report's pictures: what each one shows, in which units, and what it says in words.

Five share the time axis and mark the profile's phases (bands) and what happened (numbered lines); one sets
response time beside service time on the log-odds axis of HdrHistogram's plots. Where the two curves part,
a closed-loop tool would have reported the lower one: that gap is coordinated omission made visible.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from markupsafe import Markup

from loadtest.measure.run_result import Buckets, Quantiles, RunResult, TimelinePoint
from loadtest.publish import svg, wording
from loadtest.publish.svg import HALF, NARROW, WIDE, Plot, Scale, Size
from loadtest.publish.timeline import end_s, ends_s, shown, thin

HEAT_LEVELS = 6
MAX_LAG_MS = 10.0
"""Dispatch lag at p99 beyond this makes a run INVALID (docs/design.md)."""


class Series(NamedTuple):
    """One line of a chart over time; `css` is its colour and its key in the page's data."""

    css: str
    label: str
    unit: str
    """`ms`, `rate` or `count`: how the page's script writes a value."""
    value: Callable[[TimelinePoint], float]
    """NaN where the point has nothing to show."""


class Figure(NamedTuple):
    """One picture with its words."""

    title: str
    caption: str
    unit: str
    """What the y axis counts."""
    picture: Markup
    series: Sequence[Series] = ()


def _quantile(name: str) -> Callable[[TimelinePoint], float]:
    return lambda point: getattr(point.response_ms, name) if point.response_ms.count else math.nan


RATES = (
    Series("planned", "planned", "rate", lambda p: p.planned_tps),
    Series("started", "started", "rate", lambda p: p.started_tps),
    Series("completed", "completed", "rate", lambda p: p.completed_tps),
    Series(
        "failed", "failed", "rate", lambda p: p.failed_per_s or p.failed_tps or math.nan
    ),  # no red line along the axis
)
PERCENTILES = (
    Series("p50", "p50", "ms", _quantile("p50")),
    Series("p90", "p90", "ms", _quantile("p90")),
    Series("p99", "p99", "ms", _quantile("p99")),
    Series("p99-9", "p99.9", "ms", _quantile("p99_9")),
    Series("max", "max", "ms", _quantile("max")),
)
LAG = (Series("lag", "dispatch lag p99", "ms", lambda p: p.dispatch_lag_p99_ms or math.nan),)
LOAD = (
    Series("in-flight", "in flight", "count", lambda p: p.in_flight),
    Series("backlog", "waiting for an idle user", "count", lambda p: p.backlog),
)
OVER_TIME = RATES + PERCENTILES + LAG + LOAD


def rates(result: RunResult) -> Figure:
    """Transactions a second: planned, started, completed and failed over time."""
    noun = f"{wording.transaction(result)}s"
    highest = max((max(p.planned_tps, p.started_tps, p.completed_tps) for p in shown(result)), default=0)
    label = (
        f"{noun.capitalize()} a second over {wording.duration(result.run.duration_s)}. Completed {noun} peak at "
        f"{wording.rate(result.transactions.peak_tps)} a second and average "
        f"{wording.rate(result.transactions.mean_tps)}."
    )

    def draw(size: Size) -> Markup:
        plot = _over_time(result, size, _from_zero(highest, size))
        plot.y_axis(svg.linear_ticks(0, plot.y.high, 5), wording.rate)
        points = thin(shown(result), size.columns)
        plot.area(_known(_points(RATES[0], points, result)), RATES[0].css)
        _lines(plot, RATES, points, result)
        return _finish(plot, result, label)

    caption = (
        f"What the schedule intended, what was started, and what the target completed, in {noun} a second. "
        "Failed are arrivals of every scenario."
    )
    return Figure("Planned, started, completed", caption, f"{noun}/s", draw(WIDE) + draw(NARROW), RATES)


def percentiles(result: RunResult) -> Figure:
    """Percentiles of response time over time, on a logarithmic axis."""
    measured = [p.response_ms for p in shown(result) if p.response_ms.count]
    low = min((q.p50 for q in measured), default=1)
    high = max((q.max for q in measured), default=10)
    worst = max(shown(result), key=lambda p: p.response_ms.p99_9, default=None)
    where = (
        f" p99.9 is worst at {worst.t_s:g} s, with {wording.latency(worst.response_ms.p99_9)}."
        if worst
        else ""
    )
    label = (
        f"Response-time percentiles of all requests for each second, between {_between(low, high)}.{where}"
    )

    def draw(size: Size) -> Markup:
        plot = _over_time(result, size, _decades(low, high, size))
        plot.y_axis(svg.decade_ticks(plot.y.low, plot.y.high), wording.latency_tick)
        points = thin(shown(result), size.columns)
        _lines(plot, PERCENTILES, points, result)
        return _finish(plot, result, label)

    caption = "From the intended instant to the last byte: the wait for an idle user is part of it."
    return Figure(
        "Response time over the run", caption, "response time", draw(WIDE) + draw(NARROW), PERCENTILES
    )


def heat_map(result: RunResult) -> Figure:
    """How many requests took how long, for each stretch of time."""
    bounds = sorted({upper for point in shown(result) for upper, _ in point.heat})
    low, high = (bounds[0] / 1000 / 2, bounds[-1] / 1000) if bounds else (1, 10)
    label = f"Heat map of response times between {_between(low, high)}; shades count requests."

    def draw(size: Size) -> Markup:
        plot = _over_time(result, size, _decades(low, high, size))
        points = thin(shown(result), size.columns // 2)
        _cells(plot, points, ends_s(points, end_s(result)), bounds)
        plot.y_axis(svg.decade_ticks(plot.y.low, plot.y.high), wording.latency_tick)
        return _finish(plot, result, label)

    caption = (
        "Each column is a moment, each cell a range of response times, shaded by its number of requests."
    )
    return Figure("Where the requests were", caption, "response time", draw(WIDE) + draw(NARROW))


def percentile_curve(result: RunResult) -> Figure:
    """Latency against percentile of the main endpoint: response time beside service time."""
    name, endpoint = wording.main_endpoint(result) or ("no endpoint", None)
    both = (
        [("response", endpoint.response_buckets), ("service", endpoint.service_buckets)] if endpoint else []
    )
    curves = [(css, _curve(buckets)) for css, buckets in both]
    values = [value for _, points in curves for _, value in points] or [1.0]
    most = max((sum(buckets.counts) for _, buckets in both), default=0)
    label = (
        _curve_label(name, endpoint.response_ms, endpoint.service_ms) if endpoint else "Nothing was measured."
    )

    def draw(size: Size) -> Markup:
        x = Scale(0, 1 - 1 / max(10, most), svg.MARGIN_LEFT, size.width - svg.MARGIN_RIGHT, _nines)
        plot = Plot(size, x, _decades(min(values), max(values), size))
        plot.y_axis(svg.decade_ticks(plot.y.low, plot.y.high), wording.latency_tick)
        zero = () if size is NARROW else (0,)  # no room beside p50
        marks = [q for q in (*zero, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999) if q <= x.high]
        plot.x_axis(marks, lambda q: f"p{q * 100:.6g}")
        for css, points in reversed(curves):
            plot.line(_thinned(points, size.columns), css)
        return plot.markup(label)

    caption = (
        "Response time counts from the intended instant, service time from the first byte written. "
        "Where they part, requests waited to be sent: a closed-loop tool would report the lower curve."
    )
    return Figure(f"Percentile curve of {name}", caption, "latency", draw(WIDE) + draw(NARROW))


def dispatch_lag(result: RunResult) -> Figure:
    """How late the generator itself was, against the limit beyond which a run is void."""
    worst = max((p.dispatch_lag_p99_ms for p in shown(result)), default=0)
    label = (
        f"Dispatch lag at p99 for each second; {wording.latency(worst)} at worst, {MAX_LAG_MS:g} ms allowed."
    )

    def draw(size: Size) -> Markup:
        plot = _over_time(result, size, _decades(0.01, max(MAX_LAG_MS * 2, worst), size))
        plot.y_axis(svg.decade_ticks(plot.y.low, plot.y.high), wording.latency_tick)
        limit = plot.y(MAX_LAG_MS)
        plot.add('<path class="limit" d="M{} {:.1f}H{}"/>', svg.MARGIN_LEFT, limit, plot.right)
        plot.text(plot.right - 4, limit + 14, "limit 10 ms", "tick end")
        _lines(plot, LAG, thin(shown(result), size.columns), result)
        return _finish(plot, result, label)

    caption = "How late the generator itself started what it could have started on time."
    return Figure("Dispatch lag", caption, "lateness", draw(HALF) + draw(NARROW), LAG)


def load(result: RunResult) -> Figure:
    """Requests in flight and arrivals that wait for an idle user."""
    in_flight = max((p.in_flight for p in shown(result)), default=0)
    backlog = max((p.backlog for p in shown(result)), default=0)
    label = f"At most {in_flight:,} requests were in flight and {backlog:,} arrivals waited for an idle user."

    def draw(size: Size) -> Markup:
        plot = _over_time(result, size, _from_zero(max(in_flight, backlog, 5), size))
        plot.y_axis(svg.linear_ticks(0, plot.y.high, 5), wording.rate)
        _lines(plot, LOAD, thin(shown(result), size.columns), result)
        return _finish(plot, result, label)

    caption = "A growing queue is the target's doing: every user was busy."
    return Figure("In flight and queueing", caption, "arrivals", draw(HALF) + draw(NARROW), LOAD)


def _over_time(result: RunResult, size: Size, y: Scale) -> Plot:
    """A plot over the run's time with the phases as bands behind everything else."""
    x = Scale(0, max(end_s(result), 1e-3), svg.MARGIN_LEFT, size.width - svg.MARGIN_RIGHT)
    plot = Plot(size, x, y)
    for number, (from_s, to_s, name) in enumerate(result.run.phases):
        left, width = plot.x(from_s), plot.x(to_s) - plot.x(from_s)
        if number % 2 == 0:
            plot.add(
                '<path class="phase" d="M{:.1f} {}h{:.1f}V{}h{:.1f}z"/>',
                left,
                svg.MARGIN_TOP,
                width,
                plot.bottom,
                -width,
            )
        if width > 6 * len(name) + 8:
            plot.text(left + 4, 12, name, "phase-name")
    return plot


def _finish(plot: Plot, result: RunResult, label: str) -> Markup:
    """Add the time axis and the numbered lines of what happened."""
    for number, (at_s, _) in enumerate(result.events, start=1):
        x = plot.x(at_s)
        plot.add('<path class="event" d="M{:.1f} {}V{}"/>', x, svg.MARGIN_TOP, plot.bottom)
        dot = min(max(x, svg.MARGIN_LEFT + 8), plot.right - 8)  # clear of the axis' own words
        plot.add('<circle class="event-dot" cx="{:.1f}" cy="{}" r="8"/>', dot, svg.MARGIN_TOP)
        plot.text(dot, svg.MARGIN_TOP + 4, str(number), "event-number")
    plot.x_axis(svg.time_ticks(plot.x.high, plot.size.x_ticks), wording.duration)
    return plot.markup(label)


def _from_zero(highest: float, size: Size) -> Scale:
    top = max(1.0, highest) * 1.08
    return Scale(0, top, size.height - svg.MARGIN_BOTTOM, svg.MARGIN_TOP)


def _decades(low: float, high: float, size: Size) -> Scale:
    bottom, top = svg.log_bounds(max(low, 0.001), max(high, 0.002))
    return Scale(bottom, top, size.height - svg.MARGIN_BOTTOM, svg.MARGIN_TOP, math.log10)


def _points(
    series: Series, points: Sequence[TimelinePoint], result: RunResult
) -> list[tuple[float, float] | None]:
    """(middle of the point's stretch in seconds, value); None where there is no value."""
    ends = ends_s(points, end_s(result))
    middles = [((p.t_s + end) / 2, series.value(p)) for p, end in zip(points, ends, strict=True)]
    return [None if math.isnan(value) else (at_s, value) for at_s, value in middles]


def _known(points: Sequence[tuple[float, float] | None]) -> list[tuple[float, float]]:
    return [point for point in points if point is not None]


def _lines(plot: Plot, chosen: Sequence[Series], points: Sequence[TimelinePoint], result: RunResult) -> None:
    for series in chosen:
        plot.line(_points(series, points, result), series.css)


def _cells(plot: Plot, points: Sequence[TimelinePoint], ends: Sequence[float], bounds: Sequence[int]) -> None:
    """The heat map's cells, one path a shade; shades step with the logarithm of the count.

    Edges are rounded to whole pixels, alike for neighbours, and neighbours of one shade are one cell: with
    a day of data these pictures are most of the report's size.
    """
    most = max((count for point in points for _, count in point.heat), default=1)
    below = dict(zip(bounds[1:], bounds, strict=False))
    shades: list[list[str]] = [[] for _ in range(HEAT_LEVELS)]
    for point, to_s in zip(points, ends, strict=True):
        left, right = round(plot.x(point.t_s)), round(plot.x(to_s))
        for shade, bottom_us, top_us in _runs(point.heat, most, below):
            bottom, top = round(plot.y(bottom_us / 1000)), round(plot.y(top_us / 1000))
            shades[shade].append(f"M{left} {top}H{right}V{bottom}H{left}z")
    for number, cells in enumerate(shades, start=1):
        plot.add('<path class="heat-{}" d="{}"/>', number, "".join(cells))


def _runs(
    heat: Sequence[tuple[int, int]], most: int, below: dict[int, int]
) -> list[tuple[int, float, float]]:
    """(shade, from_us, to_us) of each stretch of adjoining buckets that have the same shade."""
    runs: list[tuple[int, float, float]] = []
    for upper_us, count in sorted(heat):
        if not count:
            continue
        shade = int(math.log(count) / math.log(most + 1) * HEAT_LEVELS)
        # The lowest bucket has no bucket below; elsewhere a gap must stay a gap, not become a tall cell.
        lower_us = max(below.get(upper_us, 0), upper_us / 1.4)
        if runs and runs[-1][0] == shade and runs[-1][2] >= lower_us:
            runs[-1] = (shade, runs[-1][1], upper_us)
        else:
            runs.append((shade, lower_us, upper_us))
    return runs


def _nines(quantile: float) -> float:
    """Log-odds in effect: each nine takes as much room as the one before."""
    return -math.log10(1 - quantile)


def _curve(buckets: Buckets) -> list[tuple[float, float]]:
    """(quantile, ms) up to the end of each bucket."""
    total, seen, points = sum(buckets.counts), 0, []
    if not total:
        return []
    for upper_us, count in zip(buckets.upper_us, buckets.counts, strict=True):
        points.append((seen / total, upper_us / 1000))
        seen += count
        points.append((min(seen / total, 1 - 1e-12), upper_us / 1000))
    return points


def _thinned(points: Sequence[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """At most `most` points evenly along the log-odds axis: the first and last within each step."""
    kept: dict[int, tuple[float, float]] = {}
    if points:
        end = _nines(min(points[-1][0], 1 - 1e-9))
        for point in points:
            kept[round(_nines(min(point[0], 1 - 1e-9)) / end * most)] = point
    return list(kept.values())


def _curve_label(name: str, response: Quantiles, service: Quantiles) -> str:
    return (
        f"Percentiles of {name}. Response time: p50 {wording.latency(response.p50)}, p99 "
        f"{wording.latency(response.p99)}, p99.9 {wording.latency(response.p99_9)}. Service time: p50 "
        f"{wording.latency(service.p50)}, p99 {wording.latency(service.p99)}, p99.9 "
        f"{wording.latency(service.p99_9)}."
    )


def _between(low_ms: float, high_ms: float) -> str:
    return f"{wording.latency(low_ms)} and {wording.latency(high_ms)}"
