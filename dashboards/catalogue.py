"""All dashboards."""

from dashboards import fleet, order_service, peak_run, runs, soak

DASHBOARDS = (
    peak_run.DASHBOARD,
    order_service.DASHBOARD,
    soak.DASHBOARD,
    fleet.DASHBOARD,
    runs.DASHBOARD,
)
