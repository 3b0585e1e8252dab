"""A search for capacity as an HTML page like the report, and its steps as lines for the terminal.

The picture is throughput and latency against the rate that was offered: up to the knee the target completes what it
is offered, beyond it what it can, and latency grows with every second that the rate is held.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from statistics import fmean

from loadtest.judge.capacity_result import CapacityResult, Step, tps_words
from loadtest.measure.whole_file import write_whole
from loadtest.publish import wording
from loadtest.publish.page import document
from loadtest.publish.series import Chart, Line, Sheet, short

PAGE = "capacity.html"


def line(step: Step) -> str:
    """One step in a line of 80 characters: TPS offered and done, times; below it, if anything was wrong, what."""
    took, done = step.response_ms, tps_words(step.completed_tps) if step.counted else "-"
    said = (
        f"{tps_words(step.tps):>7} TPS {step.outcome:<7} done {done:>7} "
        f"p50 {wording.latency(took.p50):>7} p99 {wording.latency(took.p99):>7} "
        f"lag {wording.latency(step.dispatch_lag_p99_ms):>7} cpu {step.cpu_max:>4.0%}"
    )
    return f"{said}\n    {step.why[0]}" if step.why else said


def render(result: CapacityResult) -> str:
    """The search as one HTML document that opens offline."""
    return document(
        "capacity.html.j2",
        Sheet(end_s=0.0, charts=_charts(result.steps)),
        result=result,
        steps=sorted(enumerate(result.steps, start=1), key=lambda pair: (pair[1].tps, pair[0])),
        words=wording,
    )


def write(result: CapacityResult, folder: Path) -> Path:
    """Write `capacity.html` into a folder, whole or not at all; its path. Raises `OSError`."""
    write_whole(render(result), folder / PAGE)
    return folder / PAGE


def _charts(steps: Sequence[Step]) -> list[Chart]:
    """Throughput and latency over the offered rate; of a rate that was tried again the mean."""
    ordered = sorted(steps, key=lambda step: step.tps)
    at = [(tps, list(tried)) for tps, tried in groupby(ordered, key=lambda step: step.tps)]
    rates = [tps for tps, _ in at]

    def mean(value: Callable[[Step], float | None]) -> list[float | None]:
        told = [[each for step in tried if (each := value(step)) is not None] for _, tried in at]
        return [short(fmean(values)) if values else None for values in told]

    return [
        Chart(
            id="throughput",
            title="Completed against offered",
            unit="per_s",
            counts="transactions/s",
            axis="rate",
            t=rates,
            lines=[
                Line(key="planned", label="offered", values=[short(tps) for tps in rates]),
                Line(
                    key="completed",
                    label="completed",
                    values=mean(lambda step: step.completed_tps if step.counted else None),
                ),
            ],
        ),
        Chart(
            id="latency",
            title="Response time against offered",
            unit="ms",
            counts="response time",
            log=True,
            axis="rate",
            t=rates,
            lines=[
                Line(key="p50", label="p50", values=mean(lambda step: step.response_ms.p50)),
                Line(key="p99", label="p99", values=mean(lambda step: step.response_ms.p99)),
                Line(key="p99-9", label="p99.9", values=mean(lambda step: step.response_ms.p99_9)),
            ],
        ),
    ]
