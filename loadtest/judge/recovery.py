"""Judges how a target takes a fault: when it was detected, when it had recovered, and its goodput meanwhile.

*Normal* is what the seconds just before the fault were (`BEFORE_S`; chaos engineering calls that the steady state:
https://principlesofchaos.org). A second is *within the band* where

    its goodput, the transactions that ended well in it as a share of those planned for it, is at least the lowest of
    those seconds, less `SHARE_MARGIN`, or less two standard deviations of a random count where arrivals are random;
    its p99 of response times is at most `P99_FACTOR` times the highest of those seconds, and `P99_MARGIN_MS` more.

Response times belong to the second in which a request was intended, so an order that waits out a stall is slow in its
own second, and a backlog that is worked off later is not yet a recovery.

*Detected*: from the fault's beginning to the end of the first second at or after it that is out of the band.
*Recovered*: from the fault's end to the beginning of the first second from which on all stay within the band for
`SETTLED_S`; the second in which it ends may be the first of them. This is the settling time of control theory
(K. Ogata, Modern Control Engineering, 5th ed., section 5-3: the time to reach a band and stay in it), with the band
taken from what was seen. Of faults that overlap each is recovered from when all is normal after the last one's end.
Where a run ends, or another fault begins, before it has settled for so long, it has not recovered.
*Goodput*: transactions that ended well in the fault's period, as a share of what the plan intends there without an
overload.

Objectives that nobody wrote (`judge.implicit`) are about the seconds outside of faults: from the beginning of one
until it was recovered from, or had to be, nobody promised anything but what the fault says.
"""

from collections.abc import Iterable, Sequence

from loadtest.judge.bound import holds
from loadtest.judge.slo_syntax import IMPLICIT, Slo
from loadtest.measure.run_result import FaultResult, RunResult, SloResult, TimelinePoint, step_s

FAULT = "fault"
"""The source of an objective that a fault has."""
BEFORE_S = 10.0
"""How many seconds before a fault say what is normal; fewer if another fault is that near, or the run that young."""
SHARE_MARGIN = 0.05
P99_FACTOR = 2.0
P99_MARGIN_MS = 25.0
"""A machine with two cores has stalls of its own of up to some 20 ms, which are no fault's doing."""
SETTLED_S = 3.0


def judge_faults(result: RunResult) -> list[SloResult]:
    """Fill in detection, recovery and goodput of each fault; returns its expectations, judged.

    A record without a timeline, as of a run that goes on, has nothing to say yet.
    """
    if not result.timeline:
        return []
    judged: list[SloResult] = []
    for fault in result.faults:
        if fault.began_s is not None and fault.ended_s is not None:
            _observe(fault, result)
            judged += _expectations(fault)
    return judged


def unplayed(result: RunResult) -> list[str]:
    """A sentence for each fault that could not be played or undone, which is the harness's own failure."""
    over = [fault for fault in result.faults if fault.problem]
    return [f"the fault {fault.name} could not be played as planned: {fault.problem}" for fault in over]


def outside_faults(slo: Slo, result: RunResult) -> SloResult | None:
    """An implicit objective, judged over the seconds outside of faults; None where it is judged as ever."""
    if slo.source != IMPLICIT or slo.metric not in _OUTSIDE or not (disturbed := _disturbed(result)):
        return None
    bin_s = step_s(result.timeline)
    points = [point for point in result.timeline if not _within(point, disturbed, bin_s)]
    observed = _OUTSIDE[slo.metric](points, bin_s)
    if observed is None:
        return SloResult(
            expr=slo.expr, observed=None, passed=False, note="no data outside of faults", source=IMPLICIT
        )
    observed = round(observed / slo.unit_size, 9)
    return SloResult(
        expr=slo.expr,
        observed=observed,
        passed=holds(slo, observed),
        note="outside of faults",
        source=IMPLICIT,
    )


def _observe(fault: FaultResult, result: RunResult) -> None:
    """Fill in when it showed, when it was over, and what went well meanwhile."""
    before = _before(fault, result)
    if before:
        _set_band(
            fault, before, step_s(result.timeline), random=result.run.settings.get("arrivals") == "poisson"
        )
        _see_in_curve(fault, result)
    period = next((s for s in result.periods if s.name == fault.name), None)
    if period is not None and fault.planned > 0:
        fault.goodput = period.transactions / fault.planned


def _set_band(fault: FaultResult, before: Sequence[TimelinePoint], bin_s: float, *, random: bool) -> None:
    """What counts as normal, by the seconds before."""
    fewest = min(point.planned_tps for point in before) * bin_s
    margin = max(SHARE_MARGIN, 2 / fewest**0.5 if random else 0.0)
    fault.least_share = max(0.0, min(_share(point) for point in before) - margin)
    fault.most_p99_ms = P99_FACTOR * max(point.response_ms.p99 for point in before) + P99_MARGIN_MS


def _see_in_curve(fault: FaultResult, result: RunResult) -> None:
    """When it left the band, and when it was back for good."""
    bin_s, began_s = step_s(result.timeline), fault.began_s or 0.0
    over_s = _over_s(fault, result.faults)
    until_s = _next_begins_s(over_s, result)
    since = [point for point in result.timeline if point.t_s + bin_s > began_s and point.t_s < until_s]
    left_s = next((point.t_s for point in since if not _is_normal(point, fault)), None)
    fault.detected_in_s = None if left_s is None else round(left_s + bin_s - began_s, 3)
    calm = [
        point for point in since if over_s < point.t_s + bin_s - 1e-9 and point.t_s + bin_s <= until_s + 1e-6
    ]
    settled_s = _settled_s(calm, fault, bin_s)
    fault.recovered_in_s = None if settled_s is None else round(max(settled_s - over_s, 0.0), 3)


def _before(fault: FaultResult, result: RunResult) -> list[TimelinePoint]:
    """The seconds that say what is normal: those before it that are over and not another fault's."""
    began_s, bin_s = fault.began_s or 0.0, step_s(result.timeline)
    others = [
        span for other, span in zip(result.faults, _spans(result.faults), strict=True) if other is not fault
    ]
    seen = [
        point
        for point in result.timeline
        if began_s - BEFORE_S - bin_s < point.t_s <= began_s - bin_s + 1e-9
        and point.planned_tps > 0
        and not _within(point, others, bin_s)
    ]
    # The first second of a run pays for cold caches and new connections.
    return [point for point in seen if point.t_s >= bin_s] or seen


def _settled_s(calm: Sequence[TimelinePoint], fault: FaultResult, bin_s: float) -> float | None:
    """Where the first period of `SETTLED_S` within the band begins."""
    since_s: float | None = None
    for point in calm:
        if not _is_normal(point, fault):
            since_s = None
            continue
        since_s = point.t_s if since_s is None else since_s
        if point.t_s + bin_s - since_s >= SETTLED_S - 1e-6:
            return since_s
    return None


def _is_normal(point: TimelinePoint, fault: FaultResult) -> bool:
    too_slow = point.response_ms.count > 0 and point.response_ms.p99 > (fault.most_p99_ms or 0.0)
    return _share(point) >= (fault.least_share or 0.0) and not too_slow


def _share(point: TimelinePoint) -> float:
    """Transactions that ended well in a second, as a share of those planned for it."""
    return point.completed_tps / point.planned_tps if point.planned_tps > 0 else 1.0


def _expectations(fault: FaultResult) -> list[SloResult]:
    """What was asked of a fault, judged as objectives are."""
    judged = [_recovers(fault)]
    if fault.detected_within_s is not None:
        judged.append(_shows(fault, fault.detected_within_s))
    if fault.least_goodput is not None:
        judged.append(_goodput(fault, *fault.least_goodput))
    return judged


def _recovers(fault: FaultResult) -> SloResult:
    known = fault.most_p99_ms is not None
    missing = (
        "not recovered before the next fault or the end of the run"
        if known
        else "no figures from before it to compare with"
    )
    return _within_time(
        f"{fault.name} recovers_within", fault.recovered_in_s, fault.recovers_within_s, missing
    )


def _shows(fault: FaultResult, within_s: float) -> SloResult:
    return _within_time(
        f"{fault.name} detected_within", fault.detected_in_s, within_s, "it never showed in the figures"
    )


def _within_time(what: str, observed_s: float | None, within_s: float, missing: str) -> SloResult:
    return SloResult(
        expr=f"{what} <= {within_s:g}s",
        observed=observed_s,
        passed=observed_s is not None and observed_s <= within_s + 1e-9,
        note=missing if observed_s is None else "",
        source=FAULT,
    )


def _goodput(fault: FaultResult, operator: str, share: float) -> SloResult:
    seen = fault.goodput
    met = seen is not None and (seen >= share if operator == ">=" else seen > share)
    return SloResult(
        expr=f"{fault.name} goodput {operator} {share * 100:g}%",
        observed=None if seen is None else round(seen * 100, 6),
        passed=met,
        note="" if seen is not None else "no transaction was planned while it lasted",
        source=FAULT,
    )


def unit_of(expectation: str) -> str:
    """The unit of what is observed of a fault's expectation: % for goodput, seconds for times."""
    return "%" if expectation.endswith("%") else "s"


def _over_s(fault: FaultResult, faults: Sequence[FaultResult]) -> float:
    """When it and all that overlap with it are over."""
    over_s = fault.ended_s or 0.0
    for other in sorted(faults, key=lambda other: other.began_s or 0.0):
        if other.began_s is not None and (fault.began_s or 0.0) <= other.began_s < over_s:
            over_s = max(over_s, other.ended_s or 0.0)
    return over_s


def _next_begins_s(over_s: float, result: RunResult) -> float:
    """When the next fault begins after an instant; else when the run ends."""
    begins = [other.began_s for other in result.faults if other.began_s is not None]
    return min([began_s for began_s in begins if began_s > over_s], default=result.run.duration_s)


def _spans(faults: Iterable[FaultResult]) -> list[tuple[float, float]]:
    """From each fault's beginning until it was recovered from, or had to be; empty for one that never began."""
    spans = []
    for fault in faults:
        if fault.began_s is None:
            spans.append((0.0, 0.0))
            continue
        ended_s = fault.ended_s if fault.ended_s is not None else fault.to_s
        took_s = fault.recovers_within_s
        if fault.recovered_in_s is not None:
            took_s = min(took_s, fault.recovered_in_s)
        spans.append((fault.began_s, ended_s + took_s))
    return spans


def _disturbed(result: RunResult) -> list[tuple[float, float]]:
    return [span for span in _spans(result.faults) if span[1] > span[0]]


def _within(point: TimelinePoint, spans: Iterable[tuple[float, float]], bin_s: float) -> bool:
    return any(from_s < point.t_s + bin_s and point.t_s < to_s for from_s, to_s in spans)


def _errors(points: Sequence[TimelinePoint], _bin_s: float) -> float | None:
    requests = sum(point.requests for point in points)
    return sum(point.failures for point in points) / requests if requests else None


def _availability(points: Sequence[TimelinePoint], bin_s: float) -> float | None:
    begun = sum(point.started + point.dropped for point in points)
    failed = sum(point.failed_per_s * bin_s + point.dropped for point in points)
    return 1 - failed / begun if begun else None


def _dropped(points: Sequence[TimelinePoint], _bin_s: float) -> float | None:
    return float(sum(point.dropped for point in points)) if points else None


_OUTSIDE = {"errors": _errors, "availability": _availability, "dropped": _dropped}
