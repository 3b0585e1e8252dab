"""Shows a run on the master's terminal while it goes on."""

from __future__ import annotations

from heapq import nlargest
from typing import TYPE_CHECKING

import gevent
from rich.console import Console

from loadtest.fleet.coordinator import Phase
from loadtest.measure.second import Second, response_of
from loadtest.publish.console import LiveError, LiveView, Progress
from loadtest.publish.mode import Mode
from loadtest.records import TIMED_BESIDES, transaction_noun

if TYPE_CHECKING:  # the run shows itself; importing it here for real would be a circle
    from loadtest.plugin.led_run import LedRun

EVERY_S = 0.25
RECENT_S = 10
MOST_ERRORS = 3
LOCUSTS_OWN = "locust"
"""The console mode in which Locust's own tables are shown instead."""


def show_progress(run: LedRun, console: Console) -> None:
    """Show `run` on `console` until it is over, as its configuration asks."""
    mode = run.config.console
    if mode != LOCUSTS_OWN:
        progress = Progress(Mode(mode), run.plan.duration_s, console)
        gevent.spawn(_show_forever, run, progress)


def _show_forever(run: LedRun, progress: Progress) -> None:
    while not run.over:
        if run.coordinator.phase is not Phase.WAITING:
            progress.update(live_view(run))
        gevent.sleep(EVERY_S)
    progress.close()


def live_view(run: LedRun) -> LiveView:
    """What `run` is doing now; rates are of the last second that every worker has reported."""
    merge = run.coordinator.merge
    t_s = run.coordinator.offset_ns / 1e9
    recent = merge.timeline.recent(RECENT_S)
    second = recent[-2] if len(recent) > 1 else Second(0)
    response = response_of(recent)
    workers = merge.workers.values()
    profile = run.plan.profile()
    return LiveView(
        t_s=max(t_s, 0.0),
        phase=next((p.name for p in profile.phases if p.from_s <= t_s < p.to_s), ""),
        planned_tps=profile.rate(min(max(t_s, 0.0), run.plan.duration_s)),
        started_tps=second.transactions_started,
        completed_tps=second.transactions_ok,
        p50_ms=response.quantile(0.5) / 1000,
        p99_ms=response.quantile(0.99) / 1000,
        p99_9_ms=response.quantile(0.999) / 1000,
        dropped=merge.total.dropped,
        failed=merge.total.failed,
        backlog=sum(totals.backlog for totals in workers),
        in_flight=sum(totals.in_flight for totals in workers),
        workers=len(run.coordinator.roster.live),
        dispatch_lag_p99_ms=second.dispatch_lag.quantile(0.99) / 1000,
        noun=transaction_noun(f"{method} {name}" for method, name in merge.total.endpoints),
        errors=most_frequent_errors(merge.total),
    )


def most_frequent_errors(total: Second) -> tuple[LiveError, ...]:
    """The most frequent errors of all endpoints, the most frequent first."""
    found = [
        LiveError(f"{method} {name}", error, count, count / max(1, endpoint.requests))
        for (method, name), endpoint in total.endpoints.items()
        if method not in TIMED_BESIDES
        for error, count in endpoint.errors.items()
    ]
    return tuple(nlargest(MOST_ERRORS, found, key=lambda error: error.failures))
