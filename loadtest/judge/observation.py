"""The value of an objective's metric over one period of a run.

*A fast refusal is no fast answer.* A time's upper bound is judged twice, by all responses and by those without an
error alone, and the worse of the two counts: errors can neither dilute the slow answers (503 in a millisecond) nor
hide by being slow (a timeout). An endpoint with failures alone has met nothing. `ok` in an objective leaves out the
first of the two.

*Beyond the limit of names* requests share one entry, which no pattern fits; then the histogram that workers kept for
the pattern itself is judged (`RunResult.patterns`). Without one nobody can tell.
"""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from loadtest.judge.slo_syntax import GOODPUT, Kind, Slo
from loadtest.measure.endpoint_pattern import matches
from loadtest.measure.run_result import Arrivals, Buckets, Endpoint, Period
from loadtest.measure.second import OVERFLOW_ENDPOINT
from loadtest.records import endpoint_and_region, is_request

OVERFLOW_NAME = " ".join(OVERFLOW_ENDPOINT)
"""The entry of endpoints beyond the limit of names."""
NAMED_QUANTILES = {0.5: "p50", 0.9: "p90", 0.95: "p95", 0.99: "p99", 0.999: "p99_9", 0.9999: "p99_99"}


class Scope(NamedTuple):
    """What is judged separately: one period of time, in one region or in all."""

    span: tuple[float, float]
    endpoint: str | None
    region: str


class Observations:
    """Values of objectives that are known already, for a run that is judged again and again while it goes on.

    A value is valid as long as the run's record has the very same object for its period.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, Scope], tuple[Period | None, float | None]] = {}

    def of(self, slo: Slo, scope: Scope, period: Period | None) -> float | None:
        """The metric's value in one scope, in the base unit of its kind; None without data."""
        known = self._known.get((slo.expr, scope))
        if known is None or known[0] is not period:
            known = self._known[slo.expr, scope] = (period, _observe(slo, scope.endpoint, period))
        return known[1]


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


def _observe(slo: Slo, endpoint: str | None, period: Period | None) -> float | None:
    """The metric's value over one period, in the base unit of its kind; None without data."""
    if period is None:
        return None
    if endpoint is None:
        return _RUN_METRICS[slo.metric](period)
    chosen = chosen_endpoints(endpoint, period)
    return None if chosen is None else _observe_endpoints(slo, chosen, period)


def _observe_endpoints(slo: Slo, chosen: list[Endpoint], period: Period) -> float | None:
    requests = sum(one.requests for one in chosen)
    if slo.metric == "requests":
        return requests
    if not requests:
        return None
    failures = sum(one.failures for one in chosen)
    if slo.metric == "errors":
        return failures / requests
    if slo.metric == GOODPUT:
        return _a_second(requests - failures, period)
    return _worse_latency(slo, chosen)


def chosen_endpoints(pattern: str, period: Period) -> list[Endpoint] | None:
    """The endpoints of that exact name in any region, else those that the pattern matches; None if it is not known.

    Where names were too many, an entry of that very name may be a part of its requests only.
    """
    endpoints = period.endpoints
    if OVERFLOW_NAME in endpoints and pattern != "*":
        kept = period.patterns.get(pattern)
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
    """An endpoint with the response times of its ok responses alone; its service times are of all responses."""
    if not endpoint.ok_response_ms.count:
        return endpoint
    return msgspec.structs.replace(
        endpoint, response_ms=endpoint.ok_response_ms, response_buckets=endpoint.ok_response_buckets
    )


def of_ok_alone(slo: Slo, scope: Scope, period: Period | None) -> str:
    """A note where failures were left out of a response time because they were faster."""
    if period is None or scope.endpoint is None or slo.kind is not Kind.LATENCY or slo.ok_only:
        return ""
    chosen = chosen_endpoints(scope.endpoint, period) or []
    ok, everything = _ok_latency(slo, chosen), _latency(slo, chosen)
    faster = ok is not None and everything is not None and ok > everything and slo.operator.startswith("<")
    return "without the failed responses, which were faster" if faster else ""


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


def _a_second(count: int, period: Period) -> float | None:
    """A rate over a period; None over one of no length, as of a run that was stopped before its time zero."""
    return count / (period.to_s - period.from_s) if period.to_s > period.from_s else None


def _ended(arrivals: Arrivals) -> int:
    """Arrivals whose end is known: what was never answered (cancelled) or never begun (dropped) was not available."""
    begun = arrivals.ok + arrivals.failed + arrivals.empty + arrivals.cancelled
    return begun + arrivals.dropped


_RUN_METRICS: dict[str, Callable[[Period], float | None]] = {
    "started_rate": lambda s: _share(s.arrivals.started, s.arrivals.planned),
    "availability": lambda s: _share(s.arrivals.ok, _ended(s.arrivals)),
    "dropped": lambda s: s.arrivals.dropped if s.arrivals.planned else None,
    "lost": lambda s: s.arrivals.lost if s.arrivals.planned else None,
    GOODPUT: lambda s: _a_second(s.transactions, s) if s.arrivals.planned else None,
}
