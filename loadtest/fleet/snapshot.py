"""The run result as the master's totals have it at this moment: live while it runs, final when it is done."""

from collections.abc import Container, Sequence

import msgspec

from loadtest.fleet.coordinator import Coordinator
from loadtest.fleet.merge import Merge
from loadtest.fleet.timeline import PlannedTransactions
from loadtest.measure.evidence import FailureLog
from loadtest.measure.run_result import (
    LATE_MS,
    Arrivals,
    Endpoint,
    Generator,
    Period,
    RunInfo,
    RunResult,
    Transactions,
)
from loadtest.measure.second import EndpointSecond, Second
from loadtest.pauses import Pause, no_pause
from loadtest.records import UNANSWERED


class PeriodRecords:
    """The records of a run's periods, drawn anew when something was added to one: nearly all are over or to come.

    A soak that judges every ten seconds has 8,640 a day, and somebody may look on each second.
    """

    def __init__(self, spans: Sequence[tuple[float, float, str]] = ()) -> None:
        """(from_s, to_s, name) of each, in the order that the coordinator's `Merge` was given them."""
        self._spans = spans
        self._known: list[tuple[int, Period]] = [(-1, Period(name="", from_s=0, to_s=0))] * len(spans)

    def current(self, merge: Merge, pause: Pause, only: Container[int] | None = None) -> list[Period]:
        """All of them as they are now; one that has not changed is the same object as before.

        With `only`, those of other numbers are left as somebody saw them last.
        """
        for number, version in enumerate(merge.period_versions):
            if self._known[number][0] != version and (only is None or number in only):
                self._known[number] = (version, self._drawn(number, merge.period_totals[number], pause))
        return [period for _, period in self._known]

    def _drawn(self, number: int, total: Second, pause: Pause) -> Period:
        from_s, to_s, name = self._spans[number]
        return Period(
            name=name,
            from_s=from_s,
            to_s=to_s,
            arrivals=arrivals(total, total.scheduled),
            transactions=total.transactions_ok,
            endpoints=_endpoints(total, pause),
            patterns=_patterns(total, pause),
        )


def snapshot(
    coordinator: Coordinator,
    info: RunInfo,
    *,
    planned: PlannedTransactions,
    periods: PeriodRecords,
) -> RunResult:
    """Everything known now."""
    result = progress(coordinator, info, periods)
    result.arrivals = arrivals(coordinator.merge.total, coordinator.planned())
    result.timeline = list(coordinator.merge.timeline.points(planned))
    for key in coordinator.merge.total.endpoints:
        result.endpoints[" ".join(key)].over_time = coordinator.merge.timeline.endpoint(key)
    return result


def progress(
    coordinator: Coordinator,
    info: RunInfo,
    periods: PeriodRecords,
    pause: Pause = no_pause,
    only: Container[int] | None = None,
) -> RunResult:
    """The result so far without what takes long to compute: for pages and metrics while a run goes on.

    It has no timeline, and takes for planned what workers have reported as scheduled: counting a random
    schedule means replaying it, and until a second is reported nobody can tell late from lost. `pause` is called
    between pieces of work. What workers report meanwhile is in the pieces that follow: each is right by itself.
    `only` are the numbers of the periods that somebody asks for, all without it.
    """
    merge = coordinator.merge
    elapsed_s = max(coordinator.scheduled_to_ns / 1e9, 1e-9)
    result = RunResult(
        run=info,
        arrivals=arrivals(merge.total, merge.total.scheduled),
        transactions=Transactions(
            count=merge.total.transactions_ok,
            peak_tps=merge.peak_tps,
            mean_tps=merge.total.transactions_ok / elapsed_s,
        ),
        generator=_generator(coordinator),
        events=list(coordinator.notes),
    )
    pause()
    result.endpoints = _endpoints(merge.total, pause, merge.failures)
    result.patterns = _patterns(merge.total, pause, merge.failures)
    result.script_errors = merge.failures.script_errors()
    result.scenarios_without_requests = merge.scenarios_without_requests()
    result.periods = periods.current(merge, pause, only)
    pause()
    return result


def of_total(total: Second, info: RunInfo) -> RunResult:
    """The result of a period whose arrivals were all served and reported, from its sums: a step of `capacity`.

    Transactions that an earlier period began count where they ended, so `ok` is what is left of those started.
    """
    counted = arrivals(total, total.scheduled)
    counted.started = counted.scheduled - counted.dropped
    counted.ok = max(0, counted.started - counted.failed - counted.empty - counted.cancelled)
    return RunResult(
        run=info,
        arrivals=counted,
        transactions=Transactions(
            count=total.transactions_ok, mean_tps=total.transactions_ok / max(info.duration_s, 1e-9)
        ),
        endpoints=_endpoints(total, no_pause),
        patterns=_patterns(total, no_pause),
    )


def broken_off(arrivals: Arrivals) -> Arrivals:
    """The totals of a run that ended while arrivals were under way, so that the identity holds.

    Those that waited for a user are lost with their worker, those in flight are cancelled.
    """
    waiting = arrivals.scheduled - arrivals.started - arrivals.dropped
    in_flight = arrivals.started - arrivals.ok - arrivals.failed - arrivals.empty - arrivals.cancelled
    return msgspec.structs.replace(
        arrivals,
        scheduled=arrivals.scheduled - waiting,
        lost=arrivals.lost + waiting,
        cancelled=arrivals.cancelled + in_flight,
    )


def arrivals(total: Second, planned: int) -> Arrivals:
    """The identity's terms; `lost` is what was planned and no worker ever reported as scheduled."""
    return Arrivals(
        planned=planned,
        scheduled=total.scheduled,
        lost=planned - total.scheduled,
        started=total.started,
        dropped=total.dropped,
        ok=total.ok,
        failed=total.failed,
        failed_in_script=total.failed_in_script,
        empty=total.empty,
        cancelled=total.cancelled,
    )


def _endpoints(total: Second, pause: Pause, failures: FailureLog | None = None) -> dict[str, Endpoint]:
    ordered = sorted(total.endpoints.items(), key=lambda item: -item[1].requests)
    drawn = {}
    for key, entry in ordered:
        endpoint = drawn[f"{key[0]} {key[1]}"] = _endpoint(entry, pause)
        if failures is not None:
            _add_exchanges(endpoint, entry)
        if failures is not None and entry.failures:
            endpoint.evidence = failures.of(key)
        pause()
    return drawn


def _patterns(total: Second, pause: Pause, failures: FailureLog | None = None) -> dict[str, Endpoint]:
    drawn = {}
    for pattern, entry in total.patterns.items():
        endpoint = drawn[pattern] = _endpoint(entry, pause)
        if failures is not None and entry.failures:
            endpoint.evidence = failures.of_pattern(pattern)
        pause()
    return drawn


def _endpoint(entry: EndpointSecond, pause: Pause) -> Endpoint:
    response_ms, response_buckets = entry.response.drawn()
    pause()
    service_ms, service_buckets = entry.service.drawn()
    ok_response_ms, ok_response_buckets = response_ms, response_buckets
    if entry.failed is not None:
        ok = entry.response.without(entry.failed)
        ok_response_ms, ok_response_buckets = ok.drawn()
    return Endpoint(
        requests=entry.requests,
        failures=entry.failures,
        unanswered=entry.errors.get(UNANSWERED, 0),
        errors=dict(entry.errors),
        response_bytes=entry.response_bytes,
        sent_bytes=entry.sent_bytes,
        received_bytes=entry.received_bytes,
        response_ms=response_ms,
        service_ms=service_ms,
        response_buckets=response_buckets,
        service_buckets=service_buckets,
        ok_response_ms=ok_response_ms,
        ok_response_buckets=ok_response_buckets,
    )


def _add_exchanges(endpoint: Endpoint, entry: EndpointSecond) -> None:
    """What is known of the run as a whole alone: it is one more histogram each."""
    if entry.sent_bytes:
        whole = entry.first_byte is None
        endpoint.first_byte_ms = endpoint.service_ms if whole else entry.until_first_byte.quantiles()
    endpoint.connect_ms = None if entry.connect is None else entry.connect.quantiles()
    endpoint.tls_ms = None if entry.tls is None else entry.tls.quantiles()


def _generator(coordinator: Coordinator) -> Generator:
    merge = coordinator.merge
    workers = list(merge.workers.values())
    came = coordinator.roster.came
    return Generator(
        workers=len(workers),
        dispatch_lag_ms=merge.total.dispatch_lag.quantiles(),
        late_arrivals=merge.total.dispatch_lag.count_over(round(LATE_MS * 1000)),
        queueing_ms=merge.total.queueing.quantiles(),
        cpu_max=max((totals.cpu_max for totals in workers), default=0.0),
        report_gaps=merge.gaps,
        worker_notes=[f"{offset_s:.1f} s: {text}" for offset_s, text in coordinator.notes],
        per_worker=[
            {
                "name": coordinator.roster.name(totals.name),
                "started": totals.started,
                "cpu_max": round(totals.cpu_max, 3),
                "cpu_wait_max": round(totals.cpu_wait_max, 3),
                "dispatch_lag_p99_ms": totals.dispatch_lag.quantiles().p99,
                "report_gaps": totals.gaps,
                "clock_offset_ms": round(coordinator.roster.clock_offsets_ns.get(totals.name, 0) / 1e6, 3),
            }
            for totals in sorted(workers, key=lambda totals: came.get(totals.name, len(came)))
        ],
        users=coordinator.roster.users(merge.workers),
        busy_s=merge.total.busy_us / 1e6,
        overdue=sum(member.missed for member in coordinator.roster.members.values()),
    )
