"""Draws a run as one HTML file that opens from disk, prints, and trusts nothing it shows.

`page` says why it is safe. The pictures are drawn beforehand (`charts`); the script only adds the reading
line under the pointer, so the page is complete without it.
"""

import json
import math
from pathlib import Path
from typing import Any

from markupsafe import Markup

from loadtest.judge.drift import find_drift
from loadtest.measure.run_result import RunResult, TimelinePoint
from loadtest.measure.whole_file import write_whole
from loadtest.publish import charts, wording
from loadtest.publish.page import asset, policy, template
from loadtest.publish.sparkline import sparkline
from loadtest.publish.svg import WIDE
from loadtest.publish.timeline import end_s, ends_s, shown, thin

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


def render(result: RunResult) -> str:
    """The report as one HTML document; the same record gives the same bytes."""
    style, script = asset("report.css"), asset("report.js")
    page = template("report.html.j2").render(
        result=result,
        headline=wording.headline(result),
        tiles=_tiles(result),
        figures=_figures(result),
        health=[charts.dispatch_lag(result), charts.load(result)],
        seconds_a_point=_seconds_a_point(result),
        table=_time_table(result),
        quantile_columns=QUANTILE_COLUMNS,
        identities=wording.identities(result),
        errors=_errors(result),
        more_errors=max(0, sum(len(e.errors) for e in result.endpoints.values()) - ERROR_ROWS),
        environment=_environment(result),
        trends=find_drift(result),
        data=_page_data(result),
        style=style,
        script=script,
        policy=policy(style, script),
        words=wording,
        heat_levels=range(1, charts.HEAT_LEVELS + 1),
    )
    return page + "\n"


def write(result: RunResult, path: Path) -> None:
    """Write the report to `path` whole or not at all (by rename). Raises `OSError`."""
    write_whole(render(result), path)


def _figures(result: RunResult) -> list[charts.Figure]:
    return [
        charts.rates(result),
        charts.percentiles(result),
        charts.heat_map(result),
        charts.percentile_curve(result),
    ]


def _tiles(result: RunResult) -> list[tuple[str, str, str]]:
    """The first screen's figures: (name, value, what it means)."""
    requests, failures = wording.total_requests(result)
    duration_s = result.run.duration_s or math.inf
    tps, noun = result.transactions, wording.transaction(result)
    record = f"; {wording.share_of_record(tps.peak_tps)}" if noun == "order" else ""
    return [
        (
            "Peak",
            f"{wording.rate(tps.peak_tps)} TPS",
            f"{noun}s/s in the best second{record}",
        ),
        (
            "Mean",
            f"{wording.rate(tps.mean_tps)} TPS",
            f"{tps.count:,} {noun}s {wording.done(noun)}; {wording.rate(requests / duration_s)} requests/s in all",
        ),
        _tail_tile(result),
        (
            "Errors",
            wording.percent(failures / requests) if requests else "no data",
            f"{failures:,} of {requests:,} requests; {result.arrivals.dropped:,} arrivals dropped",
        ),
        _audit_tile(result),
    ]


def _tail_tile(result: RunResult) -> tuple[str, str, str]:
    main = wording.main_endpoint(result)
    if main is None or not main[1].response_ms.count:
        return "p99.9", "no data", "no request was answered"
    name, endpoint = main
    return (
        "p99.9 response",
        wording.latency(endpoint.response_ms.p99_9),
        f"{name}; service time {wording.latency(endpoint.service_ms.p99_9)}",
    )


def _audit_tile(result: RunResult) -> tuple[str, str, str]:
    audit = result.audit
    if audit is None:
        return "Audit", "not checked", result.unaudited
    if audit.balanced:
        return "Audit", "balanced", f"{audit.acknowledged:,} acknowledged, {audit.stored:,} stored"
    return "Audit", "mismatch", " ".join(wording.audit_findings(audit))


def _errors(result: RunResult) -> list[tuple[wording.ErrorRow, Markup]]:
    """The most frequent classes of error, each with a picture of when it came."""
    rows = wording.error_rows(result)[:ERROR_ROWS]
    return [(row, sparkline(row.per_second, end_s(result))) for row in rows]


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
        (name, [(key, wording.setting(value)) for key, value in values.items()])
        for name, values in groups
        if values
    ]


def _seconds_a_point(result: RunResult) -> int:
    points = thin(shown(result), WIDE.columns)
    return round(points[1].t_s - points[0].t_s) if len(points) > 1 else 1


def _time_table(result: RunResult) -> list[tuple[str, TimelinePoint]]:
    """The timeline's figures for those who do not see the pictures: few rows, each (from-to, values)."""
    points = thin(shown(result), TABLE_ROWS)
    ends = ends_s(points, end_s(result))
    return [(f"{point.t_s:g}-{end:g} s", point) for point, end in zip(points, ends, strict=True)]


def _page_data(result: RunResult) -> Markup:
    """What the reading line shows, as JSON that cannot end its script element."""
    points = thin(shown(result), WIDE.columns)
    columns = {series.css: [_short(series.value(point)) for point in points] for series in charts.OVER_TIME}
    data = {
        "duration": end_s(result),
        "t": [point.t_s for point in points],
        "end": ends_s(points, end_s(result)),
        "series": columns,
    }
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    return Markup(text)  # noqa: S704  # numbers only, and `<` is escaped


def _short(value: float) -> float | None:
    if math.isnan(value):
        return None
    return float(f"{value:.4g}") if value < 1000 else round(value)
