"""A realistic run to draw reports from: the midnight spike against one service that stalls once.

It simulates what the harness does, arrival by arrival and seeded: Poisson arrivals after docs/traffic.md's curve
(a), a pool of users that serve them, and a service that handles requests one after the other with a random
delay on top. During the stall the service does nothing; the pool runs dry, arrivals queue, and response
time parts from service time as it does in real runs. So every figure of the record follows from the others.
"""

import heapq
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import msgspec
import numpy as np

from loadtest.judge.slo import evaluate
from loadtest.judge.slo_syntax import parse
from loadtest.measure.run_result import (
    Arrivals,
    Audit,
    Buckets,
    Endpoint,
    EndpointOverTime,
    Evidence,
    Generator,
    Period,
    Quantiles,
    RunInfo,
    RunResult,
    TimelinePoint,
    Transactions,
    Validity,
)

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
PHASES = [(0.0, 10.0, "quiet"), (10.0, 36.0, "spike"), (36.0, 60.0, "plateau")]
MIX = (("POST /orders", 1.0), ("GET /products/{sku}", 0.5), ("GET /orders/{id}", 0.2))
SLOS = (
    "p99.9(POST /orders) < 250ms",
    "p99(POST /orders) during spike < 400ms",
    "errors(*) < 0.1%",
    "started_rate > 99%",
    "dropped == 0",
)


@dataclass(frozen=True)
class Scene:
    """What to simulate. Times in seconds, rates in arrivals per second."""

    seed: int = 11
    duration_s: int = 60
    peak_tps: float = 1500.0
    stall_at_s: float = 0.0
    stall_s: float = 0.0
    users: int = 600
    patience_s: float = 10.0
    error_share: float = 0.0002
    busy_s: float = 1 / 4500
    """How long the service is busy with one request."""


@dataclass
class Histogram:
    """Values in microseconds, kept whole: a sample is small, and exact beats fast here."""

    values_us: list[int] = field(default_factory=list)

    def quantiles(self) -> Quantiles:
        if not self.values_us:
            return Quantiles()
        values = np.array(self.values_us) / 1000
        cut = np.quantile(values, [0.5, 0.9, 0.95, 0.99, 0.999, 0.9999], method="inverted_cdf")
        p50, p90, p95, p99, p99_9, p99_99 = (round(float(value), 3) for value in cut)
        return Quantiles(
            count=len(values),
            p50=p50,
            p90=p90,
            p95=p95,
            p99=p99,
            p99_9=p99_9,
            p99_99=p99_99,
            max=float(values.max()),
            mean=round(float(values.mean()), 3),
        )

    def buckets(self, per_octave: int = 88) -> Buckets:
        counts: Counter[int] = Counter()
        for value, count in Counter(self.values_us).items():
            counts[upper_edge_us(value, per_octave)] += count
        return Buckets(upper_us=sorted(counts), counts=[counts[edge] for edge in sorted(counts)])


@cache
def upper_edge_us(value_us: int, per_octave: int) -> int:
    """The upper edge of a value's bucket, `per_octave` of them to a doubling."""
    return round(2 ** (math.ceil(math.log2(max(1, value_us)) * per_octave - 1e-9) / per_octave))


@dataclass
class Request:
    """One simulated request; instants in seconds of the run. Its times are computed once, for many figures."""

    endpoint: str
    intended_s: float
    started_s: float
    done_s: float
    error: str | None

    response_us: int = field(init=False)
    service_us: int = field(init=False)

    def __post_init__(self) -> None:
        self.response_us = max(1, round((self.done_s - self.intended_s) * 1e6))
        self.service_us = max(1, round((self.done_s - self.started_s) * 1e6))


def rate(t_s: FloatArray, peak_tps: float) -> FloatArray:
    """Arrivals per second `t_s` into the run; midnight is at 10 s (docs/traffic.md, curve (a), S/A/D as there)."""
    knots = ([0, 10, 15, 36, 106], [0.0082, 0.0082, 0.85, 1.0, 0.90])
    return peak_tps * np.interp(t_s, *knots)


def sample_result(scene: Scene | None = None) -> RunResult:
    """The run's record, with objectives evaluated and a verdict. The same scene gives the same record."""
    scene = scene or Scene(stall_at_s=30.0, stall_s=1.2)
    arrivals = _arrivals(scene)
    requests, dropped = _serve(scene, arrivals)
    result = _record(scene, arrivals, requests, dropped)
    result.slo = [evaluate(parse(expr), result) for expr in SLOS]
    if not all(slo.passed for slo in result.slo):
        result.verdict, result.exit_code = "FAIL", 10
    return result


def _arrivals(scene: Scene) -> list[tuple[float, str]]:
    """Intended instants, sorted, by thinning a Poisson process of the highest rate."""
    rng = np.random.default_rng(scene.seed)
    instants = []
    for name, per_transaction in MIX:
        highest = scene.peak_tps * per_transaction
        candidates = np.sort(rng.uniform(0, scene.duration_s, rng.poisson(highest * scene.duration_s)))
        keep = rng.uniform(0, scene.peak_tps, len(candidates))
        kept = candidates[keep < rate(candidates, scene.peak_tps)]
        instants += [(t, name) for t in kept.tolist()]
    return sorted(instants)


def _serve(scene: Scene, arrivals: list[tuple[float, str]]) -> tuple[list[Request], list[float]]:
    rng = np.random.default_rng(scene.seed + 1)
    delays = rng.lognormal(math.log(0.0022), 0.45, len(arrivals))
    failing = rng.uniform(size=len(arrivals)) < scene.error_share
    idle = [0.0] * scene.users
    free_s = 0.0
    requests: list[Request] = []
    dropped = []
    for (intended_s, name), delay_s, fails in zip(arrivals, delays, failing, strict=True):
        started_s = max(intended_s, idle[0])
        if started_s - intended_s > scene.patience_s:
            dropped.append(intended_s)
            continue
        free_s = max(free_s, started_s)
        if scene.stall_at_s <= free_s < scene.stall_at_s + scene.stall_s:
            free_s = scene.stall_at_s + scene.stall_s
        free_s += scene.busy_s
        done_s = free_s + float(delay_s)
        error = ("status-503" if intended_s < 32 else "timeout-read") if fails else None
        requests.append(Request(name, intended_s, started_s, done_s, error))
        heapq.heapreplace(idle, done_s)
    return requests, dropped


def _endpoint(requests: Iterable[Request]) -> Endpoint:
    requests = list(requests)
    response = Histogram([request.response_us for request in requests])
    service = Histogram([request.service_us for request in requests])
    errors = Counter(request.error for request in requests if request.error)
    connect = Histogram([180 + number % 70 for number in range(len(requests) // 100)])
    return Endpoint(
        evidence={error: _evidence(error, requests) for error in errors},
        over_time=_over_time(requests) if requests else None,
        requests=len(requests),
        failures=errors.total(),
        errors=dict(errors),
        response_bytes=214 * len(requests),
        sent_bytes=371 * len(requests),
        received_bytes=402 * len(requests),
        first_byte_ms=service.quantiles(),
        connect_ms=connect.quantiles() if connect.values_us else None,
        response_ms=response.quantiles(),
        service_ms=service.quantiles(),
        response_buckets=response.buckets(),
        service_buckets=service.buckets(),
    )


def _evidence(error: str, requests: Iterable[Request]) -> Evidence:
    at_s = [int(request.done_s) for request in requests if request.error == error]
    return Evidence(
        count=len(at_s),
        first_s=min(at_s),
        last_s=max(at_s),
        per_second=[(float(second), count) for second, count in sorted(Counter(at_s).items())],
        status=503 if error == "status-503" else None,
        text="" if error == "status-503" else "no answer within 5 s",
        body='{"title": "overloaded"}' if error == "status-503" else "",
    )


def _over_time(requests: Iterable[Request]) -> EndpointOverTime:
    seconds: dict[int, list[Request]] = {}
    for request in requests:
        seconds.setdefault(int(request.intended_s), []).append(request)
    ordered = sorted(seconds.items())
    times = [Histogram([request.response_us for request in each]).quantiles() for _, each in ordered]
    return EndpointOverTime(
        bin_s=1,
        t_s=[second for second, _ in ordered],
        requests=[len(each) for _, each in ordered],
        failures=[sum(request.error is not None for request in each) for _, each in ordered],
        p50_ms=[quantiles.p50 for quantiles in times],
        p99_ms=[quantiles.p99 for quantiles in times],
    )


def _endpoints(requests: list[Request]) -> dict[str, Endpoint]:
    return {name: _endpoint(r for r in requests if r.endpoint == name) for name, _ in MIX}


def _orders(requests: Iterable[Request]) -> int:
    return sum(request.endpoint == "POST /orders" and not request.error for request in requests)


def _count(planned: int, requests: list[Request], dropped: int) -> Arrivals:
    failed = sum(request.error is not None for request in requests)
    return Arrivals(
        planned=planned,
        scheduled=planned,
        started=len(requests),
        dropped=dropped,
        ok=len(requests) - failed,
        failed=failed,
    )


def _period(name: str, span: tuple[float, float], requests: list[Request], dropped: list[float]) -> Period:
    inside = [request for request in requests if span[0] <= request.intended_s < span[1]]
    lost = sum(span[0] <= at < span[1] for at in dropped)
    return Period(
        name=name,
        from_s=span[0],
        to_s=span[1],
        endpoints=_endpoints(inside),
        arrivals=_count(len(inside) + lost, inside, lost),
        transactions=_orders(inside),
    )


class Instants:
    """When something happened, in seconds."""

    def __init__(self, at_s: list[float]) -> None:
        self._at_s = np.sort(at_s)

    def at(self, until_s: float) -> int:
        """How often by then."""
        return int(np.searchsorted(self._at_s, until_s, side="right"))


def _timeline(
    scene: Scene, arrivals: list[tuple[float, str]], requests: list[Request], dropped: list[float]
) -> list[TimelinePoint]:
    scheduled = Counter(int(at) for at, _ in arrivals)
    started = Counter(int(request.started_s) for request in requests)
    orders = [request for request in requests if request.endpoint == "POST /orders"]
    orders_started = Counter(int(request.started_s) for request in orders)
    completed = Counter(int(request.done_s) for request in orders if not request.error)
    failed = Counter(int(request.done_s) for request in orders if request.error)
    failures = Counter(int(request.done_s) for request in requests if request.error)
    given_up = Counter(int(at + scene.patience_s) for at in dropped)
    done: dict[int, list[int]] = {second: [] for second in range(scene.duration_s + 60)}
    bad: dict[int, list[int]] = {second: [] for second in range(scene.duration_s + 60)}
    for request in requests:
        done[int(request.done_s)].append(request.response_us)
        if request.error:
            bad[int(request.done_s)].append(request.response_us)
    due = Instants([request.intended_s for request in requests])
    begun = Instants([request.started_s for request in requests])
    ended = Instants([request.done_s for request in requests])
    rng = np.random.default_rng(scene.seed + 2)
    planned_tps = rate(np.arange(0.5, scene.duration_s), scene.peak_tps).tolist()
    points = []
    for second in range(scene.duration_s):
        histogram = Histogram(done[second])
        quantiles, heat = histogram.quantiles(), histogram.buckets(per_octave=4)
        failed_ms = Histogram(bad[second]).quantiles()
        points.append(
            TimelinePoint(
                t_s=second,
                planned_tps=planned_tps[second],
                started_tps=orders_started[second],
                completed_tps=completed[second],
                failed_tps=failed[second],
                scheduled=scheduled[second],
                started=started[second],
                requests=len(done[second]),
                failures=failures[second],
                dropped=given_up[second],
                in_flight=begun.at(second + 1) - ended.at(second + 1),
                backlog=due.at(second + 1) - begun.at(second + 1),
                response_ms=quantiles,
                ok_p50_ms=quantiles.p50 if done[second] else None,
                ok_p99_ms=quantiles.p99 if done[second] else None,
                failed_p50_ms=failed_ms.p50 if bad[second] else None,
                failed_p99_ms=failed_ms.p99 if bad[second] else None,
                dispatch_lag_p99_ms=round(float(rng.lognormal(math.log(0.18), 0.3)), 3),
                heat=list(zip(heat.upper_us, heat.counts, strict=True)),
            )
        )
    return points


def _record(
    scene: Scene, arrivals: list[tuple[float, str]], requests: list[Request], dropped: list[float]
) -> RunResult:
    timeline = _timeline(scene, arrivals, requests, dropped)
    orders = _orders(requests)
    queueing = Histogram([max(1, round((r.started_s - r.intended_s) * 1e6)) for r in requests])
    return RunResult(
        run=_run_info(scene),
        arrivals=_count(len(arrivals), requests, len(dropped)),
        transactions=Transactions(
            count=orders,
            peak_tps=max(point.completed_tps for point in timeline),
            mean_tps=round(orders / scene.duration_s, 1),
        ),
        endpoints=_endpoints(requests),
        generator=_generator(queueing.quantiles()),
        timeline=timeline,
        periods=[_period(name, (start, end), requests, dropped) for start, end, name in PHASES],
        validity=Validity(),
        audit=Audit(
            acknowledged=orders, stored=orders, lost=0, duplicated=0, oversold=0, phantom=0, shadow_leaks=0
        ),
        events=[(scene.stall_at_s, f"service stalled for {scene.stall_s:g} s")] if scene.stall_s else [],
    )


def _run_info(scene: Scene) -> RunInfo:
    return RunInfo(
        id="20261111T155950Z-singles-day",
        plan="singles-day",
        started_at="2026-11-11T15:59:50Z",
        duration_s=scene.duration_s,
        seed=scene.seed,
        versions={"singlesday": "0.2.0", "python": "3.11.2", "locust": "2.47.0", "gevent": "25.9.1"},
        machine={"cpu": "simulated", "cores": 2, "memory_gib": 8, "kernel": "6.1.0"},
        targets=["http://127.0.0.1:8080"],
        settings={
            "peak_tps": scene.peak_tps,
            "time_scale": 1.0,
            "arrivals": "poisson",
            "virtual_users": scene.users,
            "patience_s": scene.patience_s,
        },
        phases=PHASES,
    )


def _generator(queueing: Quantiles) -> Generator:
    return Generator(
        workers=2,
        dispatch_lag_ms=Quantiles(count=queueing.count, p50=0.05, p90=0.11, p95=0.15, p99=0.31, max=2.4),
        queueing_ms=queueing,
        cpu_max=0.46,
        report_gaps=0,
        per_worker=[
            {"worker": 0, "requests": queueing.count // 2, "cpu_max": 0.46, "dispatch_lag_p99_ms": 0.31},
            {"worker": 1, "requests": queueing.count // 2, "cpu_max": 0.44, "dispatch_lag_p99_ms": 0.29},
        ],
    )


@cache
def _encoded() -> bytes:
    return msgspec.json.encode(sample_result())


def a_failed_run() -> RunResult:
    """The default scene, simulated once a process and copied for each caller."""
    return msgspec.json.decode(_encoded(), type=RunResult)


def an_empty_run() -> RunResult:
    """A run that was over before anything happened: what every drawing must survive."""
    run = _run_info(Scene())
    run.duration_s, run.phases = 0.0, []
    return RunResult(
        run=run, arrivals=Arrivals(), transactions=Transactions(), verdict="ABORTED", exit_code=12
    )
