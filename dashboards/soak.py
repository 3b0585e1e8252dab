"""Soak: what changes over hours. Each value beside itself one window ago; a steady service stays at 1."""

from dashboards.spec import (
    ENDPOINT,
    LIVE_PAGE,
    OF_A_RUN,
    REPORT,
    RUN,
    WEB,
    WINDOW,
    Dashboard,
    Panel,
    Query,
    Unit,
)


def _p99(offset: str = "") -> str:
    chosen = 'loadtest_response_seconds_bucket{run="$run",endpoint=~"$endpoint"}'
    return f"histogram_quantile(0.99, sum by (le) (rate({chosen}[$window]{offset})))"


def _completed(offset: str = "") -> str:
    return f'sum(rate(loadtest_transactions_total{{run="$run",state="ok"}}[$window]{offset}))'


def _beside(now: str, then: str) -> str:
    """Now as a share of then; absent where then was nothing, which would be infinity, or now is unknown."""
    return f"({now} / ({then} > 0)) >= 0"


LAG = 'sum by (le) (rate(loadtest_dispatch_lag_seconds_bucket{run="$run"}[$window]))'
FAILED = 'sum(loadtest_requests_total{run="$run",outcome="failed"})'


DRIFT = (
    Panel("p99 beside one window ago", "Above 1: responses become slower. By buckets, so small steps are noise.",
          (Query(_beside(_p99(), _p99(" offset $window")), "p99 now / then"),), Unit.COUNT),
    Panel("Throughput beside one window ago", "Below 1 with a steady plan: the target tires.",
          (Query(_beside(_completed(), _completed(" offset $window")), "now / then"),), Unit.COUNT),
)  # fmt: skip

LEVELS = (
    Panel("Response time, p99", "Over the window, by buckets.", (Query(f"{_p99()} >= 0", "p99"),), Unit.SECONDS),
    Panel("Completed", "Orders a second over the window.", (Query(_completed(), "completed"),), Unit.ORDERS_PER_S),
    Panel("Errors since the run began", "Share of all requests so far.",
          (Query(f'({FAILED} / sum(loadtest_requests_total{{run="$run"}})) >= 0', "errors"),),
          Unit.SHARE),
    Panel("Dispatch lag, p99", "A generator that tires would look like a target that does.",
          (Query(f"histogram_quantile(0.99, {LAG}) >= 0", "lag"),), Unit.SECONDS, limit=0.01),
    Panel("Commit time, mean", "Of the order service: a database that grows shows here first.",
          (Query("(sum(rate(orders_commit_seconds_sum[$window])) / sum(rate(orders_commit_seconds_count[$window])))"
                 " >= 0", "commit"),),
          Unit.SECONDS),
    Panel("Service memory", "Resident memory of the order service's workers: a leak shows over hours.",
          (Query("sum(orders_memory_bytes)", "memory"),), Unit.BYTES),
    Panel("Workers", "Workers that serve the schedule.", (Query('loadtest_workers{run="$run"}', "workers"),),
          Unit.COUNT),
)  # fmt: skip

DASHBOARD = Dashboard(
    uid="singlesday-soak",
    title="Soak",
    description="Drift over hours.",
    variables=(RUN, ENDPOINT, WINDOW, WEB),
    annotations=OF_A_RUN,
    links=(LIVE_PAGE, REPORT),
    since="now-24h",
    refresh="1m",
    rows=(("Drift", DRIFT), ("Levels", LEVELS)),
)
