"""The charts of a run that goes on, for a page that knows the run up to some second."""

from collections.abc import Callable, Sequence

import msgspec

from loadtest.measure.run_result import RunInfo, RunResult, TimelinePoint
from loadtest.publish import run_charts, wording
from loadtest.publish.series import Chart, Sheet, short

PlannedTransactions = Callable[[float, float], float]
"""How many transactions the plan intends between two offsets, in seconds."""


def sheet_of(
    info: RunInfo,
    points: Sequence[TimelinePoint],
    bin_s: int,
    *,
    result: RunResult,
    now_s: float | None,
    ahead: PlannedTransactions | None,
) -> Sheet:
    """The charts of `points`; with `ahead` they begin with the whole plan's curve, of which the rest is to come."""
    noun = wording.transaction(result)
    t, charts = [point.t_s for point in points], run_charts.over_time(points, noun)
    if ahead is not None:
        first = int(t[-1]) // bin_s + 1 if t else 0
        future = [float(number * bin_s) for number in range(first, -(-int(info.duration_s) // bin_s))]
        planned = [short(ahead(at_s, at_s + bin_s) / bin_s) for at_s in future]
        t, charts = t + future, [_with_plan(chart, planned) for chart in charts]
    return Sheet(
        end_s=max(info.duration_s, *t[-1:], 1.0),
        t=t,
        bin_s=bin_s,
        phases=info.phases,
        marks=result.events,
        now_s=now_s,
        charts=[*charts, *filter(None, [run_charts.errors_by_class(result, info.duration_s)])],
    )


def _with_plan(chart: Chart, planned: list[float | None]) -> Chart:
    """The chart of rates with the plan's curve ahead; the others as they are."""
    if chart.id != "rates":
        return chart
    lines = [
        msgspec.structs.replace(line, values=line.values + planned) if line.key == "planned" else line
        for line in chart.lines
    ]
    return msgspec.structs.replace(chart, lines=lines)
