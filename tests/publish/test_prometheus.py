"""The master's metrics: what a scrape shows of a reading."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as to_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from loadtest.measure.exemplar import Exemplar, Exemplars
from loadtest.measure.histogram import Histogram
from loadtest.measure.run_result import RunInfo, SloResult
from loadtest.measure.second import EndpointSecond, Second
from loadtest.publish.cumulative import cumulative
from loadtest.publish.exposition import OPENMETRICS, TEXT, RunCollector, exposition
from loadtest.publish.prometheus import BOUNDS_S, FAMILIES
from loadtest.publish.reading import Reading, WorkerReading
from loadtest.publish.shown_endpoints import MAX_ENDPOINTS, OTHER_ENDPOINTS, endpoints
from loadtest.records import ARRIVAL

INFO = RunInfo(
    id="run-1",
    plan="smoke",
    started_at="2026-11-11T00:00:00Z",
    duration_s=60,
    seed=1,
    versions={},
    machine={},
    targets=["http://127.0.0.1:8080"],
)
Labels = tuple[tuple[str, str], ...]


def a_second(index: int, *latencies_us: int, name: str = "/orders") -> Second:
    second = Second(index, scheduled=len(latencies_us), started=len(latencies_us), ok=len(latencies_us))
    entry = EndpointSecond(requests=len(latencies_us))
    for latency_us in latencies_us:
        entry.response.record_us(latency_us)
        entry.service.record_us(latency_us // 2)
    second.endpoints["POST", name] = entry
    return second


def a_reading(total: Second, *recent: Second) -> Reading:
    return Reading(
        info=INFO,
        planned_tps=100.0,
        phase="steady",
        total=total,
        recent=recent or [total],
        in_flight=3,
        backlog=2,
        workers=[WorkerReading("worker 1", 0.25)],
        report_gaps=0,
        slo=[SloResult(expr="p99(*) < 1s", observed=0.5, passed=True)],
    )


def scraped(reading: Reading | None) -> dict[tuple[str, Labels], float]:
    """Samples by name and labels; the label `run` is left out."""
    text = exposition(lambda: reading).decode()
    return {
        (sample.name, tuple(sorted((k, v) for k, v in sample.labels.items() if k != "run"))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_before_the_first_run_there_is_nothing_to_scrape() -> None:
    assert exposition(lambda: None) == b""


def test_every_family_of_the_reference_is_exposed_with_the_run_as_a_label() -> None:
    reading = replace(a_reading(a_second(0, 1500)), over=True, verdict="PASS")
    text = exposition(lambda: reading).decode()
    for family in FAMILIES:
        assert f"# TYPE {family.name} {family.kind}" in text
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    assert all('run="run-1"' in line for line in samples)


def test_counters_tell_arrivals_requests_and_outcomes() -> None:
    total = a_second(0, 1000, 2000, 3000)
    total.failed, total.ok = 1, 2
    total.endpoints["POST", "/orders"].add_error("timeout")
    seen = scraped(a_reading(total))
    assert seen["loadtest_arrivals_total", (("state", "failed"),)] == 1
    assert seen["loadtest_requests_total", (("endpoint", "POST /orders"), ("outcome", "failed"))] == 1
    assert seen["loadtest_requests_total", (("endpoint", "POST /orders"), ("outcome", "ok"))] == 2
    assert seen["loadtest_worker_cpu_ratio", (("worker", "worker 1"),)] == 0.25


def test_a_journey_has_latencies_but_is_not_counted_as_a_request() -> None:
    total = a_second(0, 1000)
    total.endpoints[ARRIVAL, "Checkout"] = EndpointSecond(requests=1)
    seen = scraped(a_reading(total))
    assert ("loadtest_response_seconds_count", (("endpoint", "arrival Checkout"),)) in seen
    assert not any(name == "loadtest_requests_total" and "Checkout" in str(labels) for name, labels in seen)


def test_quantiles_are_of_the_recent_seconds_and_exact_over_all_of_them() -> None:
    old, new, newer = a_second(0, 900_000), a_second(20, 1000), a_second(21, *[2000] * 98, 50_000)
    total = Second(0)
    for second in (old, new, newer):
        total.add(second)
    seen = scraped(a_reading(total, new, newer))
    key = (("endpoint", "POST /orders"), ("quantile", "0.99"))
    assert math.isclose(seen["loadtest_response_quantile_seconds", key], 0.002, rel_tol=0.008)
    key = (("endpoint", "POST /orders"), ("quantile", "0.9999"))
    assert math.isclose(seen["loadtest_response_quantile_seconds", key], 0.05, rel_tol=0.008)
    for quantile, value_s in (("0", 0.001), ("1", 0.05)):
        key = (("endpoint", "POST /orders"), ("quantile", quantile))
        assert math.isclose(seen["loadtest_response_quantile_seconds", key], value_s, rel_tol=0.008)


def test_response_times_of_what_failed_are_told_apart_once_something_has() -> None:
    total = a_second(0, 1000, 9000)
    name = "loadtest_failed_response_seconds_count", (("endpoint", "POST /orders"),)
    assert name not in scraped(a_reading(total))
    total.endpoints["POST", "/orders"].failures_only().record_us(9000)
    seen = scraped(a_reading(total))
    assert seen[name] == 1
    assert seen["loadtest_response_seconds_count", name[1]] == 2


def test_rates_are_of_the_newest_second_that_everybody_has_reported_and_nought_at_the_end() -> None:
    older, full, partly = a_second(1), a_second(2), a_second(3)
    older.transactions_ok, full.transactions_ok, partly.transactions_ok = 90, 100, 40
    full.transactions_started = 101
    reading = a_reading(a_second(0, 1), older, full, partly)
    seen = scraped(reading)
    assert seen["loadtest_completed_tps", ()] == 100
    assert seen["loadtest_started_tps", ()] == 101
    assert scraped(replace(reading, over=True))["loadtest_completed_tps", ()] == 0
    assert scraped(a_reading(a_second(0, 1)))["loadtest_completed_tps", ()] == 0


def test_an_objective_without_data_is_absent_while_the_run_goes_on_and_missed_at_its_end() -> None:
    unknown = [SloResult(expr="p99(*) during spike < 1s", observed=None, passed=False)]
    live = replace(a_reading(a_second(0, 1)), slo=unknown)
    assert not any(name == "loadtest_slo_ok" for name, _ in scraped(live))
    key = (("expr", "p99(*) during spike < 1s"),)
    assert scraped(replace(live, over=True))["loadtest_slo_ok", key] == 0


@pytest.mark.parametrize(
    ("expr", "limit", "measure", "endpoint"),
    [
        ("p99.9(POST /orders) < 250ms", 0.25, "p99.9", "POST /orders"),
        ("errors(*) < 0.1%", 0.001, "errors", "*"),
        ("goodput > 100tps", 100, "goodput", ""),
        ("dropped == 0", 0, "dropped", ""),
        ("max(GET /x) < 1.5s during spike", 1.5, "max", "GET /x"),
    ],
)
def test_an_objectives_limit_is_exposed_in_base_units(
    expr: str, limit: float, measure: str, endpoint: str
) -> None:
    reading = replace(a_reading(a_second(0, 1)), slo=[SloResult(expr=expr, observed=1.0, passed=True)])
    key = (("endpoint", endpoint), ("expr", expr), ("measure", measure))
    assert scraped(reading)["loadtest_slo_limit", key] == pytest.approx(limit)


def test_an_objective_that_cannot_be_read_has_no_limit() -> None:
    reading = replace(
        a_reading(a_second(0, 1)), slo=[SloResult(expr="of tomorrow", observed=1.0, passed=True)]
    )
    assert not any(name == "loadtest_slo_limit" for name, _ in scraped(reading))


def test_when_a_run_began_how_long_it_plays_and_its_verdict_at_the_end() -> None:
    live = a_reading(a_second(0, 1))
    seen = scraped(live)
    assert seen["loadtest_run_started_timestamp_seconds", ()] == 1794355200
    assert seen["loadtest_run_duration_seconds", ()] == 60
    assert not any(name == "loadtest_verdict" for name, _ in seen)
    ended = scraped(replace(live, over=True, verdict="FAIL"))
    assert ended["loadtest_verdict", (("verdict", "FAIL"),)] == 1


def test_endpoints_beyond_the_bound_share_one_label_and_nothing_is_lost() -> None:
    total = Second(0)
    for number in range(MAX_ENDPOINTS + 5):
        total.add(a_second(0, 1000, name=f"/orders/{number}"))
    kept = endpoints(total)
    assert len(kept) == MAX_ENDPOINTS + 1
    assert kept[OTHER_ENDPOINTS].requests == 5
    assert sum(endpoint.requests for endpoint in kept.values()) == MAX_ENDPOINTS + 5


def test_a_scrape_leaves_the_books_as_they_were() -> None:
    total = Second(0)
    for number in range(MAX_ENDPOINTS + 2):
        total.add(a_second(0, 1000, name=f"/orders/{number}"))
    before = {key: endpoint.response.count for key, endpoint in total.endpoints.items()}
    exposition(lambda: a_reading(total))
    exposition(lambda: a_reading(total))
    assert {key: endpoint.response.count for key, endpoint in total.endpoints.items()} == before


def test_a_run_of_twenty_workers_and_four_endpoints_has_fewer_than_500_series() -> None:
    total = Second(0)
    for number in range(4):
        total.add(a_second(0, 1000, name=f"/{number}"))
    workers = [WorkerReading(f"worker {n}", 0.5) for n in range(20)]
    assert len(scraped(replace(a_reading(total), workers=workers))) < 500


@given(st.lists(st.integers(1, 30_000_000), max_size=60))
def test_buckets_never_shrink_and_count_a_value_below_a_bound_only_if_it_is(values_us: list[int]) -> None:
    histogram = Histogram()
    for value_us in values_us:
        histogram.record_us(value_us)
    buckets = cumulative(histogram, BOUNDS_S)
    counts = [count for _, count in buckets]
    assert counts == sorted(counts)
    assert buckets[-1] == ("+Inf", float(len(values_us)))
    for bound_s, count in zip(BOUNDS_S, counts, strict=False):
        assert count <= sum(value_us <= bound_s * 1e6 for value_us in values_us)
        assert count >= sum(value_us <= bound_s * 1e6 / 1.008 for value_us in values_us)


def test_openmetrics_shows_a_trace_on_the_bucket_it_stands_for_and_the_same_values() -> None:
    reading = replace(a_reading(a_second(0, 700, 1500)), exemplars=Exemplars())
    reading.exemplars.offer(
        Exemplar("POST /orders", 1500, "0af7651916cd43dd8448eb211c80319c", 1_700_000_000_250)
    )
    page = exposition(lambda: reading, OPENMETRICS).decode()
    families = list(parse_openmetrics(page))  # type: ignore[no-untyped-call]  # prometheus-client's
    [shown] = [s for family in families for s in family.samples if s.exemplar]
    assert (shown.name, shown.labels["le"]) == ("loadtest_response_seconds_bucket", "0.0025")
    assert shown.exemplar is not None
    assert shown.exemplar.labels == {"trace_id": "0af7651916cd43dd8448eb211c80319c"}
    assert (shown.exemplar.value, float(shown.exemplar.timestamp)) == (0.0015, 1_700_000_000.25)
    values = {(s.name, tuple(sorted(s.labels.items()))): s.value for f in families for s in f.samples}
    text = exposition(lambda: reading).decode()
    assert "trace_id" not in text
    assert values == {
        (s.name, tuple(sorted(s.labels.items()))): s.value
        for f in text_string_to_metric_families(text)
        for s in f.samples
    }


@pytest.mark.parametrize("content_type", [TEXT, OPENMETRICS])
def test_a_page_written_in_pieces_is_the_one_that_the_library_writes_in_one(content_type: str) -> None:
    total = Second(0)
    for number in range(MAX_ENDPOINTS + 2):
        total.add(a_second(0, 1000, 20_000, name=f"/{number}"))
    write = generate_latest if content_type == TEXT else to_openmetrics
    pauses: list[int] = []
    page = exposition(lambda: a_reading(total), content_type, lambda: pauses.append(1))
    assert page == write(RunCollector(lambda: a_reading(total)))
    assert len(pauses) > len(FAMILIES)
    empty = replace(a_reading(Second(0)), workers=[], slo=[], phase="")
    assert exposition(lambda: empty, content_type) == write(RunCollector(lambda: empty))


def test_the_states_of_arrivals_are_of_one_instant_whatever_is_reported_in_a_pause() -> None:
    total = a_second(0, 1000)

    def report_more() -> None:
        total.add(a_second(1, 1000))

    page = exposition(lambda: a_reading(total), pause=report_more).decode()
    [arrivals] = [f for f in text_string_to_metric_families(page) if f.name == "loadtest_arrivals"]
    counted = {sample.labels["state"]: sample.value for sample in arrivals.samples}
    assert counted["scheduled"] == counted["started"] == counted["ok"] > 1
