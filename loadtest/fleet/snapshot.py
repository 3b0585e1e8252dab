"""The run result as the master's books have it at this moment: live while it runs, final when it is done."""

from collections.abc import Sequence

import msgspec

from loadtest.fleet.coordinator import Coordinator
from loadtest.fleet.timeline import PlannedTransactions
from loadtest.measure.run_result import (
    Arrivals,
    Endpoint,
    Generator,
    RunInfo,
    RunResult,
    Stretch,
    Transactions,
)
from loadtest.measure.window import EndpointSecond, Second


def snapshot(
    coordinator: Coordinator,
    info: RunInfo,
    *,
    planned: PlannedTransactions,
    stretches: Sequence[tuple[float, float, str]] = (),
) -> RunResult:
    """Everything known now; `stretches` in the order that the coordinator's `Merge` was given them."""
    result = progress(coordinator, info, stretches)
    result.arrivals = arrivals(coordinator.merge.total, coordinator.planned())
    result.timeline = list(coordinator.merge.timeline.points(planned))
    return result


def progress(
    coordinator: Coordinator, info: RunInfo, stretches: Sequence[tuple[float, float, str]] = ()
) -> RunResult:
    """What is known now, without what takes long to find out: for whoever watches a run while it goes on.

    It has no timeline, and takes for planned what workers have reported as scheduled: counting a random
    schedule means replaying it, and until a second is reported nobody can tell late from lost.
    """
    merge = coordinator.merge
    elapsed_s = max(coordinator.scheduled_to_ns / 1e9, 1e-9)
    return RunResult(
        run=info,
        arrivals=arrivals(merge.total, merge.total.scheduled),
        transactions=Transactions(
            count=merge.total.transactions_ok,
            peak_tps=merge.peak_tps,
            mean_tps=merge.total.transactions_ok / elapsed_s,
        ),
        endpoints=_endpoints(merge.total),
        generator=_generator(coordinator),
        stretches=[
            Stretch(
                name=name,
                from_s=from_s,
                to_s=to_s,
                endpoints=_endpoints(total),
                arrivals=arrivals(total, total.scheduled),
                transactions=total.transactions_ok,
            )
            for (from_s, to_s, name), total in zip(stretches, merge.stretch_totals, strict=True)
        ],
        events=list(coordinator.notes),
    )


def broken_off(books: Arrivals) -> Arrivals:
    """The books of a run that ended while arrivals were under way, so that the identity holds.

    Those that waited for a user are lost with their worker, those in flight are cancelled.
    """
    waiting = books.scheduled - books.started - books.dropped
    in_flight = books.started - books.ok - books.failed - books.cancelled
    return msgspec.structs.replace(
        books,
        scheduled=books.scheduled - waiting,
        lost=books.lost + waiting,
        cancelled=books.cancelled + in_flight,
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
        cancelled=total.cancelled,
    )


def _endpoints(total: Second) -> dict[str, Endpoint]:
    ordered = sorted(total.endpoints.items(), key=lambda item: -item[1].requests)
    return {f"{method} {name}": _endpoint(entry) for (method, name), entry in ordered}


def _endpoint(entry: EndpointSecond) -> Endpoint:
    return Endpoint(
        requests=entry.requests,
        failures=entry.failures,
        errors=dict(entry.errors),
        response_bytes=entry.response_bytes,
        response_ms=entry.response.quantiles(),
        service_ms=entry.service.quantiles(),
        response_buckets=entry.response.buckets(),
        service_buckets=entry.service.buckets(),
    )


def _generator(coordinator: Coordinator) -> Generator:
    merge = coordinator.merge
    books = list(merge.workers.values())
    came = coordinator.came
    return Generator(
        workers=len(books),
        dispatch_lag_ms=merge.total.dispatch_lag.quantiles(),
        queueing_ms=merge.total.queueing.quantiles(),
        cpu_max=max((book.cpu_max for book in books), default=0.0),
        report_gaps=merge.gaps,
        worker_notes=[f"{offset_s:.1f} s: {text}" for offset_s, text in coordinator.notes],
        per_worker=[
            {
                "name": coordinator.name(book.name),
                "started": book.started,
                "cpu_max": round(book.cpu_max, 3),
                "cpu_wait_max": round(book.cpu_wait_max, 3),
                "dispatch_lag_p99_ms": book.dispatch_lag.quantiles().p99,
                "report_gaps": book.gaps,
            }
            for book in sorted(books, key=lambda book: came.get(book.name, len(came)))
        ],
    )
