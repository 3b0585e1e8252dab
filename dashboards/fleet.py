"""Fleet: can the generator be believed? Its workers, its punctuality, its reports."""

from dashboards.spec import LIVE_PAGE, OF_A_RUN, REPORT, RUN, WEB, Dashboard, Kind, Panel, Query, Unit

LAG = 'loadtest_dispatch_lag_seconds_bucket{run="$run"}'

WORKERS = (
    Panel("Workers", "Workers that serve the schedule.", (Query('loadtest_workers{run="$run"}', "workers"),),
          Unit.COUNT, Kind.FIGURE, width=6, height=5),
    Panel("Busiest worker", "Share of one core; more than 0.9 for five seconds makes the run INVALID.",
          (Query('max(loadtest_worker_cpu_ratio{run="$run"})', "CPU"),),
          Unit.SHARE, Kind.FIGURE, width=6, height=5, limit=0.9),
    Panel("Reports missing", "A report that never comes makes the run INVALID.",
          (Query('loadtest_report_gaps_total{run="$run"}', "missing"),),
          Unit.COUNT, Kind.FIGURE, width=6, height=5, limit=1),
    Panel("Started of scheduled", "Share of the arrivals due that were started.",
          (Query('(loadtest_arrivals_total{run="$run",state="started"} / ignoring (state) '
                 'loadtest_arrivals_total{run="$run",state="scheduled"}) >= 0', "started"),),
          Unit.SHARE, Kind.FIGURE, width=6, height=5),
    Panel("CPU", "Share of one core by worker.",
          (Query('loadtest_worker_cpu_ratio{run="$run"}', "{{worker}}"),), Unit.SHARE, limit=0.9),
    Panel("Dispatch lag", "Arrivals by how late they were started.",
          (Query(f"sum by (le) (increase({LAG}[$__rate_interval]))", "{{le}}"),), Unit.SECONDS, Kind.HEATMAP),
    Panel("Arrivals", "Arrivals of every scenario a second, by what became of them.",
          (Query('sum by (state) (rate(loadtest_arrivals_total{run="$run"}[$__rate_interval]))', "{{state}}"),),
          Unit.PER_S),
    Panel("In flight and waiting", "Over all workers.",
          (Query('loadtest_in_flight{run="$run"}', "in flight"),
           Query('loadtest_backlog{run="$run"}', "waiting")),
          Unit.COUNT),
)  # fmt: skip

DASHBOARD = Dashboard(
    uid="singlesday-fleet",
    title="Fleet",
    description="The generator itself: workers, punctuality, reports.",
    variables=(RUN, WEB),
    annotations=OF_A_RUN,
    links=(LIVE_PAGE, REPORT),
    rows=(("Workers", WORKERS),),
)
