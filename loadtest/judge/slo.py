"""Judges service-level objectives against the record of a run.

An objective is judged over *stretches*: the whole run, one phase of the profile, or every window of some
length. All three are the same structure (`Stretch`), so a metric is one small function of a stretch, and
an objective passes when its worst stretch does. `in every region` judges each of the endpoint's regions in each of
these stretches; which regions there are, the whole run tells. A stretch without data fails: an endpoint that answered
nothing has not met any objective. Only `requests` can be 0: what must not be called need not be.

*A fast refusal is no fast answer.* A time's upper bound is judged twice, by all responses and by those without an
error alone, and the worse of the two counts: errors can neither dilute the slow answers (503 in a millisecond) nor
hide by being slow (a timeout). An endpoint with failures alone has met nothing. `ok` in an objective leaves out the
first of the two.

*Beyond the limit of names* requests share one entry, which no pattern fits; then the histogram that workers kept for
the pattern itself is judged (`RunResult.patterns`). Without one the objective says that it cannot see.

Phases and windows need exact histograms of their own, because quantiles of seconds cannot be merged: whoever
records a run asks `wanted_stretches` which ones to keep. A stretch that was not kept has no data.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from loadtest.judge.drift import LEAST_DURATION_S, find_drift
from loadtest.judge.never_requested import nearest
from loadtest.judge.slo_syntax import (
    DRIFT,
    GOODPUT,
    IMPLICIT,
    SCENARIOS_WITHOUT_REQUESTS,
    Kind,
    Slo,
    SloError,
    check,
    matches,
    parse,
)
from loadtest.measure.run_result import Arrivals, Buckets, Endpoint, RunResult, SloResult, Stretch
from loadtest.measure.window import OVERFLOW_ENDPOINT
from loadtest.records import endpoint_and_region, in_region, is_request

__all__ = [
    "Slo",
    "SloError",
    "can_be_judged",
    "check",
    "evaluate",
    "holds",
    "judgeable",
    "parse",
    "quantile_ms",
    "wanted_stretches",
    "with_unit",
]

OVERFLOW_NAME = " ".join(OVERFLOW_ENDPOINT)
"""The entry of endpoints beyond the limit of names."""
NAMED_QUANTILES = {0.5: "p50", 0.9: "p90", 0.95: "p95", 0.99: "p99", 0.999: "p99_9", 0.9999: "p99_99"}


class _Part(NamedTuple):
    """What is judged by itself: one stretch of time, of one region or of all."""

    span: tuple[float, float]
    endpoint: str | None
    region: str


class Observations:
    """What objectives have seen of stretches, for whoever judges a run again and again while it goes on.

    A value is valid as long as the run's record has the very same object for its stretch.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, _Part], tuple[Stretch | None, float | None]] = {}

    def of(self, slo: Slo, part: _Part, stretch: Stretch | None) -> float | None:
        """The metric's value over one part, in the base unit of its kind; None without data."""
        known = self._known.get((slo.expr, part))
        if known is None or known[0] is not stretch:
            known = self._known[slo.expr, part] = (stretch, _observe(slo, part.endpoint, stretch))
        return known[1]


def evaluate(slo: Slo, result: RunResult, observations: Observations | None = None) -> SloResult:
    """Judge one objective; the observed value is in the objective's unit. No data fails."""
    if slo.metric == DRIFT:
        return _judge_drift(slo, result)
    if slo.metric == SCENARIOS_WITHOUT_REQUESTS:
        return _judge_scenarios(slo, result)
    spans = _spans(slo, result.run.phases, result.run.duration_s)
    if not spans:
        return _no_data(slo, f"the run has no phase named {slo.phase}")
    regions = _regions(slo, result)
    if not regions:
        return _no_data(slo, f"no request to {slo.endpoint} belongs to a region")
    parts = [_Part(span, endpoint, region) for endpoint, region in regions for span in spans]
    seen, find = observations or Observations(), _stretches(slo, result)
    values = [(seen.of(slo, part, find(part.span)), part) for part in parts]
    empty = [part for value, part in values if value is None]
    if empty:
        return _no_data(slo, _why_no_data(slo, empty, len(parts), result, find))
    known = [(round(value / slo.unit_size, 9), part) for value, part in values if value is not None]
    observed, part = max(known, key=lambda pair: _badness(slo, pair[0]))
    notes = [_worst(slo, part, len(spans), len(regions)), _of_ok_alone(slo, part, find(part.span))]
    if slo.metric == "requests" and observed == 0 and not holds(slo, observed):
        notes.append(_no_requests(part.endpoint or "*", result))
    return _judged(slo, observed, "; ".join(filter(None, notes)))


def _judged(slo: Slo, observed: float, note: str) -> SloResult:
    return SloResult(
        expr=slo.expr, observed=observed, passed=holds(slo, observed), note=note, source=slo.source
    )


def _regions(slo: Slo, result: RunResult) -> list[tuple[str | None, str]]:
    """(endpoint, region) of each region to judge by itself; the endpoint as it is where none was asked for."""
    if not slo.per_region or slo.endpoint is None:
        return [(slo.endpoint, "")]
    names = [endpoint_and_region(name) for name in result.endpoints if matches(slo.endpoint, name)]
    return [(in_region(slo.endpoint, region), region) for region in sorted({r for _, r in names if r})]


def _worst(slo: Slo, part: _Part, spans: int, regions: int) -> str:
    """Where the worst value was seen, where there was more than one to choose from."""
    many = [f"{spans} windows"] * (slo.window_s is not None) + [f"{regions} regions"] * slo.per_region
    where = [part.region] * slo.per_region + [f"at {_seconds(part.span)}"] * (slo.window_s is not None)
    return f"worst of {' in '.join(many)}, {' '.join(where)}" if many else ""


def can_be_judged(slo: Slo, result: RunResult) -> bool:
    """False only for an implicit objective on what nobody counted; one's own fails for want of data."""
    counted = slo.metric != SCENARIOS_WITHOUT_REQUESTS or result.scenarios_without_requests is not None
    return counted or slo.source != IMPLICIT


def judgeable(slos: Iterable[Slo], duration_s: float) -> list[Slo]:
    """Without the objectives that a run of this length is too short for: drift, in what is no soak.

    For a plan's own objectives, so that a soak can be cut short to try it out; one that was asked for by hand
    stays, and fails for want of data.
    """
    return [slo for slo in slos if slo.metric != DRIFT or duration_s >= LEAST_DURATION_S]


def _judge_drift(slo: Slo, result: RunResult) -> SloResult:
    trends = find_drift(result)
    if not trends:
        return _no_data(slo, f"drift shows in {LEAST_DURATION_S / 60:g} min or more")
    drifting = [
        f"{found.metric} {found.relative_per_h:+.2%}/h" if found.level else found.metric
        for found in trends
        if found.drifting
    ]
    observed = float(len(drifting))
    note = ", ".join(drifting) or f"steady: {', '.join(found.metric for found in trends)}"
    return _judged(slo, observed, note)


def _judge_scenarios(slo: Slo, result: RunResult) -> SloResult:
    idle = result.scenarios_without_requests
    if idle is None:
        return _no_data(slo, "nobody counted the requests of each scenario")
    note = f"no request was made by {', '.join(idle)}" if idle else ""
    return _judged(slo, float(len(idle)), note)


def holds(slo: Slo, observed: float) -> bool:
    """Whether a value, in the objective's own unit, meets its comparison."""
    return {
        "<": observed < slo.bound,
        "<=": observed <= slo.bound,
        ">": observed > slo.bound,
        ">=": observed >= slo.bound,
        "==": observed == slo.bound,
    }[slo.operator]


def with_unit(slo: Slo, value: float | None) -> str:
    """A value as the objective would write it: `12.5ms`, `0.04%`; `no data` for None.

    Four digits, or as many more as tell it from the objective's bound and from 100 %.
    """
    if value is None:
        return "no data"
    misleading = {slo.bound, 100.0} - {value}
    texts = (_fixed(value, decimals) for decimals in _decimals(value))
    return next(text for text in texts if float(text.replace(",", "")) not in misleading) + slo.unit


def _fixed(value: float, decimals: int) -> str:
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _decimals(value: float) -> range:
    """The numbers of decimals to try, from four significant digits up to what evaluation keeps."""
    whole_digits = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    leading_zeros = -math.floor(math.log10(abs(value))) - 1 if 0 < abs(value) < 1 else 0
    return range(max(0, 4 - whole_digits + leading_zeros), 13)


def wanted_stretches(
    slos: Iterable[Slo], phases: Sequence[tuple[float, float, str]], duration_s: float
) -> list[Stretch]:
    """The empty stretches a run must fill so that every objective can be judged: each phase, each window."""
    wanted = {(start, end): name for start, end, name in phases}
    for slo in slos:
        if slo.phase or slo.window_s:
            for span in _spans(slo, phases, duration_s):
                wanted.setdefault(span, "")
    return [Stretch(name=name, from_s=start, to_s=end) for (start, end), name in wanted.items()]


def quantile_ms(buckets: Buckets, quantile: float) -> float | None:
    """The upper edge, in ms, of the bucket that holds `quantile` (0..1); None where nothing was counted.

    The nearest-rank definition: the smallest value with at least that share at or below it.
    """
    rank = quantile * sum(buckets.counts)
    seen = 0
    for upper_us, count in zip(buckets.upper_us, buckets.counts, strict=True):
        seen += count
        if count and seen >= rank - 1e-9 * rank:  # 0.999 * 1000 is 999.0000000000001 in binary floats
            return upper_us / 1000
    return None


def _spans(
    slo: Slo, phases: Sequence[tuple[float, float, str]], duration_s: float
) -> list[tuple[float, float]]:
    whole = [(0.0, duration_s)]
    spans = [(start, end) for start, end, name in phases if name == slo.phase] if slo.phase else whole
    if slo.window_s is None:
        return spans
    return [window for span in spans for window in _windows(span, slo.window_s)]


def _windows(span: tuple[float, float], length_s: float) -> list[tuple[float, float]]:
    """Windows of full length that cover the span; the last may overlap, so that the end is judged."""
    start, end = span
    full = int((end - start) / length_s + 1e-9)
    windows = [(start + i * length_s, start + (i + 1) * length_s) for i in range(full)]
    if not windows:
        return [span]
    if end - windows[-1][1] > 1e-6:
        windows.append((end - length_s, end))
    return windows


def _stretches(slo: Slo, result: RunResult) -> Callable[[tuple[float, float]], Stretch | None]:
    """Finds the record of a span among those that the objective is about; None for one that was not kept."""
    if slo.phase or slo.window_s:
        kept = {_rounded((stretch.from_s, stretch.to_s)): stretch for stretch in result.stretches}
        return lambda span: kept.get(_rounded(span))
    whole = Stretch(
        name="",
        from_s=0.0,
        to_s=result.run.duration_s,
        endpoints=result.endpoints,
        arrivals=result.arrivals,
        transactions=result.transactions.count,
        patterns=result.patterns,
    )
    return lambda _: whole


def _rounded(span: tuple[float, float]) -> tuple[float, float]:
    """As a key: spans are computed by adding up, and written to files in between."""
    return round(span[0], 5), round(span[1], 5)


def _observe(slo: Slo, endpoint: str | None, stretch: Stretch | None) -> float | None:
    """The metric's value over one stretch, in the base unit of its kind; None without data."""
    if stretch is None:
        return None
    if endpoint is None:
        return _RUN_METRICS[slo.metric](stretch)
    chosen = _chosen(endpoint, stretch)
    return None if chosen is None else _observe_endpoints(slo, chosen, stretch)


def _observe_endpoints(slo: Slo, chosen: list[Endpoint], stretch: Stretch) -> float | None:
    requests = sum(one.requests for one in chosen)
    if slo.metric == "requests":
        return requests
    if not requests:
        return None
    failures = sum(one.failures for one in chosen)
    if slo.metric == "errors":
        return failures / requests
    if slo.metric == GOODPUT:
        return _a_second(requests - failures, stretch)
    return _worse_latency(slo, chosen)


def _chosen(pattern: str, stretch: Stretch) -> list[Endpoint] | None:
    """Those of that very name, whatever their region; else those that the pattern fits; None if nobody can tell.

    Where names were too many, an entry of that very name may be a part of its requests only.
    """
    endpoints = stretch.endpoints
    if OVERFLOW_NAME in endpoints and pattern != "*":
        kept = stretch.patterns.get(pattern)
        return None if kept is None else [kept]
    same = [one for name, one in endpoints.items() if pattern in (name, endpoint_and_region(name)[0])]
    if same:
        return same
    besides = not is_request(pattern)
    return [
        one for name, one in endpoints.items() if matches(pattern, name) and (besides or is_request(name))
    ]


def _worse_latency(slo: Slo, chosen: list[Endpoint]) -> float | None:
    """The time of all responses or of ok ones alone, whichever is worse; None where none was ok."""
    ok = _ok_latency(slo, chosen)
    if slo.ok_only or ok is None:
        return ok
    everything = _latency(slo, chosen)
    return ok if everything is None or not slo.operator.startswith("<") else max(ok, everything)


def _ok_latency(slo: Slo, chosen: list[Endpoint]) -> float | None:
    """The time of responses without an error; of all, in a record that does not keep them apart."""
    if all(one.failures == one.requests for one in chosen):
        return None
    apart = [_ok_alone(one) for one in chosen if one.failures < one.requests]
    return _latency(slo, apart)


def _ok_alone(endpoint: Endpoint) -> Endpoint:
    """An endpoint as if it had had its ok responses alone; service times are kept of all responses together."""
    if not endpoint.ok_response_ms.count:
        return endpoint
    return msgspec.structs.replace(
        endpoint, response_ms=endpoint.ok_response_ms, response_buckets=endpoint.ok_response_buckets
    )


def _of_ok_alone(slo: Slo, part: _Part, stretch: Stretch | None) -> str:
    """Says so where faster failures were left out of a time."""
    if stretch is None or part.endpoint is None or slo.kind is not Kind.LATENCY or slo.ok_only:
        return ""
    chosen = _chosen(part.endpoint, stretch) or []
    ok, everything = _ok_latency(slo, chosen), _latency(slo, chosen)
    faster = ok is not None and everything is not None and ok > everything and slo.operator.startswith("<")
    return "ok responses alone; failed ones were faster" if faster else ""


def _latency(slo: Slo, chosen: list[Endpoint]) -> float | None:
    service = slo.metric.startswith("service_")
    latencies = [e.service_ms if service else e.response_ms for e in chosen]
    counted = [latency for latency in latencies if latency.count]
    if not counted:
        return None
    if slo.metric.endswith("max"):
        return max(latency.max for latency in counted)
    if slo.metric.endswith("mean"):
        return sum(q.mean * q.count for q in counted) / sum(q.count for q in counted)
    assert slo.quantile is not None  # noqa: S101  # the parser gives every other metric none
    named = NAMED_QUANTILES.get(round(slo.quantile, 9))
    if named and len(chosen) == 1 and getattr(counted[0], named):
        return float(getattr(counted[0], named))
    return quantile_ms(
        _merged([e.service_buckets if service else e.response_buckets for e in chosen]), slo.quantile
    )


def _merged(histograms: list[Buckets]) -> Buckets:
    counts: Counter[int] = Counter()
    for histogram in histograms:
        counts.update(dict(zip(histogram.upper_us, histogram.counts, strict=True)))
    return Buckets(upper_us=sorted(counts), counts=[counts[upper] for upper in sorted(counts)])


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _a_second(count: int, stretch: Stretch) -> float | None:
    """A rate over a stretch; None over one of no length, as of a run that was stopped before its time zero."""
    return count / (stretch.to_s - stretch.from_s) if stretch.to_s > stretch.from_s else None


def _ended(arrivals: Arrivals) -> int:
    """Arrivals whose end is known: what was never answered (cancelled) or never begun (dropped) was not available."""
    begun = arrivals.ok + arrivals.failed + arrivals.empty + arrivals.cancelled
    return begun + arrivals.dropped


_RUN_METRICS: dict[str, Callable[[Stretch], float | None]] = {
    "started_rate": lambda s: _share(s.arrivals.started, s.arrivals.planned),
    "availability": lambda s: _share(s.arrivals.ok, _ended(s.arrivals)),
    "dropped": lambda s: s.arrivals.dropped if s.arrivals.planned else None,
    "lost": lambda s: s.arrivals.lost if s.arrivals.planned else None,
    GOODPUT: lambda s: _a_second(s.transactions, s) if s.arrivals.planned else None,
}


def _badness(slo: Slo, observed: float) -> float:
    if slo.operator == "==":
        return abs(observed - slo.bound)
    return observed if slo.operator.startswith("<") else -observed


def _no_data(slo: Slo, why: str) -> SloResult:
    return SloResult(expr=slo.expr, observed=None, passed=False, note=why, source=slo.source)


def _why_no_data(
    slo: Slo,
    empty: list[_Part],
    parts: int,
    result: RunResult,
    find: Callable[[tuple[float, float]], Stretch | None],
) -> str:
    first = empty[0]
    what = _what_is_missing(first, result, find(first.span)) if first.endpoint else "no arrival was planned"
    if slo.window_s:
        return f"{what} in {len(empty)} of {parts} windows, first at {_seconds(first.span)}"
    return f"{what} during {slo.phase}" if slo.phase else what


def _what_is_missing(part: _Part, result: RunResult, stretch: Stretch | None) -> str:
    """Why nothing can be said of an endpoint: none of its names is kept, nobody asked for it, or all failed."""
    pattern = part.endpoint or "*"
    chosen = _chosen(pattern, stretch) if stretch is not None else []
    if chosen is None:
        return f"the run has too many endpoint names to tell those of {pattern} apart; use fewer names"
    requests, failures = sum(one.requests for one in chosen), sum(one.failures for one in chosen)
    if requests and failures == requests:
        return f"none of {requests:,} requests to {pattern} was answered without an error"
    if requests:
        return f"no times were measured of {pattern}"
    return _no_requests(pattern, result)


def _no_requests(pattern: str, result: RunResult) -> str:
    if pattern == "*":
        return "no requests"
    near = (
        "" if any(matches(pattern, name) for name in result.endpoints) else nearest(pattern, result.endpoints)
    )
    return f"no requests to {pattern}" + (f"; the nearest that was requested is {near}" if near else "")


def _seconds(span: tuple[float, float]) -> str:
    return f"{span[0]:g}-{span[1]:g} s"
