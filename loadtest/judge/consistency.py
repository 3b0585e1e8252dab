"""Whether a run's record agrees with itself: what is counted in two places has to be the same number in both.

A defect of the harness that loses or invents something seldom does so everywhere alike. Arrivals obey their
identities; workers' own counts, seconds and endpoints each add up to the totals; a histogram's exact sum, maximum and
quantiles lie within the edges of its buckets; nothing is lost while no worker was. A record that contradicts itself
proves nothing, so the run is INVALID. It is asked of final records alone: while a run goes on, reports are under way,
and where its master was killed, what was under way is lost though no worker was.
"""

from collections.abc import Iterator

from loadtest.judge.observation import quantile_ms
from loadtest.measure.run_result import Buckets, Endpoint, Quantiles, RunResult
from loadtest.records import is_request

LEDGER_SCENARIOS = "loadtest.scenarios.shop:"
"""Scenarios that note every order they send."""
_DEFECT = "; report this as a defect of the harness"
_BUCKET_WIDTH = 1 / 128
"""Of a bucket's values, relative to the highest (`measure.histogram`)."""


def contradictions(result: RunResult) -> list[str]:
    """A sentence for each way in which a final record contradicts itself."""
    if not result.timeline:
        return []
    said = [*_of_arrivals(result), *_of_seconds(result), *_of_workers(result), *_lost_for_no_reason(result)]
    for name, endpoint in result.endpoints.items():
        said += _of_endpoint(name, endpoint)
    return [sentence + _DEFECT for sentence in said]


def unsupported_orders(result: RunResult) -> list[str]:
    """A sentence if more orders are counted as created than the ledgers say were acknowledged."""
    audit, scenarios = result.audit, result.run.settings.get("scenarios", {})
    if audit is None or not scenarios or not all(user.startswith(LEDGER_SCENARIOS) for user in scenarios):
        return []
    count = result.transactions.count
    if count <= audit.acknowledged:
        return []
    counted = f"{count:,} orders are counted as created"
    return [f"{counted}, and the ledgers have {audit.acknowledged:,} that were acknowledged{_DEFECT}"]


def _of_arrivals(result: RunResult) -> Iterator[str]:
    a = result.arrivals
    equations = (
        ("planned", a.planned, "scheduled + lost", a.scheduled + a.lost),
        ("scheduled", a.scheduled, "started + dropped", a.started + a.dropped),
        ("started", a.started, "ok + failed + empty + cancelled", a.ok + a.failed + a.empty + a.cancelled),
    )
    for whole, count, parts, total in equations:
        if count != total:
            yield f"{count:,} arrivals were {whole}, and {parts} are {total:,}"


def _of_seconds(result: RunResult) -> Iterator[str]:
    a = result.arrivals
    totals = {"scheduled": a.scheduled, "started": a.started, "dropped": a.dropped}
    requests = [endpoint for name, endpoint in result.endpoints.items() if is_request(name)]
    totals["requests"] = sum(endpoint.requests for endpoint in requests)
    totals["failures"] = sum(endpoint.failures for endpoint in requests)
    for name, total in totals.items():
        seen = sum(getattr(point, name) for point in result.timeline)
        if seen != total:
            yield f"the seconds of the run have {seen:,} {name}, and the whole run has {total:,}"


def _of_workers(result: RunResult) -> Iterator[str]:
    started = sum(worker["started"] for worker in result.generator.per_worker)
    if result.generator.per_worker and started != result.arrivals.started and not result.run.resumed_s:
        yield f"workers started {started:,} arrivals, and {result.arrivals.started:,} were counted"


def _lost_for_no_reason(result: RunResult) -> Iterator[str]:
    """Lost arrivals are those of workers that were lost; then there is a note."""
    if result.arrivals.lost > 0 and not result.generator.worker_notes:
        yield f"{result.arrivals.lost:,} planned arrivals were lost, and no worker was"


def _of_endpoint(name: str, endpoint: Endpoint) -> Iterator[str]:
    classes = sum(endpoint.errors.values())
    if classes != endpoint.failures:
        yield f"{name} has {endpoint.failures:,} failures, and {classes:,} by class"
    if endpoint.response_ms.count < endpoint.requests:
        yield f"{name} has {endpoint.requests:,} requests, and {endpoint.response_ms.count:,} response times"
    for what, times, buckets in (
        ("response", endpoint.response_ms, endpoint.response_buckets),
        ("service", endpoint.service_ms, endpoint.service_buckets),
    ):
        if not _is_of(times, buckets):
            yield f"the {what} times of {name} are counted in buckets that they do not belong to"


def _is_of(times: Quantiles, buckets: Buckets) -> bool:
    """Whether count, exact sum, maximum and quantiles are those of these buckets."""
    if not buckets.counts:  # a record may leave them out
        return True
    pairs = list(zip(buckets.upper_us, buckets.counts, strict=True))
    most_us = sum(upper_us * count for upper_us, count in pairs)
    least_us = sum(upper_us * (1 - _BUCKET_WIDTH) * count for upper_us, count in pairs)
    sum_us, slack_us = times.mean * 1000 * times.count, 1e-6 * most_us + times.count
    same = sum(buckets.counts) == times.count
    highest = buckets.upper_us[-1] * (1 - _BUCKET_WIDTH) - 1 <= times.max * 1000 <= buckets.upper_us[-1] + 1
    quantiles = all(
        (at_rank_ms := quantile_ms(buckets, share)) is not None and abs(known_ms - at_rank_ms) <= 0.001
        for share, known_ms in ((0.5, times.p50), (0.99, times.p99))
    )
    return same and highest and quantiles and least_us - slack_us <= sum_us <= most_us + slack_us
