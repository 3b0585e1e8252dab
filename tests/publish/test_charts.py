"""What the pictures show, read back from their SVG."""

import re
from xml.etree import ElementTree as ET

from loadtest.measure.run_result import Quantiles, RunResult, TimelinePoint
from loadtest.publish import charts
from loadtest.publish.svg import MARGIN_LEFT, MARGIN_RIGHT, WIDE
from tests.publish.sample_result import a_failed_run, an_empty_run


def wide(figure: charts.Figure) -> ET.Element:
    """The first drawing of a figure, parsed."""
    drawings = ET.fromstring(f"<both>{figure.picture}</both>")  # noqa: S314  # our own output
    assert [svg.get("class") for svg in drawings] == ["wide", "narrow"]
    return drawings[0]


def line(drawing: ET.Element, css: str) -> list[tuple[float, float]]:
    (path,) = [p for p in drawing.iter("path") if p.get("class") == f"line {css}"]
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", path.get("d") or "")]


def texts(drawing: ET.Element, css: str) -> list[str]:
    return [text.text or "" for text in drawing.iter("text") if text.get("class") == css]


def two_seconds(*points: TimelinePoint) -> RunResult:
    result = an_empty_run()
    result.run.duration_s, result.timeline = float(len(points)), list(points)
    return result


def test_a_rate_is_drawn_at_its_height_in_the_middle_of_its_second() -> None:
    drawing = wide(charts.rates(two_seconds(TimelinePoint(t_s=0), TimelinePoint(t_s=1, started_tps=100))))
    (x1, y1), (x2, y2) = line(drawing, "started")
    width = WIDE.width - MARGIN_LEFT - MARGIN_RIGHT
    assert (x1, x2) == (MARGIN_LEFT + width / 4, MARGIN_LEFT + width * 3 / 4)
    assert y1 == WIDE.height - 30
    assert y2 < y1


def test_a_stall_shows_as_completions_that_stop() -> None:
    drawing = wide(charts.rates(a_failed_run()))
    heights = [y for _, y in line(drawing, "completed")]
    assert heights[30] > heights[29] + 100  # y grows downwards; the service stalls from 30.0 to 31.2 s


def test_failures_leave_no_line_where_there_are_none() -> None:
    drawing = wide(charts.rates(two_seconds(TimelinePoint(t_s=0, failed_tps=2), TimelinePoint(t_s=1))))
    assert len(line(drawing, "failed")) == 1


def test_seconds_without_a_request_leave_a_gap_in_latency() -> None:
    measured = Quantiles(count=1, p50=1, p90=1, p99=1, p99_9=1, max=1)
    points = [
        TimelinePoint(t_s=0, response_ms=measured),
        TimelinePoint(t_s=1),
        TimelinePoint(t_s=2, response_ms=measured),
    ]
    assert len(line(wide(charts.percentiles(two_seconds(*points))), "p99")) == 2


def test_phases_and_events_are_marked_on_every_picture_over_time() -> None:
    result = a_failed_run()
    for draw in (charts.rates, charts.percentiles, charts.heat_map, charts.dispatch_lag, charts.load):
        drawing = wide(draw(result))
        assert texts(drawing, "phase-name") == ["quiet", "spike", "plateau"]
        assert texts(drawing, "event-number") == ["1"]


def test_the_curves_of_response_and_service_time_part_where_requests_queued() -> None:
    drawing = wide(charts.percentile_curve(a_failed_run()))
    assert texts(drawing, "tick mid") == ["p0", "p50", "p90", "p99", "p99.9", "p99.99"]
    gaps = [
        service_y - y
        for x, y in line(drawing, "response")
        for service_x, service_y in line(drawing, "service")
        if abs(service_x - x) < 2
    ]
    assert min(gaps) > -15  # never faster than its own service time, as far as steep curves can be compared
    assert max(gaps) > 40


def test_the_heat_map_is_darkest_where_most_requests_are() -> None:
    points = [TimelinePoint(t_s=0, heat=[(1000, 1), (2000, 5000)]), TimelinePoint(t_s=1, heat=[(1000, 70)])]
    drawing = wide(charts.heat_map(two_seconds(*points)))
    shades = {
        str(path.get("class")): (path.get("d") or "").count("z")
        for path in drawing.iter("path")
        if str(path.get("class")).startswith("heat-")
    }
    assert shades == {"heat-1": 1, "heat-2": 0, "heat-3": 1, "heat-4": 0, "heat-5": 0, "heat-6": 1}


def test_the_limit_of_dispatch_lag_is_drawn_even_when_far_away() -> None:
    drawing = wide(charts.dispatch_lag(two_seconds(TimelinePoint(t_s=0, dispatch_lag_p99_ms=0.05))))
    assert [path for path in drawing.iter("path") if path.get("class") == "limit"]
