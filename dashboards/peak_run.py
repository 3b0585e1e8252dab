"""Peak run: is the plan being played, how does the target take it, and does the run count?"""

from dashboards.spec import (
    ENDPOINT,
    LIVE_PAGE,
    OF_A_RUN,
    REPORT,
    RUN,
    WEB,
    Dashboard,
    Kind,
    Panel,
    Query,
    Unit,
)
from loadtest.records import RECORD_TPS

STARTED = 'loadtest_started_tps{run="$run"}'
COMPLETED = 'loadtest_completed_tps{run="$run"}'
PLANNED = 'loadtest_planned_tps{run="$run"}'
FAILED = 'sum(rate(loadtest_requests_total{run="$run",outcome="failed"}[$__rate_interval]))'
REQUESTS = 'sum(rate(loadtest_requests_total{run="$run"}[$__rate_interval]))'
WORST_P99 = 'max(loadtest_response_quantile_seconds{run="$run",quantile="0.99"})'
LAG = 'sum by (le) (rate(loadtest_dispatch_lag_seconds_bucket{run="$run"}[$__rate_interval]))'
LAG_P50, LAG_P99 = (f"histogram_quantile({quantile}, {LAG}) >= 0" for quantile in (0.5, 0.99))


QUANTILES = (("0.5", "p50"), ("0.9", "p90"), ("0.99", "p99"), ("0.999", "p99.9"), ("0.9999", "p99.99"))
"""The label's value and what people call it: Grafana cannot count from one to the other."""


def _exact(quantile: str) -> str:
    chosen = f'run="$run",endpoint=~"$endpoint",quantile="{quantile}"'
    return f"max(loadtest_response_quantile_seconds{{{chosen}}})"


def _histogram_p99(metric: str) -> str:
    chosen = f'{metric}_bucket{{run="$run",endpoint=~"$endpoint"}}'
    return f"histogram_quantile(0.99, sum by (le) (rate({chosen}[$__rate_interval]))) >= 0"


def _limit(measure: str) -> str:
    """The lowest limit that an objective sets on a measure; absent where none does."""
    return f'min(loadtest_slo_limit{{run="$run",measure="{measure}"}})'


def _limits(measures: str) -> Query:
    return Query(
        f'min by (measure) (loadtest_slo_limit{{run="$run",measure=~"{measures}"}})', "limit of {{measure}}"
    )


def _shown(metric: str, chosen: str, by: str) -> str:
    """A counter at the end of the time shown, also of a run that is over by then."""
    return f'sum by ({by}) (last_over_time({metric}{{run="$run"{chosen}}}[$__range]))'


def _over_all_shown(quantile: str) -> str:
    """A quantile of each endpoint over the time shown, by buckets."""
    chosen = 'loadtest_response_seconds_bucket{run="$run"}'
    return f"histogram_quantile({quantile}, sum by (le, endpoint) (increase({chosen}[$__range]))) >= 0"


def _extreme(which: str, quantile: str) -> str:
    """The lowest or highest response time of each endpoint over the time shown."""
    chosen = f'loadtest_response_quantile_seconds{{run="$run",quantile="{quantile}"}}'
    return f"{which} by (endpoint) ({which}_over_time({chosen}[$__range]))"


FIGURES = (
    Panel("Planned", "Orders a second that the plan intends now.", (Query(PLANNED, "planned"),),
          Unit.ORDERS_PER_S, Kind.FIGURE, width=4, height=4),
    Panel("Completed", "Orders created a second.", (Query(COMPLETED, "completed"),),
          Unit.ORDERS_PER_S, Kind.FIGURE, width=4, height=4),
    Panel("p99 response", "Of the slowest endpoint over the last ten seconds, exact over the fleet.",
          (Query(WORST_P99, "p99"),), Unit.SECONDS, Kind.FIGURE, width=4, height=4, limit_from=_limit("p99")),
    Panel("Errors", "Share of requests that failed.", (Query(f"({FAILED} / {REQUESTS}) >= 0", "errors"),),
          Unit.SHARE, Kind.FIGURE, width=4, height=4, limit_from=_limit("errors")),
    Panel("Dispatch lag p99", "How late the generator itself is; more than 10 ms makes the run INVALID.",
          (Query(LAG_P99, "lag"),), Unit.SECONDS, Kind.FIGURE, width=4, height=4, limit=0.01),
    Panel("Objectives held", "Share of the objectives with data that hold so far.",
          (Query('avg(loadtest_slo_ok{run="$run"})', "held"),), Unit.SHARE, Kind.FIGURE, width=4, height=4),
    Panel("Verdict", "Of the run, once it is over.",
          (Query('last_over_time(loadtest_verdict{run="$run"}[$__range])', "{{verdict}}"),),
          Unit.COUNT, Kind.FIGURE, width=4, height=4, named=True),
    Panel("Peak reached", "Orders completed in the best second of the time shown.",
          (Query(f"max_over_time({COMPLETED}[$__range])", "peak"),),
          Unit.ORDERS_PER_S, Kind.FIGURE, width=4, height=4),
    Panel("All requests", "Requests so far.",
          (Query('sum(last_over_time(loadtest_requests_total{run="$run"}[$__range]))', "requests"),),
          Unit.COUNT, Kind.FIGURE, width=4, height=4),
    Panel("Failed requests", "Requests that failed so far.",
          (Query('sum(last_over_time(loadtest_requests_total{run="$run",outcome="failed"}[$__range]))', "failed"),),
          Unit.COUNT, Kind.FIGURE, width=4, height=4),
    Panel("Dropped arrivals", "Arrivals that waited longer than the plan's patience; every run allows none.",
          (Query('last_over_time(loadtest_arrivals_total{run="$run",state="dropped"}[$__range])', "dropped"),),
          Unit.COUNT, Kind.FIGURE, width=4, height=4, limit=1),
    Panel("Workers", "Workers that serve the schedule.", (Query('loadtest_workers{run="$run"}', "workers"),),
          Unit.COUNT, Kind.FIGURE, width=4, height=4),
)  # fmt: skip

ENDPOINTS = (
    Panel("Endpoints", "Each endpoint over the time shown; quantiles by buckets.",
          (Query(_shown("loadtest_requests_total", "", "endpoint"), "{{endpoint}}", column="requests"),
           Query('sum by (endpoint) (rate(loadtest_requests_total{run="$run"}[$__range]))', "{{endpoint}}",
                 column="requests/s", unit=Unit.PER_S),
           Query(f"""{_shown("loadtest_requests_total", ',outcome="failed"', "endpoint")} / """
                 f"""({_shown("loadtest_requests_total", "", "endpoint")} > 0)""", "{{endpoint}}",
                 column="failed", unit=Unit.SHARE),
           Query('(sum by (endpoint) (increase(loadtest_response_seconds_sum{run="$run"}[$__range])) / '
                 'sum by (endpoint) (increase(loadtest_response_seconds_count{run="$run"}[$__range]))) >= 0',
                 "{{endpoint}}", column="mean", unit=Unit.SECONDS),
           Query(_extreme("min", "0"), "{{endpoint}}", column="min", unit=Unit.SECONDS),
           Query(_over_all_shown("0.5"), "{{endpoint}}", column="p50", unit=Unit.SECONDS),
           Query(_over_all_shown("0.95"), "{{endpoint}}", column="p95", unit=Unit.SECONDS),
           Query(_over_all_shown("0.99"), "{{endpoint}}", column="p99", unit=Unit.SECONDS),
           Query(_extreme("max", "1"), "{{endpoint}}", column="max", unit=Unit.SECONDS)),
          Unit.COUNT, Kind.TABLE, width=16, height=9, joined_by="endpoint"),
    Panel("Errors by class", "What failed how often, over the whole run.",
          (Query(_shown("loadtest_errors_total", "", "endpoint, error"), "{{endpoint}} {{error}}", column="count"),),
          Unit.COUNT, Kind.TABLE, width=8, height=9),
)  # fmt: skip

THE_RUN = (
    Panel("Planned, started, completed", "What the schedule intends, what was started, what the target completed.",
          (Query(PLANNED, "planned"), Query(STARTED, "started"), Query(COMPLETED, "completed")),
          Unit.ORDERS_PER_S, width=16, height=9),
    Panel("Beside the record", "The same beside Singles' Day 2020's 583,000 orders a second, logarithmic.",
          (Query(PLANNED, "planned"), Query(COMPLETED, "completed"),
           Query(f"vector({RECORD_TPS})", "Singles' Day 2020")),
          Unit.ORDERS_PER_S, width=8, height=9, logarithmic=True),
    Panel("Response time, exact", "Quantiles over the last ten seconds of the whole fleet, worst endpoint chosen.",
          (*(Query(_exact(quantile), name) for quantile, name in QUANTILES), _limits("p[0-9.]+|max|mean")),
          Unit.SECONDS, height=9, logarithmic=True),
    Panel("Response times of all requests", "Requests by how long they took.",
          (Query('sum by (le) (increase(loadtest_response_seconds_bucket{run="$run",endpoint=~"$endpoint"}'
                 "[$__rate_interval]))", "{{le}}", exemplars=True),),
          Unit.SECONDS, Kind.HEATMAP, height=9),
    Panel("Response and service time, p99",
          "Where the two differ, arrivals wait for an idle user, which a closed loop would not show. By buckets; "
          "what failed also apart.",
          (Query(_histogram_p99("loadtest_response_seconds"), "response", exemplars=True),
           Query(_histogram_p99("loadtest_service_seconds"), "service"),
           Query(_histogram_p99("loadtest_failed_response_seconds"), "response of failed")),
          Unit.SECONDS),
    Panel("Requests", "Requests a second by endpoint, over 15 s: the counters grow by whole seconds.",
          (Query('sum by (endpoint) (rate(loadtest_requests_total{run="$run",endpoint=~"$endpoint"}[15s]))',
                 "{{endpoint}}"),),
          Unit.PER_S),
)  # fmt: skip

TROUBLE = (
    Panel("Failed share", "Share of the requests that failed, beside the limit that an objective sets.",
          (Query(f"({FAILED} / {REQUESTS}) >= 0", "failed"), _limits("errors")),
          Unit.SHARE, width=12),
    Panel("Errors by class over time", "Failed requests a second by endpoint and class of error.",
          (Query('sum by (endpoint, error) (rate(loadtest_errors_total{run="$run"}[$__rate_interval]))',
                 "{{endpoint}} {{error}}"),),
          Unit.PER_S, width=12),
    Panel("Failures", "Failed requests a second by endpoint.",
          (Query('sum by (endpoint) (rate(loadtest_requests_total{run="$run",outcome="failed"}'
                 "[$__rate_interval]))", "{{endpoint}}"),),
          Unit.PER_S, width=8),
    Panel("Dropped and lost", "Arrivals that waited too long, and such as were lost when a worker crashed.",
          (Query('sum by (state) (rate(loadtest_arrivals_total{run="$run",state=~"dropped|lost|cancelled"}'
                 "[$__rate_interval]))", "{{state}}"),),
          Unit.PER_S, width=8),
    Panel("In flight and waiting",
          "Arrivals wait while every user is busy: a growing queue means that the target is too slow.",
          (Query('loadtest_in_flight{run="$run"}', "in flight"),
           Query('loadtest_backlog{run="$run"}', "waiting")),
          Unit.COUNT, width=8),
    Panel("Dispatch lag", "How late the load generator started arrivals although a user was free.",
          (Query(LAG_P50, "p50"), Query(LAG_P99, "p99")),
          Unit.SECONDS, width=8, limit=0.01),
    Panel("Workers' CPU", "Share of one core; more than 0.9 for five seconds makes the run INVALID.",
          (Query('loadtest_worker_cpu_ratio{run="$run"}', "{{worker}}"),),
          Unit.SHARE, width=8, limit=0.9),
    Panel("Objectives", "Green while an objective is met, red while it is missed.",
          (Query('loadtest_slo_ok{run="$run"}', "{{expr}}"),),
          Unit.COUNT, Kind.STATES, width=8),
)  # fmt: skip


def _mean(step: str, of: str) -> str:
    """Seconds that a step took on average; absent while nothing took it."""
    spent = (
        f'loadtest_network_seconds_total{{run="$run",endpoint=~"$endpoint",step="{step}"}}[$__rate_interval]'
    )
    return f"(sum(rate({spent})) / {of}) >= 0"


def _mean_so_far(step: str) -> str:
    """Seconds that a step of opening took on average; a rate misses those of before the first scrape."""
    of = '{run="$run",endpoint=~"$endpoint"'
    spent, opened = f'loadtest_network_seconds_total{of},step="{step}"}}', f"loadtest_connections_total{of}}}"
    return f"sum({spent}) / (sum({opened}) > 0)"


OPENED = 'sum(rate(loadtest_connections_total{run="$run",endpoint=~"$endpoint"}[$__rate_interval]))'
ASKED = 'sum(rate(loadtest_requests_total{run="$run",endpoint=~"$endpoint"}[$__rate_interval]))'
NETWORK = (
    Panel("Sent and received", "Bytes a second, heads and bodies, without TLS.",
          (Query('sum by (direction) (rate(loadtest_bytes_total{run="$run",endpoint=~"$endpoint"}'
                 "[$__rate_interval]))", "{{direction}}"),),
          Unit.BYTES_PER_S, width=8),
    Panel("New connections", "Requests a second that opened a connection; few while the target keeps them open.",
          (Query(OPENED, "opened"),), Unit.PER_S, width=8),
    Panel("First byte, connect, TLS", "On average: until the first byte of a response; to open a connection so far.",
          (Query(_mean("first_byte", ASKED), "first byte"), Query(_mean_so_far("connect"), "connect"),
           Query(_mean_so_far("tls"), "TLS handshake")),
          Unit.SECONDS, width=8),
)  # fmt: skip

DASHBOARD = Dashboard(
    uid="singlesday-peak-run",
    title="Peak run",
    description="One run of the load test: the plan, what came of it, and whether it counts.",
    variables=(RUN, ENDPOINT, WEB),
    annotations=OF_A_RUN,
    links=(LIVE_PAGE, REPORT),
    rows=(
        ("Now", FIGURES),
        ("The run", THE_RUN),
        ("Endpoints and errors", ENDPOINTS),
        ("Trouble", TROUBLE),
        ("Network", NETWORK),
    ),
)
