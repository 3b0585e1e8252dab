"""The master's metrics for Prometheus: read from the totals when somebody asks, never counted on the way.

A scrape turns the sums that the master keeps anyway into text, so it costs nothing between scrapes, cannot
disagree with the report, and reaches no process that sends. Counters and histograms carry the run's id as a
label: two runs in one session are two series, and nobody has to guess where one ended.

*Percentiles.* `loadtest_response_quantile_seconds` is exact over the whole fleet (to the histograms' 0.8 %)
for the newest ten seconds. The histograms have few fixed buckets, so that they can be added up over runs and
windows of any length by PromQL; what they say of a percentile is right to one bucket. A value in the 0.8 %
wide bucket of ours that straddles a bound counts as above it.

*Few series.* Endpoints beyond the first few share one label value (`shown_endpoints`): under 500 series a run of
twenty workers.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from loadtest.judge.slo_syntax import Kind, SloError, parse
from loadtest.measure import exemplar
from loadtest.measure.second import Second
from loadtest.publish.reading import RECENT_S, Reading
from loadtest.publish.shown_endpoints import recent_responses, shown_errors

BOUNDS_S = exemplar.BOUNDS_S
"""Upper bounds of the buckets of response and service time."""
LAG_BOUNDS_S = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 1.0)
QUANTILES = (0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 1.0)
"""The first and the last are the lowest and the highest value."""


class Family(NamedTuple):
    """A metric: what the reference says of it, and how it is filled."""

    name: str
    kind: str
    """`gauge`, `counter` or `histogram`."""
    labels: tuple[str, ...]
    help: str
    fill: Callable[[Reading, "Add"], None]
    bounds_s: tuple[float, ...] = BOUNDS_S
    """Of a histogram's buckets."""


Add = Callable[..., None]
"""(value, *label values) for gauges and counters; (histogram, *label values) for histograms."""


def _planned(reading: Reading, add: Add) -> None:
    add(reading.planned_tps)


def _started(reading: Reading, add: Add) -> None:
    add(_newest(reading).transactions_started)


def _completed(reading: Reading, add: Add) -> None:
    add(_newest(reading).transactions_ok)


def _newest(reading: Reading) -> Second:
    """The newest second that every worker has reported; an empty one before there is one and after the run."""
    return Second(0) if reading.over or len(reading.recent) < 2 else reading.recent[-2]


def _phase(reading: Reading, add: Add) -> None:
    if reading.phase:
        add(1, reading.phase)


def _faults(reading: Reading, add: Add) -> None:
    for name in reading.faults:
        add(1, name)


def _arrivals(reading: Reading, add: Add) -> None:
    for state in ("scheduled", "started", "dropped", "ok", "failed", "empty", "cancelled"):
        add(getattr(reading.total, state), state)
    add(max(reading.lost, 0), "lost")


def _transactions(reading: Reading, add: Add) -> None:
    for state in ("started", "ok", "failed"):
        add(getattr(reading.total, f"transactions_{state}"), state)


def _requests(reading: Reading, add: Add) -> None:
    for name, endpoint in reading.requested:
        add(endpoint.requests - endpoint.failures, name, "ok")
        add(endpoint.failures, name, "failed")


def _errors(reading: Reading, add: Add) -> None:
    for name, endpoint in reading.requested:
        for error, count in shown_errors(endpoint).items():
            add(count, name, error)


def _bytes(reading: Reading, add: Add) -> None:
    for name, endpoint in reading.requested:
        add(endpoint.sent_bytes, name, "sent")
        add(endpoint.received_bytes, name, "received")


def _connections(reading: Reading, add: Add) -> None:
    for name, endpoint in reading.requested:
        add(0 if endpoint.connect is None else endpoint.connect.count, name)


def _network(reading: Reading, add: Add) -> None:
    for name, endpoint in reading.requested:
        first_byte = endpoint.until_first_byte if endpoint.sent_bytes else None
        spent = {"connect": endpoint.connect, "tls": endpoint.tls, "first_byte": first_byte}
        for step, times in spent.items():
            add(0 if times is None else times.sum_us / 1e6, name, step)


def _response(reading: Reading, add: Add) -> None:
    for name, endpoint in reading.endpoints.items():
        add(endpoint.response, name, exemplars=reading.exemplars.of(name))


def _failed(reading: Reading, add: Add) -> None:
    for name, endpoint in reading.endpoints.items():
        if endpoint.failed is not None:
            add(endpoint.failed, name)


def _service(reading: Reading, add: Add) -> None:
    for name, endpoint in reading.endpoints.items():
        add(endpoint.service, name)


def _quantiles(reading: Reading, add: Add) -> None:
    for name, response in recent_responses(reading.total, reading.recent):
        values_us = response.quantiles_us(QUANTILES)
        for quantile, value_us in zip(QUANTILES, values_us, strict=True):
            add(value_us / 1e6, name, f"{quantile:g}")


def _lag(reading: Reading, add: Add) -> None:
    add(reading.total.dispatch_lag)


def _in_flight(reading: Reading, add: Add) -> None:
    add(reading.in_flight)


def _backlog(reading: Reading, add: Add) -> None:
    add(reading.backlog)


def _workers(reading: Reading, add: Add) -> None:
    add(len(reading.workers))


def _worker_cpu(reading: Reading, add: Add) -> None:
    for worker in reading.workers:
        add(worker.cpu, worker.name)


def _gaps(reading: Reading, add: Add) -> None:
    add(reading.report_gaps)


def _slo(reading: Reading, add: Add) -> None:
    for objective in reading.slo:
        if objective.observed is not None or reading.over:
            add(float(objective.passed), objective.expr)


def _limits(reading: Reading, add: Add) -> None:
    for objective in reading.slo:
        if (limit := _limit_of(objective.expr)) is not None:
            value, measure, endpoint = limit
            add(value, objective.expr, measure, endpoint)


@lru_cache(maxsize=1024)
def _limit_of(expr: str) -> tuple[float, str, str] | None:
    """(limit in base units, measure, endpoint) of an objective; None for one that cannot be read."""
    try:
        slo = parse(expr)
    except SloError:
        return None
    name = f"{slo.metric}{slo.quantile * 100:g}" if slo.quantile is not None else slo.metric
    base_unit = 1e-3 if slo.kind is Kind.LATENCY else 1.0  # its base unit there is a millisecond
    return slo.bound * slo.unit_size * base_unit, name, slo.endpoint or ""


def _verdict(reading: Reading, add: Add) -> None:
    if reading.verdict:
        add(1, reading.verdict)


def _started_at(reading: Reading, add: Add) -> None:
    with suppress(ValueError):
        add(datetime.fromisoformat(reading.info.started_at).timestamp())


def _length(reading: Reading, add: Add) -> None:
    add(reading.info.duration_s)


def _info(reading: Reading, add: Add) -> None:
    info = reading.info
    add(1, info.plan, ",".join(info.targets), str(info.seed), info.versions.get("locust", ""))


FAMILIES = (
    Family(
        "loadtest_run_info",
        "gauge",
        ("plan", "target", "seed", "locust"),
        "The run's plan, target, seed and Locust version; always 1.",
        _info,
    ),
    Family(
        "loadtest_planned_tps",
        "gauge",
        (),
        "Orders (or a plan's parcels) a second that the plan intends now.",
        _planned,
    ),
    Family(
        "loadtest_started_tps",
        "gauge",
        (),
        "Orders (parcels) started in the newest second that every worker has reported; exact, unlike a rate of the "
        "counters.",
        _started,
    ),
    Family(
        "loadtest_completed_tps",
        "gauge",
        (),
        "Orders (parcels) created in the newest second that every worker has reported.",
        _completed,
    ),
    Family("loadtest_phase", "gauge", ("phase",), "The phase of the plan that is being played; 1.", _phase),
    Family(
        "loadtest_fault",
        "gauge",
        ("fault",),
        "A fault of the plan that goes on now, or that was over at once within the last seconds; 1.",
        _faults,
    ),
    Family(
        "loadtest_arrivals_total",
        "counter",
        ("state",),
        "Arrivals of every scenario: scheduled = started + dropped; started = ok + failed + empty + cancelled "
        "once all have ended; lost when a worker crashed, known at the end.",
        _arrivals,
    ),
    Family(
        "loadtest_transactions_total",
        "counter",
        ("state",),
        "Orders (parcels) started, created (ok) and failed.",
        _transactions,
    ),
    Family(
        "loadtest_requests_total",
        "counter",
        ("endpoint", "outcome"),
        "Requests by outcome, ok or failed.",
        _requests,
    ),
    Family(
        "loadtest_errors_total",
        "counter",
        ("endpoint", "error"),
        "Requests that failed, by class of error; classes beyond the first few of an endpoint are one.",
        _errors,
    ),
    Family(
        "loadtest_bytes_total",
        "counter",
        ("endpoint", "direction"),
        "Heads and bodies, sent or received, without TLS.",
        _bytes,
    ),
    Family(
        "loadtest_connections_total",
        "counter",
        ("endpoint",),
        "Requests that opened a connection.",
        _connections,
    ),
    Family(
        "loadtest_network_seconds_total",
        "counter",
        ("endpoint", "step"),
        "Time spent, summed up: connecting and in TLS handshakes, by connection; until the first byte, by request.",
        _network,
    ),
    Family(
        "loadtest_response_seconds",
        "histogram",
        ("endpoint",),
        "Response time: from the intended instant to the last byte.",
        _response,
    ),
    Family(
        "loadtest_failed_response_seconds",
        "histogram",
        ("endpoint",),
        "Response time of those that failed, which are in `loadtest_response_seconds` too; absent while none did.",
        _failed,
    ),
    Family(
        "loadtest_service_seconds",
        "histogram",
        ("endpoint",),
        "Service time: from the request's write to the last byte.",
        _service,
    ),
    Family(
        "loadtest_response_quantile_seconds",
        "gauge",
        ("endpoint", "quantile"),
        f"Response time's quantiles over the newest {RECENT_S} s of the whole fleet, exact to 0.8 %; 0 and 1 are the "
        "lowest and the highest.",
        _quantiles,
    ),
    Family(
        "loadtest_dispatch_lag_seconds",
        "histogram",
        (),
        "How late the load generator started arrivals although a user was free.",
        _lag,
        LAG_BOUNDS_S,
    ),
    Family("loadtest_in_flight", "gauge", (), "Arrivals being served.", _in_flight),
    Family("loadtest_backlog", "gauge", (), "Arrivals waiting for an idle user.", _backlog),
    Family("loadtest_workers", "gauge", (), "Workers that serve the schedule.", _workers),
    Family(
        "loadtest_worker_cpu_ratio",
        "gauge",
        ("worker",),
        "Share of one core that a worker used, over its last five seconds.",
        _worker_cpu,
    ),
    Family("loadtest_report_gaps_total", "counter", (), "Worker reports that never came.", _gaps),
    Family(
        "loadtest_slo_ok",
        "gauge",
        ("expr",),
        "1 while an objective is met, 0 while it is missed; without data absent, and 0 at the end.",
        _slo,
    ),
    Family(
        "loadtest_slo_limit",
        "gauge",
        ("expr", "measure", "endpoint"),
        "The limit that an objective sets, in seconds, a share of 1, a rate or a count; `measure` is p99, errors …",
        _limits,
    ),
    Family(
        "loadtest_verdict", "gauge", ("verdict",), "The verdict of a run that is over; always 1.", _verdict
    ),
    Family(
        "loadtest_run_started_timestamp_seconds",
        "gauge",
        (),
        "When the run began, in Unix time.",
        _started_at,
    ),
    Family(
        "loadtest_run_duration_seconds",
        "gauge",
        (),
        "How long the plan plays; how long it played once the run is over.",
        _length,
    ),
)
"""Every metric of the master; each has the label `run` besides its own."""
