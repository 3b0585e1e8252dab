"""The charts of each endpoint over the run: its requests a second, and its response time."""

from collections.abc import Iterable, Mapping, Sequence

from loadtest.measure.run_result import EndpointOverTime
from loadtest.publish.series import Chart, Line, Sheet, short

Column = list[float | None]


def charts_of(seen: Mapping[str, EndpointOverTime], frame: Sheet, most: int) -> Sheet:
    """A sheet with two charts for each endpoint, `endpoint-N-rate` and `-time`, N by its place in `seen`.

    Axis, phases and marks are those of `frame`. There are at most `most` instants, for all endpoints the same:
    neighbours are folded into one as everywhere, rates to their mean and latencies to the worst.
    """
    bin_s = max((each.bin_s for each in seen.values()), default=1)
    last_s = max((each.t_s[-1] for each in seen.values() if each.t_s), default=0)
    step_s = bin_s * -(-(last_s // bin_s + 1) // most)
    t = [float(t_s) for t_s in range(0, last_s + 1, step_s)]
    charts = [
        chart
        for number, (name, each) in enumerate(seen.items())
        for chart in _charts(number, name, each, len(t), step_s)
    ]
    return Sheet(
        end_s=frame.end_s,
        t=t,
        bin_s=step_s,
        phases=frame.phases,
        marks=frame.marks,
        now_s=frame.now_s,
        charts=charts,
    )


def _charts(number: int, name: str, seen: EndpointOverTime, length: int, step_s: int) -> Iterable[Chart]:
    def summed(counts: Sequence[int]) -> Column:
        sums = [0] * length
        for t_s, count in zip(seen.t_s, counts, strict=True):
            sums[t_s // step_s] += count
        return [short(total / step_s) if total else None for total in sums]

    def worst(values: Sequence[float]) -> Column:
        highest = [0.0] * length
        for t_s, value in zip(seen.t_s, values, strict=True):
            highest[t_s // step_s] = max(highest[t_s // step_s], value)
        return _spare([short(value) if value else None for value in highest])

    made, failed = ([value or 0.0 for value in summed(seen.requests)], _spare(summed(seen.failures)))
    yield Chart(
        id=f"endpoint-{number}-rate",
        title=f"{name}: requests",
        unit="per_s",
        counts="requests/s",
        says=f"Requests a second to {name}, and how many of them failed.",
        lines=[
            Line(key="completed", label="made", values=list(made)),
            Line(key="failed", label="failed", values=failed),
        ],
    )
    yield Chart(
        id=f"endpoint-{number}-time",
        title=f"{name}: response time",
        unit="ms",
        counts="response time",
        says=f"Response time of {name}, median and p99.",
        log=True,
        lines=[
            Line(key="p50", label="p50", values=worst(seen.p50_ms)),
            Line(key="p99", label="p99", values=worst(seen.p99_ms)),
        ],
    )


def _spare(values: Column) -> Column:
    """Nothing instead of a column of nothing: most endpoints never fail."""
    return values if any(value is not None for value in values) else []
