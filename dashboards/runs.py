"""Runs: which runs were there, what came of each, and the way to its time, its report and its charts."""

from dashboards.spec import WEB, Dashboard, Kind, Link, Panel, Query, Unit

STARTED_MS = "max by (run) (last_over_time(loadtest_run_started_timestamp_seconds[$__range])) * 1000"
LENGTH_MS = "max by (run) (last_over_time(loadtest_run_duration_seconds[$__range])) * 1000"
MARGIN_MS = 5000
"""Shown before and after a run."""
OPEN = Link(
    "Show this run, in its time",
    "/d/singlesday-peak-run?var-run=${__data.fields.run}&from=${__data.fields.from.numeric}"
    "&to=${__data.fields.to.numeric}",
)
REPORT = Link("Report (while its web UI runs)", "$web/peak/runs/${__data.fields.run}/report.html")

RUNS = Panel(
    "Runs",
    "Every run in the time shown. Click one to open it with the time range fitted to it.",
    (
        Query("max by (run, plan, target) (last_over_time(loadtest_run_info[$__range]))", "{{run}}"),
        Query("max by (run, verdict) (last_over_time(loadtest_verdict[$__range]))", "{{run}}"),
        Query(STARTED_MS, "{{run}}", column="started", unit=Unit.INSTANT),
        Query(
            "max by (run) (last_over_time(loadtest_run_duration_seconds[$__range]))",
            "{{run}}",
            column="length",
            unit=Unit.SECONDS,
        ),
        Query(
            'sum by (run) (last_over_time(loadtest_transactions_total{state="ok"}[$__range]))',
            "{{run}}",
            column="completed",
            unit=Unit.COUNT,
        ),
        Query("max by (run) (max_over_time(loadtest_completed_tps[$__range]))", "{{run}}", column="peak/s"),
        Query(f"{STARTED_MS} - {MARGIN_MS}", "{{run}}", column="from"),
        Query(f"{STARTED_MS} + {LENGTH_MS} + {MARGIN_MS}", "{{run}}", column="to"),
    ),
    Unit.COUNT,
    Kind.TABLE,
    width=24,
    height=20,
    joined_by="run",
    hidden=("from", "to"),
    links=(OPEN, REPORT),
)

DASHBOARD = Dashboard(
    uid="singlesday-runs",
    title="Runs",
    description="All runs of the load test, with their verdicts.",
    variables=(WEB,),
    since="now-7d",
    refresh="30s",
    rows=(("Runs", (RUNS,)),),
)
