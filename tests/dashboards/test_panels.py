"""Every panel's query, asked of a real Prometheus that watched a real run."""

import math

import pytest
from promql_parser import parse

from dashboards.catalogue import DASHBOARDS
from dashboards.promql import substituted
from dashboards.spec import Dashboard, Panel, Query
from loadtest.publish.prometheus import BOUNDS_S
from loadtest.publish.reading import RECENT_S
from tests.dashboards.conftest import PEAK_TPS
from tests.dashboards.watched_run import Watched

pytestmark = pytest.mark.timeout(900)
"""A busy machine plays the run that all look at several times."""

PANELS = [(dashboard, panel) for dashboard in DASHBOARDS for panel in dashboard.panels]
NAMES = [f"{dashboard.uid}: {panel.title}" for dashboard, panel in PANELS]
VARIABLES = {
    "run": "r",
    "endpoint": ["GET /orders/[id]", "POST /orders"],
    "traffic": ["live"],
    "window": "5m",
    "web": "http://127.0.0.1:8089",
}


@pytest.mark.parametrize(("dashboard", "panel"), PANELS, ids=NAMES)
def test_a_query_is_promql_once_its_variables_are_replaced(dashboard: Dashboard, panel: Panel) -> None:
    exprs = [query.expr for query in panel.queries] + [panel.limit_from or "vector(0)"]
    for asked in exprs + [annotation.expr for annotation in dashboard.annotations]:
        expr = substituted(asked, VARIABLES, scrape_s=1, step_s=1, range_s=60)
        assert "$" not in expr
        parse(expr)
    assert panel.description.endswith((".", "logarithmic."))
    assert all(variable.name in VARIABLES for variable in dashboard.variables)


@pytest.mark.parametrize(("dashboard", "panel"), PANELS, ids=NAMES)
def test_a_panel_shows_data_without_nan_after_a_real_run(
    watched: Watched, dashboard: Dashboard, panel: Panel
) -> None:
    threshold = [Query(panel.limit_from, "limit")] if panel.limit_from else []
    for query in [*panel.queries, *threshold]:
        lines = watched.source.query(query)
        assert lines, f"{query.expr} returned nothing"
        values = [value for line in lines for value in line.points.values()]
        assert all(math.isfinite(value) for value in values), query.expr
        assert all("{{" not in line.legend and line.legend for line in lines)
        assert len({line.legend for line in lines}) == len(lines), "two lines share a name"


def last_value(watched: Watched, dashboard_uid: str, title: str) -> float:
    [panel] = [p for d, p in PANELS if d.uid == dashboard_uid and p.title == title]
    return max(value for line in watched.source.panel(panel) for value in line.points.values())


BUSY = 3.0
"""On a busy machine a second's work is done in the next, and a scrape is answered some seconds late: in a rate over a
few seconds that is a factor of two. A wrong unit is one of sixty or a thousand."""


def test_magnitudes_are_those_of_the_run(watched: Watched) -> None:
    assert last_value(watched, "singlesday-peak-run", "Planned") == pytest.approx(PEAK_TPS)
    assert 1 / BUSY < last_value(watched, "singlesday-peak-run", "Completed") / PEAK_TPS < BUSY
    assert last_value(watched, "singlesday-fleet", "Workers") == 2
    durable = last_value(watched, "singlesday-order-service", "Orders made durable")
    assert 1 / BUSY < durable / PEAK_TPS < BUSY


def test_the_service_and_the_generator_count_the_same_orders(watched: Watched) -> None:
    durable = at_the_end(watched, "sum(last_over_time(orders_created_total[1m]))")
    assert durable == pytest.approx(watched.result.transactions.count, rel=0.05)


def at_the_end(watched: Watched, expr: str) -> float:
    """The one value of an expression after the last scrape."""
    [answer] = watched.source.ask("query", query=expr, time=watched.source.to_s)["result"]
    return float(answer["value"][1])


def series(watched: Watched, metric: str, chosen: str) -> str:
    """A series of the run by its last sample: those of a process that has ended are gone."""
    return f'last_over_time({metric}{{run="{watched.result.run.id}",{chosen}}}[1m])'


def test_the_last_scrape_has_the_whole_run_in_it(watched: Watched) -> None:
    created = series(watched, "loadtest_transactions_total", 'state="ok"')
    assert at_the_end(watched, created) == watched.result.transactions.count


def test_p99_by_buckets_is_within_one_bucket_of_the_reports(watched: Watched) -> None:
    buckets = series(watched, "loadtest_response_seconds_bucket", 'endpoint="POST /orders"')
    asked_s = at_the_end(watched, f"histogram_quantile(0.99, {buckets})")
    reported_s = watched.result.endpoints["POST /orders"].response_ms.p99 / 1000
    bounds = [0.0, *BOUNDS_S]
    upper = next(i for i, bound in enumerate(bounds) if reported_s <= bound)
    assert bounds[max(upper - 2, 0)] <= asked_s <= bounds[min(upper + 1, len(bounds) - 1)]


def test_the_exact_quantile_is_within_one_percent_of_the_reports(watched: Watched) -> None:
    """The run is shorter than the ten seconds that the metric looks back, so both are of the whole run."""
    assert watched.result.run.duration_s < RECENT_S
    exact = series(watched, "loadtest_response_quantile_seconds", 'endpoint="POST /orders",quantile="0.99"')
    reported_s = watched.result.endpoints["POST /orders"].response_ms.p99 / 1000
    assert at_the_end(watched, exact) == pytest.approx(reported_s, rel=0.01)


def test_no_rule_fails_in_a_real_prometheus(watched: Watched) -> None:
    groups = watched.source.ask("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) == 17
    assert [rule["lastError"] for rule in rules if rule.get("lastError")] == []
