"""Peak run: is the plan being played, how does the target take it, and does the run count?"""

from dashboards.spec import ENDPOINT, PHASES, RECORD_TPS, RUN, Dashboard, Kind, Panel, Query, Unit

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


FIGURES = (
    Panel("Planned", "Orders a second that the plan intends now.", (Query(PLANNED, "planned"),),
          Unit.ORDERS_PER_S, Kind.FIGURE, width=4, height=4),
    Panel("Completed", "Orders created a second.", (Query(COMPLETED, "completed"),),
          Unit.ORDERS_PER_S, Kind.FIGURE, width=4, height=4),
    Panel("p99 response", "Of the slowest endpoint over the last ten seconds, exact over the fleet.",
          (Query(WORST_P99, "p99"),), Unit.SECONDS, Kind.FIGURE, width=4, height=4),
    Panel("Errors", "Share of requests that failed.", (Query(f"({FAILED} / {REQUESTS}) >= 0", "errors"),),
          Unit.SHARE, Kind.FIGURE, width=4, height=4),
    Panel("Dispatch lag p99", "How late the generator itself is; more than 10 ms makes the run INVALID.",
          (Query(LAG_P99, "lag"),), Unit.SECONDS, Kind.FIGURE, width=4, height=4, limit=0.01),
    Panel("Objectives held", "Share of the objectives with data that hold so far.",
          (Query('avg(loadtest_slo_ok{run="$run"})', "held"),), Unit.SHARE, Kind.FIGURE, width=4, height=4),
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
          tuple(Query(_exact(quantile), name) for quantile, name in QUANTILES),
          Unit.SECONDS, logarithmic=True),
    Panel("Response times of all requests", "Requests by how long they took.",
          (Query('sum by (le) (increase(loadtest_response_seconds_bucket{run="$run",endpoint=~"$endpoint"}'
                 "[$__rate_interval]))", "{{le}}", exemplars=True),),
          Unit.SECONDS, Kind.HEATMAP),
    Panel("Response and service time, p99",
          "Where they part, arrivals wait for an idle user: what a closed loop would not have shown. By buckets.",
          (Query(_histogram_p99("loadtest_response_seconds"), "response", exemplars=True),
           Query(_histogram_p99("loadtest_service_seconds"), "service")),
          Unit.SECONDS),
    Panel("Requests", "Requests a second by endpoint, over 15 s: the counters grow by whole seconds.",
          (Query('sum by (endpoint) (rate(loadtest_requests_total{run="$run",endpoint=~"$endpoint"}[15s]))',
                 "{{endpoint}}"),),
          Unit.PER_S),
)  # fmt: skip

TROUBLE = (
    Panel("Failures", "Failed requests a second by endpoint.",
          (Query('sum by (endpoint) (rate(loadtest_requests_total{run="$run",outcome="failed"}'
                 "[$__rate_interval]))", "{{endpoint}}"),),
          Unit.PER_S, width=8),
    Panel("Dropped and lost", "Arrivals that waited too long, and such as were lost when a worker crashed.",
          (Query('sum by (state) (rate(loadtest_arrivals_total{run="$run",state=~"dropped|lost|cancelled"}'
                 "[$__rate_interval]))", "{{state}}"),),
          Unit.PER_S, width=8),
    Panel("In flight and waiting", "A growing queue is the target's doing: every user was busy.",
          (Query('loadtest_in_flight{run="$run"}', "in flight"),
           Query('loadtest_backlog{run="$run"}', "waiting")),
          Unit.COUNT, width=8),
    Panel("Dispatch lag", "How late the generator started what it could have started on time.",
          (Query(LAG_P50, "p50"), Query(LAG_P99, "p99")),
          Unit.SECONDS, width=8, limit=0.01),
    Panel("Workers' CPU", "Share of one core; more than 0.9 for five seconds makes the run INVALID.",
          (Query('loadtest_worker_cpu_ratio{run="$run"}', "{{worker}}"),),
          Unit.SHARE, width=8, limit=0.9),
    Panel("Objectives", "Green while an objective is met, red while it is missed.",
          (Query('loadtest_slo_ok{run="$run"}', "{{expr}}"),),
          Unit.COUNT, Kind.STATES, width=8),
)  # fmt: skip

DASHBOARD = Dashboard(
    uid="singlesday-peak-run",
    title="Peak run",
    description="One run of the load test: the plan, what came of it, and whether it counts.",
    variables=(RUN, ENDPOINT),
    annotations=(PHASES,),
    rows=(("Now", FIGURES), ("The run", THE_RUN), ("Trouble", TROUBLE)),
)
