"""Draws a run as one HTML file that opens from disk, prints, and trusts nothing it shows.

`page` says why it is safe. The charts' data is in the file, and the engine that every page of ours has draws it
(`assets/chart.js`). All figures are in the text and the tables too: without scripts only the charts are missing.
"""

from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from loadtest.judge.drift import find_drift
from loadtest.measure.run_result import Endpoint, Period, RunResult, TimelinePoint, step_s
from loadtest.measure.whole_file import write_whole
from loadtest.publish import run_charts, wording
from loadtest.publish.answers import answers
from loadtest.publish.network import HEADINGS, network
from loadtest.publish.page import document
from loadtest.publish.regions import HEADINGS as REGION_HEADINGS
from loadtest.publish.regions import regions, residency
from loadtest.publish.series import Sheet
from loadtest.publish.timeline import end_s, ends_s, shown, thin
from loadtest.records import is_request

POINTS = 720
"""Instants on a chart over time; a day has one every two minutes."""
HEAT_POINTS = 240
ENDPOINT_POINTS = 120
TABLE_ROWS = 24
ERROR_ROWS = 100
QUANTILE_COLUMNS = (
    ("p50", "p50"),
    ("p90", "p90"),
    ("p99", "p99"),
    ("p99.9", "p99_9"),
    ("p99.99", "p99_99"),
    ("max", "max"),
)


class PhaseRow(NamedTuple):
    """One phase in figures; rates a second, latencies of the run's main endpoint."""

    name: str
    span: str
    completed: str
    requests: str
    errors: str
    endpoint: Endpoint | None


def render(result: RunResult) -> str:
    """The report as one HTML document; the same record gives the same bytes."""
    frame = _frame(result)
    main = wording.main_endpoint(result)
    seen = {name: e.over_time for name, e in result.endpoints.items() if e.over_time is not None}
    endpoints = run_charts.of_endpoints(seen, frame, ENDPOINT_POINTS)
    return document(
        "report.html.j2",
        {"run": frame, "endpoints": endpoints},
        result=result,
        noun=wording.transaction(result),
        headline=wording.headline(result),
        answers=answers(result),
        tiles=_tiles(result),
        charts={chart.id: chart for chart in frame.charts},
        seconds_a_point=round(frame.bin_s),
        phases=_phases(result),
        main_endpoint=main[0] if main else "",
        table=_time_table(result),
        quantile_columns=QUANTILE_COLUMNS,
        requests=wording.total_requests(result)[0],
        network=network(result),
        network_headings=HEADINGS,
        regions=regions(result),
        region_headings=REGION_HEADINGS,
        residency=residency(result),
        charted=[name for name, endpoint in result.endpoints.items() if endpoint.over_time],
        identities=wording.identities(result),
        errors=wording.error_rows(result)[:ERROR_ROWS],
        more_errors=max(0, sum(len(e.errors) for e in result.endpoints.values()) - ERROR_ROWS),
        environment=_environment(result),
        trends=find_drift(result),
        words=wording,
    )


def write(result: RunResult, path: Path) -> None:
    """Write the report to `path` whole or not at all (by rename). Raises `OSError`."""
    write_whole(render(result), path)


def _frame(result: RunResult) -> Sheet:
    """The charts of the whole run."""
    points = thin(shown(result), POINTS)
    sheet = run_charts.of_run(result, points, step_s(points), end_s(result))
    main = wording.main_endpoint(result)
    curve = run_charts.percentile_curve(*main) if main and main[1].response_ms.count else None
    charts = [_coarse(result) if chart.id == "heat" else chart for chart in sheet.charts if points]
    return msgspec.structs.replace(sheet, charts=[*charts, *filter(None, [curve])])


def _coarse(result: RunResult) -> Any:
    """The heat map, with columns of its own: cells are most of a report's size."""
    points = thin(shown(result), HEAT_POINTS)
    heat = run_charts.heat_map(points)
    return msgspec.structs.replace(heat, t=[point.t_s for point in points], bin_s=step_s(points))


def _tiles(result: RunResult) -> list[tuple[str, str, str]]:
    """The figures under the answers: (name, value, what it means)."""
    requests, failures = wording.total_requests(result)
    played_s = result.run.duration_s
    tps, noun = result.transactions, wording.transaction(result)
    received = sum(
        e.received_bytes or e.response_bytes for name, e in result.endpoints.items() if is_request(name)
    )
    return [
        (
            f"{noun.capitalize()}s",
            f"{tps.count:,}",
            f"{wording.done(noun)}; {wording.rate(tps.mean_tps)} {noun}s/s on average",
        ),
        (
            "Requests",
            f"{requests:,}",
            f"{wording.rate(requests / played_s)} requests/s on average"
            if played_s
            else "no time was played",
        ),
        *_tail_tiles(result),
        (
            "Errors",
            wording.percent(failures / requests) if requests else "no data",
            f"{failures:,} of the requests; {result.arrivals.dropped:,} arrivals dropped",
        ),
        (
            "Received",
            wording.size(received),
            f"{wording.size(received / played_s)}/s on average" if played_s else "",
        ),
    ]


def _tail_tiles(result: RunResult) -> list[tuple[str, str, str]]:
    main = wording.main_endpoint(result)
    if main is None or not main[1].response_ms.count:
        return [("Response time", "no data", "no request was answered")]
    name, endpoint = main
    return [
        (
            f"{label} response time",
            wording.latency(getattr(endpoint.response_ms, field)),
            f"{name}; service time {wording.latency(getattr(endpoint.service_ms, field))}",
        )
        for label, field in (("p50", "p50"), ("p99", "p99"))
    ]


def _phases(result: RunResult) -> list[PhaseRow]:
    main = wording.main_endpoint(result)
    return [_phase(each, main[0] if main else "") for each in result.periods if each.name]


def _phase(phase: Period, main: str) -> PhaseRow:
    length_s = max(phase.to_s - phase.from_s, 1e-9)
    single = [e for name, e in phase.endpoints.items() if is_request(name)]
    requests, failures = sum(e.requests for e in single), sum(e.failures for e in single)
    return PhaseRow(
        phase.name,
        f"{wording.duration(phase.from_s)} to {wording.duration(phase.to_s)}",
        wording.rate(phase.transactions / length_s),
        wording.rate(requests / length_s),
        wording.percent(failures / requests) if requests else "no request",
        phase.endpoints.get(main),
    )


def _environment(result: RunResult) -> list[tuple[str, list[tuple[str, str]]]]:
    run = result.run
    about = {"run": run.id, "plan": run.plan, "seed": run.seed, "started": wording.instant(run.started_at)}
    about |= {"duration": wording.duration(run.duration_s), "targets": ", ".join(run.targets)}
    groups: list[tuple[str, dict[str, Any]]] = [
        ("Run", about),
        ("Settings", run.settings),
        ("Machine", run.machine),
        ("Versions", run.versions),
    ]
    return [
        (name, [wording.labelled(key, value) for key, value in values.items()])
        for name, values in groups
        if values
    ]


def _time_table(result: RunResult) -> list[tuple[str, TimelinePoint]]:
    """The timeline's figures for those who do not see the charts: few rows, each (from-to, values)."""
    points = thin(shown(result), TABLE_ROWS)
    ends = ends_s(points, end_s(result))
    return [(f"{point.t_s:g}-{end:g} s", point) for point, end in zip(points, ends, strict=True)]
