"""Judges service-level objectives against the record of a run.

An objective is judged over *periods* (`judge.periods`): the whole run, one phase of the profile, or every
window of some length. All three are the same structure, so a metric is one small function of a period
(`judge.observation`), and an objective passes when its worst period does. `in every region` judges each of the
endpoint's regions in each of these periods; which regions there are, the whole run tells. A period without data
fails: an endpoint that answered nothing has not met any objective. Only `requests` can be 0: what must not be
called need not be.
"""

from collections.abc import Iterable

from loadtest.judge.bound import holds
from loadtest.judge.drift import LEAST_DURATION_S, find_drift
from loadtest.judge.never_requested import nearest
from loadtest.judge.observation import Observations, Scope, chosen_endpoints, of_ok_alone
from loadtest.judge.periods import Find, Span, periods_of, spans_of
from loadtest.judge.slo_syntax import DRIFT, IMPLICIT, SCENARIOS_WITHOUT_REQUESTS, Slo
from loadtest.measure.endpoint_pattern import matches
from loadtest.measure.run_result import Period, RunResult, SloResult
from loadtest.records import endpoint_and_region, in_region


def evaluate(slo: Slo, result: RunResult, observations: Observations | None = None) -> SloResult:
    """Judge one objective; the observed value is in the objective's unit. No data fails."""
    if slo.metric == DRIFT:
        return _judge_drift(slo, result)
    if slo.metric == SCENARIOS_WITHOUT_REQUESTS:
        return _judge_scenarios(slo, result)
    spans = spans_of(slo, result.run.phases, result.run.duration_s)
    if not spans:
        return _no_data(slo, f"the run has no phase named {slo.phase}")
    regions = _regions(slo, result)
    if not regions:
        return _no_data(slo, f"no request to {slo.endpoint} belongs to a region")
    scopes = [Scope(span, endpoint, region) for endpoint, region in regions for span in spans]
    seen, find = observations or Observations(), periods_of(slo, result)
    values = [(seen.of(slo, scope, find(scope.span)), scope) for scope in scopes]
    empty = [scope for value, scope in values if value is None]
    if empty:
        return _no_data(slo, _why_no_data(slo, empty, len(scopes), result, find))
    known = [(round(value / slo.unit_size, 9), scope) for value, scope in values if value is not None]
    observed, scope = max(known, key=lambda pair: _badness(slo, pair[0]))
    notes = [_worst(slo, scope, len(spans), len(regions)), of_ok_alone(slo, scope, find(scope.span))]
    if slo.metric == "requests" and observed == 0 and not holds(slo, observed):
        notes.append(_no_requests(scope.endpoint or "*", result))
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


def _worst(slo: Slo, scope: Scope, spans: int, regions: int) -> str:
    """Where the worst value was seen, where there was more than one to choose from."""
    many = [f"{spans} windows"] * (slo.window_s is not None) + [f"{regions} regions"] * slo.per_region
    where = [scope.region] * slo.per_region + [f"at {_seconds(scope.span)}"] * (slo.window_s is not None)
    return f"worst of {' in '.join(many)}, {' '.join(where)}" if many else ""


def can_be_judged(slo: Slo, result: RunResult) -> bool:
    """False only for an implicit objective without data; an objective that was set fails without data."""
    counted = slo.metric != SCENARIOS_WITHOUT_REQUESTS or result.scenarios_without_requests is not None
    return counted or slo.source != IMPLICIT


def judgeable(slos: Iterable[Slo], duration_s: float) -> list[Slo]:
    """The objectives without those that a run of this length is too short for: drift needs a soak.

    For a plan's own objectives, so that a soak can be cut short to try it out; one that was asked for by hand
    stays, and fails for want of data.
    """
    return [slo for slo in slos if slo.metric != DRIFT or duration_s >= LEAST_DURATION_S]


def _judge_drift(slo: Slo, result: RunResult) -> SloResult:
    trends = find_drift(result)
    if not trends:
        return _no_data(slo, f"drift needs a run of at least {LEAST_DURATION_S / 60:g} min")
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
        return _no_data(slo, "this result.json does not count the requests of each scenario")
    note = f"no request was made by {', '.join(idle)}" if idle else ""
    return _judged(slo, float(len(idle)), note)


def _badness(slo: Slo, observed: float) -> float:
    if slo.operator == "==":
        return abs(observed - slo.bound)
    return observed if slo.operator.startswith("<") else -observed


def _no_data(slo: Slo, why: str) -> SloResult:
    return SloResult(expr=slo.expr, observed=None, passed=False, note=why, source=slo.source)


def _why_no_data(
    slo: Slo,
    empty: list[Scope],
    parts: int,
    result: RunResult,
    find: Find,
) -> str:
    first = empty[0]
    what = _what_is_missing(first, result, find(first.span)) if first.endpoint else "no arrival was planned"
    if slo.window_s:
        return f"{what} in {len(empty)} of {parts} windows, first at {_seconds(first.span)}"
    return f"{what} during {slo.phase}" if slo.phase else what


def _what_is_missing(scope: Scope, result: RunResult, period: Period | None) -> str:
    """Why an endpoint has no data: its names were too many, it was not requested, or every request failed."""
    pattern = scope.endpoint or "*"
    chosen = chosen_endpoints(pattern, period) if period is not None else []
    if chosen is None:
        return f"the run has too many endpoint names to tell those of {pattern} apart; use fewer names"
    requests, failures = sum(one.requests for one in chosen), sum(one.failures for one in chosen)
    if requests and failures == requests:
        return f"none of {requests:,} requests to {pattern} was answered without an error"
    if requests:
        return f"no response times were measured for {pattern}"
    return _no_requests(pattern, result)


def _no_requests(pattern: str, result: RunResult) -> str:
    if pattern == "*":
        return "no requests"
    near = (
        "" if any(matches(pattern, name) for name in result.endpoints) else nearest(pattern, result.endpoints)
    )
    return f"no requests to {pattern}" + (f"; the nearest that was requested is {near}" if near else "")


def _seconds(span: Span) -> str:
    return f"{span[0]:g}-{span[1]:g} s"
