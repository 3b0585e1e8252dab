"""The table of regions: shares, the way to the service, and times with it and without."""

import re

import pytest

from loadtest.measure.histogram import Histogram
from loadtest.measure.run_result import Arrivals, Audit, Endpoint, RunInfo, RunResult, Transactions
from loadtest.publish import html
from loadtest.publish.regions import ALL, HEADINGS, regions, residency
from loadtest.records import in_region


def asked_from(requests: int, way_ms: float) -> Endpoint:
    response, service = Histogram(), Histogram()
    for _ in range(requests):
        service.record_us(10_000)
        response.record_us(round(10_000 + 1000 * way_ms))
    return Endpoint(
        requests=requests,
        failures=0,
        errors={},
        response_ms=response.quantiles(),
        service_ms=service.quantiles(),
        response_buckets=response.buckets(),
        service_buckets=service.buckets(),
    )


def plain() -> RunResult:
    return RunResult(
        run=RunInfo(
            id="x",
            plan="smoke",
            started_at="2026-11-11T15:59:50Z",
            duration_s=2.0,
            seed=1,
            versions={},
            machine={},
        ),
        arrivals=Arrivals(planned=100, scheduled=100, started=100, ok=100),
        transactions=Transactions(count=100, peak_tps=50.0, mean_tps=50.0),
    )


def regional() -> RunResult:
    run = plain()
    for region, requests, way_ms in (("far", 25, 200.0), ("<near>", 75, 2.0)):
        run.endpoints[in_region("POST /checkouts", region)] = asked_from(requests, way_ms)
    return run


def test_each_region_has_its_share_its_way_and_times_with_and_without_it() -> None:
    (table,) = regions(regional())
    assert table.endpoint == "POST /checkouts"
    cells = {name: dict(zip(HEADINGS, row, strict=True)) for name, row in table.rows}
    assert list(cells) == ["<near>", "far", ALL]
    assert [cells[name]["share"] for name in cells] == ["75%", "25%", "100%"]
    assert float(cells["far"]["way"].removesuffix(" ms")) == pytest.approx(200, rel=0.02)
    assert float(cells["far"]["p99"].removesuffix(" ms")) == pytest.approx(210, rel=0.02)
    assert float(cells["far"]["service p99"].removesuffix(" ms")) == pytest.approx(10, rel=0.02)
    assert float(cells[ALL]["p50"].removesuffix(" ms")) == pytest.approx(12, rel=0.02)
    assert float(cells[ALL]["p99"].removesuffix(" ms")) == pytest.approx(210, rel=0.02)


def test_a_report_has_regions_only_if_the_run_has_them() -> None:
    assert '<section id="regions">' not in html.render(plain())
    shown = html.render(regional())
    section = re.search(r'<section id="regions">.*?</section>', shown, re.DOTALL)
    assert section is not None
    assert "&lt;near&gt;" in section[0]
    assert residency(regional()) in section[0]


@pytest.mark.parametrize(
    ("misplaced", "said"),
    [
        (0, "no order that says where it was placed is stored for another region"),
        (1, "1 order is stored for another region than placed in"),
        (7, "7 orders are stored for another region than placed in"),
    ],
)
def test_whether_orders_lie_where_they_were_placed_is_said(misplaced: int, said: str) -> None:
    run = regional()
    audited = Audit(acknowledged=9, stored=9, lost=0, duplicated=0, oversold=0, phantom=0, shadow_leaks=0)
    audited.misplaced = misplaced
    run.audit = audited
    assert residency(run) == said
    run.audit = None
    assert residency(run).startswith("data residency was not audited: ")
