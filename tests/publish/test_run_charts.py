"""The series that charts are drawn from say what the timeline says."""

from collections.abc import Sequence

import pytest

from loadtest.measure.run_result import Buckets, Endpoint, EndpointOverTime, Quantiles, TimelinePoint
from loadtest.publish import run_charts
from loadtest.publish.series import Chart, Column, Sheet, heat_of
from tests.publish.sample_result import a_failed_run


def values(chart: Chart, key: str) -> Column:
    return next(line.values for line in chart.lines if line.key == key)


def over_time(points: Sequence[TimelinePoint], name: str) -> Chart:
    return next(chart for chart in run_charts.over_time(points, "order") if chart.id == name)


def test_failures_leave_no_line_where_there_are_none() -> None:
    chart = over_time([TimelinePoint(t_s=0, failed_tps=2), TimelinePoint(t_s=1)], "rates")
    assert values(chart, "failed") == [2, None]


def test_seconds_without_a_request_leave_a_gap_in_latency() -> None:
    measured = Quantiles(count=1, p50=1, p90=1, p99=1, p99_9=1, max=1)
    points = [TimelinePoint(t_s=0, response_ms=measured), TimelinePoint(t_s=1)]
    assert values(over_time(points, "percentiles"), "p99") == [1, None]
    assert values(over_time(points, "error-rate"), "failed") == [None, None]


def test_a_stall_shows_as_completions_that_stop() -> None:
    completed = values(over_time(a_failed_run().timeline, "rates"), "completed")
    assert (completed[30] or 0) < 0.1 * (completed[29] or 0)


def test_a_cell_of_the_heat_map_tells_the_order_of_its_number() -> None:
    heat = heat_of([[(1000, 1), (4000, 9)], [], [(2000, 1000)]])
    assert heat.upper_ms == [1, 2, 4]
    assert heat.columns == ["0.3", "", ".9"]


def test_the_curves_of_response_and_service_time_part_where_requests_queued() -> None:
    slow = Buckets(upper_us=[1000, 1_000_000], counts=[90, 10])
    fast = Buckets(upper_us=[1000], counts=[100])
    times = Quantiles(count=100, p50=1, p99=1000)
    endpoint = Endpoint(
        requests=100,
        failures=0,
        response_ms=times,
        service_ms=times,
        response_buckets=slow,
        service_buckets=fast,
    )
    chart = run_charts.percentile_curve("GET /", endpoint)
    response, service = values(chart, "response"), values(chart, "service")
    at_p90 = chart.t.index(1.0)
    assert response[at_p90] == service[at_p90] == 1
    assert (response[-1], service[-1]) == (1000, 1)


def test_errors_are_drawn_by_class_a_second() -> None:
    result = a_failed_run()
    endpoint = result.endpoints["POST /orders"]
    result.endpoints = {"POST /orders": endpoint}
    chart = run_charts.errors_by_class(result, 240.0)
    assert chart is not None
    drawn = sum(value or 0 for line in chart.lines for value in line.values) * (chart.bin_s or 0)
    assert chart.bin_s == 2
    assert drawn == pytest.approx(endpoint.failures)
    result.endpoints = {}
    assert run_charts.errors_by_class(result, 60.0) is None


def test_many_instants_of_an_endpoint_are_folded_to_means_and_the_worst() -> None:
    seen = EndpointOverTime(
        bin_s=1, t_s=[0, 1, 3], requests=[10, 20, 40], failures=[0, 0, 0], p50_ms=[1, 2, 3], p99_ms=[5, 4, 9]
    )
    sheet = run_charts.of_endpoints({"GET /": seen}, Sheet(end_s=4), most=2)
    assert (sheet.t, sheet.bin_s) == ([0, 2], 2)
    rate, time = sheet.charts
    assert (rate.id, time.id) == ("endpoint-0-rate", "endpoint-0-time")
    assert values(rate, "completed") == [15, 20]
    assert values(rate, "failed") == []
    assert values(time, "p99") == [5, 9]
