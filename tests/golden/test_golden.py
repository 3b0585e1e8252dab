"""What people and programs get, byte for byte: a change of these files is a change for them, and is reviewed.

`UPDATE_GOLDEN=1 pytest tests/golden` writes them anew.
"""

import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from loadtest.measure.histogram import Histogram
from loadtest.measure.run_result import (
    Arrivals,
    Audit,
    Endpoint,
    Generator,
    Quantiles,
    RunInfo,
    RunResult,
    SloResult,
    TimelinePoint,
    Transactions,
)
from loadtest.publish import console_verdict, junit, summary
from loadtest.publish.schema import result_schema
from loadtest.records import in_region

EXPECTED = Path(__file__).parent / "expected"


def small_run() -> RunResult:
    """A run of two seconds, written by hand."""
    response = Quantiles(
        count=30, p50=2.0, p90=4.0, p95=5.0, p99=40.0, p99_9=310.0, p99_99=310.0, max=312.5, mean=9.0
    )
    service = Quantiles(
        count=30, p50=1.9, p90=3.0, p95=4.0, p99=5.0, p99_9=6.0, p99_99=6.0, max=6.1, mean=2.0
    )
    return RunResult(
        run=RunInfo(
            id="20261111T155950Z-smoke",
            plan="smoke",
            started_at="2026-11-11T15:59:50Z",
            duration_s=2.0,
            seed=7,
            versions={"singlesday": "0.2.0"},
            machine={"cores": 2},
            targets=["http://127.0.0.1:8080"],
        ),
        arrivals=Arrivals(planned=32, scheduled=32, started=30, dropped=2, ok=29, failed=1),
        transactions=Transactions(count=29, peak_tps=20.0, mean_tps=14.5),
        endpoints={
            "POST /orders": Endpoint(
                requests=30, failures=1, errors={"status-503": 1}, response_ms=response, service_ms=service
            )
        },
        generator=Generator(workers=1),
        timeline=[TimelinePoint(t_s=0.0), TimelinePoint(t_s=1.0)],
        slo=[
            SloResult(expr="p99.9(POST /orders) < 250ms", observed=310.0, passed=False),
            SloResult(expr="started_rate > 90%", observed=93.75, passed=True),
            SloResult(expr="p99(GET /x) < 1s", observed=None, passed=False, note="no requests to GET /x"),
        ],
        audit=Audit(acknowledged=29, stored=29, lost=0, duplicated=0, oversold=0, phantom=0, shadow_leaks=0),
        verdict="FAIL",
        exit_code=10,
    )


def regional_run() -> RunResult:
    """The same run, asked from a region that is near and one that is far."""
    run = small_run()
    whole = run.endpoints.pop("POST /orders")
    for region, requests, rtt_ms in (("hangzhou", 27, 2.0), ("virginia", 3, 220.0)):
        histogram, served = Histogram(), Histogram()
        for number in range(requests):
            served.record_us(1900 + 50 * number)
            histogram.record_us(round(1900 + 50 * number + 1000 * rtt_ms))
        run.endpoints[in_region("POST /orders", region)] = Endpoint(
            requests=requests,
            failures=whole.failures if region == "hangzhou" else 0,
            errors=whole.errors if region == "hangzhou" else {},
            response_ms=histogram.quantiles(),
            service_ms=served.quantiles(),
            response_buckets=histogram.buckets(),
            service_buckets=served.buckets(),
        )
    return run


def terminal(run: RunResult) -> str:
    console = Console(file=io.StringIO(), width=100)
    console_verdict.print_verdict(run, Path("runs/20261111T155950Z-smoke/report.html"), console)
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


GOLDEN: dict[str, Callable[[], str]] = {
    "summary.md": lambda: summary.markdown(small_run()),
    "junit.xml": lambda: junit.render(small_run()),
    "verdict.txt": lambda: terminal(small_run()),
    "verdict_by_region.txt": lambda: terminal(regional_run()),
    "result.schema.json": lambda: json.dumps(result_schema(), indent=1) + "\n",
}


@pytest.mark.parametrize("name", list(GOLDEN))
def test_what_is_published_is_as_it_was(name: str) -> None:
    if os.environ.get("UPDATE_GOLDEN") == "1":
        (EXPECTED / name).write_text(GOLDEN[name](), encoding="utf-8")
    assert GOLDEN[name]() == (EXPECTED / name).read_text(encoding="utf-8")
