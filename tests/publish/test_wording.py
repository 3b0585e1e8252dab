"""Figures and verdicts in words."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.judge.drift import Trend
from loadtest.measure.run_result import Audit, Endpoint, Evidence, Quantiles, RunResult, SloResult
from loadtest.publish import wording
from tests.publish.sample_result import a_failed_run, an_empty_run


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (0, "0 ms"),
        (0.05, "50.0 µs"),
        (0.9994, "999 µs"),
        (0.9996, "1.00 ms"),
        (12.34, "12.3 ms"),
        (999.4, "999 ms"),
        (999.6, "1.00 s"),
        (96_000, "96.0 s"),
    ],
)
def test_a_latency_has_three_digits_in_the_unit_that_suits_it(ms: float, words: str) -> None:
    assert wording.latency(ms) == words


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0, "0%"),
        (1, "100%"),
        (0.0002, "0.02%"),
        (0.146, "14.6%"),
        (0.99996, "99.996%"),
        (0.9999999, "99.99999%"),
        (1e-9, "<0.0001%"),
        (1.25, "125%"),
    ],
)
def test_a_share_keeps_the_digits_that_matter(share: float, words: str) -> None:
    assert wording.percent(share) == words


@given(st.integers(1, 10**7).flatmap(lambda whole: st.tuples(st.integers(1, whole), st.just(whole + 1))))
def test_rounding_never_makes_a_share_all_or_nothing(part_and_whole: tuple[int, int]) -> None:
    part, whole = part_and_whole
    assert wording.percent(part / whole) not in ("0%", "100%", "100.0%")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(45, "45 s"), (60, "1 min"), (90, "1 min 30 s"), (7500, "2 h 5 min"), (0.5, "0.5 s")],
)
def test_a_duration_is_written_as_people_say_it(seconds: float, words: str) -> None:
    assert wording.duration(seconds) == words


@pytest.mark.parametrize(
    ("iso", "words"),
    [
        ("2026-11-11T15:59:50Z", "2026-11-11 15:59:50 UTC"),
        ("2026-11-12T00:00:01.757+08:00", "2026-11-11 16:00:01 UTC"),
        ("yesterday", "yesterday"),
    ],
)
def test_an_instant_is_told_in_utc(iso: str, words: str) -> None:
    assert wording.instant(iso) == words


def test_a_nested_setting_reads_without_brackets() -> None:
    assert wording.setting({"shop:Order": 1.0, "shop:Page": [0.5, "x"]}) == "shop:Order: 1, shop:Page: 0.5, x"


def test_the_record_is_named_beside_a_rate() -> None:
    assert wording.share_of_record(5830) == "1% of 583,000"


@pytest.mark.parametrize(
    ("asked", "noun"),
    [
        (["POST /parcels", "POST /parcels/[id]/events @ east"], "parcel"),
        (["POST /parcels @ east"], "parcel"),
        (["POST /parcels", "POST /orders @ east"], "order"),
        (["GET /products/{sku}"], "transaction"),
        ([], "transaction"),
    ],
)
def test_a_transaction_is_called_what_the_run_sent(asked: list[str], noun: str) -> None:
    result = a_failed_run()
    some_endpoint = next(iter(result.endpoints.values()))
    result.endpoints = dict.fromkeys(asked, some_endpoint)
    assert wording.transaction(result) == noun


def test_a_failed_run_names_each_missed_objective_with_what_was_seen() -> None:
    head = wording.headline(a_failed_run())
    assert (head.word, head.sentence) == ("FAIL", "2 of 5 objectives missed.")
    assert head.reasons[0].startswith("p99.9(POST /orders) < 250ms: observed 1,1")


def test_an_objective_without_data_says_why() -> None:
    result = a_failed_run()
    missed = SloResult(expr="p99(GET /x) < 1s", observed=None, passed=False, note="no requests to GET /x")
    result.slo = [missed]
    assert wording.headline(result).reasons == ["p99(GET /x) < 1s: failed, no requests to GET /x."]
    assert wording.how_missed(missed) == "Failed: no requests to GET /x"


def test_an_objective_that_nobody_wrote_is_called_implicit() -> None:
    result = some_errors()
    result.slo = [SloResult(expr="errors(*) < 1%", observed=3.0, passed=False, source="implicit")]
    assert wording.headline(result).reasons == [
        "errors(*) < 1% (implicit): observed 3%.",
        "The most frequent error is status-503: 1% of the requests to POST /orders.",
    ]
    result.verdict, result.slo[0].passed = "PASS", True
    assert wording.headline(result).sentence.startswith(
        "No objective was set, the 1 that every run has was met, the load generator kept to its plan"
    )


def test_what_the_target_or_the_script_did_stands_beside_every_verdict() -> None:
    for verdict in ("PASS", "FAIL", "INVALID", "ABORTED", "AUDIT"):
        result = a_failed_run()
        result.verdict, result.findings = verdict, ["3 requests were never answered"]
        assert "3 requests were never answered" in wording.headline(result).reasons


def some_errors() -> RunResult:
    result = a_failed_run()
    result.endpoints["POST /orders"].requests = 400
    result.endpoints["POST /orders"].errors = {"status-503": 4, "reset": 1}
    result.endpoints["POST /orders"].evidence = {
        "status-503": Evidence(
            count=4,
            first_s=1.0,
            last_s=19.84,
            per_second=[(1.0, 3), (19.0, 1)],
            status=503,
            body='{"error":\n "no room"}',
            request="POST /orders",
        )
    }
    for other in ("GET /products/{sku}", "GET /orders/{id}"):
        result.endpoints[other].errors = {}
    return result


def test_an_error_is_shown_with_its_share_when_it_came_and_an_example() -> None:
    first, second = wording.error_rows(some_errors())
    assert (first.error, first.endpoint, first.failures, first.share) == (
        "status-503",
        "POST /orders",
        4,
        "1%",
    )
    assert first.when == "1-19.8 s"
    assert first.sample == 'POST /orders -> 503 body: {"error": "no room"}'
    assert (second.error, second.when, second.sample) == ("reset", "", "")


def test_a_pass_says_what_was_checked() -> None:
    result = a_failed_run()
    result.verdict, result.slo = "PASS", result.slo[2:]
    assert wording.headline(result).sentence == (
        "All 3 objectives were met, the load generator kept to its plan and every acknowledged order is stored."
    )


def test_a_verdict_of_a_later_version_is_refused_by_name() -> None:
    result = a_failed_run()
    result.verdict = "MAYBE"
    with pytest.raises(
        ValueError, match="verdict 'MAYBE': expected one of PASS, FAIL, INVALID, ABORTED, AUDIT"
    ):
        wording.headline(result)


def test_an_invalid_run_gives_its_reasons_and_claims_nothing_about_the_target() -> None:
    result = a_failed_run()
    result.verdict, result.validity.reasons = "INVALID", ["worker 2 was 34 ms late."]
    missed = wording.headline(result).reasons[1]
    assert missed.startswith("(not to be trusted) p99.9(POST /orders) < 250ms: observed 1,1")
    result.slo = []
    head = wording.headline(result)
    assert head.sentence == "The load generator fell behind, so these numbers cannot be trusted."
    assert head.reasons == ["worker 2 was 34 ms late."]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("memory_gib", 8, ("memory", "8 GiB")),
        ("peak_tps", 1500.0, ("peak", "1500/s")),
        ("patience_s", 10.0, ("patience", "10 s")),
        ("patience_s", "the plan's", ("patience s", "the plan's")),
        ("virtual_users", 600, ("virtual users", "600")),
    ],
)
def test_a_setting_has_its_unit_beside_its_value(key: str, value: object, said: tuple[str, str]) -> None:
    assert wording.labelled(key, value) == said


def test_an_aborted_run_says_when_and_why_once() -> None:
    result = an_empty_run()
    result.run.duration_s, result.events = (
        12.512,
        [(12.4, "aborted: it was stopped by Ctrl-C"), (3.0, "stalled")],
    )
    sentence = "The run ended early, after 12.5 s: it was stopped by Ctrl-C."
    assert wording.headline(result).sentence == sentence
    result.validity.reasons = [
        "stopped after 12.5 s: it was stopped by Ctrl-C",
        "worker 1 was late",
        "12.4 s: aborted: it was stopped by Ctrl-C",
    ]
    assert wording.headline(result) == wording.Headline("ABORTED", sentence, ["worker 1 was late"])


def test_an_aborted_run_that_hardly_began_says_so_and_how_its_objectives_stood() -> None:
    result = a_failed_run()
    result.verdict, result.run.duration_s = "ABORTED", 0.4
    assert not any("Too little" in reason for reason in wording.headline(result).reasons)
    result.endpoints = {
        "GET /": Endpoint(requests=11, failures=0, response_ms=Quantiles(), service_ms=Quantiles())
    }
    assert "Too little was played for percentiles: 11 requests in 0.4 s." in wording.headline(result).reasons
    met, missed, unseen = (
        SloResult(expr="errors(*) < 1%", observed=at, passed=at == 0) for at in (0, 1, None)
    )
    said = [wording.judged(slo, "ABORTED") for slo in (met, missed, unseen)]
    assert said == ["met so far", "missed so far", "not judged"]


def test_unbalanced_books_are_told_kind_by_kind() -> None:
    result = a_failed_run()
    result.verdict, result.slo = "AUDIT", []
    result.audit = Audit(
        acknowledged=10, stored=9, lost=1, duplicated=0, oversold=2, phantom=0, shadow_leaks=0
    )
    assert wording.headline(result).reasons == [
        "1 order acknowledged and not stored.",
        "2 orders sold beyond the stock.",
    ]


def test_an_audit_of_no_acknowledged_order_does_not_claim_that_every_one_is_stored() -> None:
    result = a_failed_run()
    result.verdict, result.slo = "PASS", []
    result.audit = Audit(
        acknowledged=0, stored=0, lost=0, duplicated=0, oversold=0, phantom=0, shadow_leaks=0
    )
    assert wording.audit(result) == f"passed: {wording.NONE_ACKNOWLEDGED}"
    assert wording.headline(result).sentence.endswith(f"and {wording.NONE_ACKNOWLEDGED}.")
    result.audit.acknowledged = result.audit.stored = 1
    assert wording.headline(result).sentence.endswith("and every acknowledged order is stored.")


def test_the_identities_hold_or_say_that_they_do_not() -> None:
    result = a_failed_run()
    assert all(holds for _, holds in wording.identities(result))
    result.arrivals.dropped += 1
    text, holds = wording.identities(result)[1]
    assert not holds
    assert "≠" in text


def test_journeys_are_not_counted_as_requests() -> None:
    result = a_failed_run()
    before = wording.total_requests(result)
    result.endpoints["arrival Shopper"] = result.endpoints["POST /orders"]
    assert wording.total_requests(result) == before


def test_the_endpoint_a_run_is_about_creates_orders_or_is_the_busiest() -> None:
    result = a_failed_run()
    main = wording.main_endpoint(result)
    assert main is not None
    assert main[0] == "POST /orders"
    orders = result.endpoints.pop("POST /orders")
    result.endpoints |= {"POST /orders @ east": orders, "POST /orders @ west": orders}
    regional = wording.main_endpoint(result)
    assert regional is not None
    assert (regional[0], regional[1].requests) == ("POST /orders", 2 * orders.requests)
    del result.endpoints["POST /orders @ east"], result.endpoints["POST /orders @ west"]
    main = wording.main_endpoint(result)
    assert main is not None
    assert main[0] == "GET /products/{sku}"
    assert wording.main_endpoint(an_empty_run()) is None


@pytest.mark.parametrize(
    ("metric", "value", "words"),
    [
        ("response_p99_ms", 12.34, "12.3 ms"),
        ("service_memory_bytes", 200 * 2**20, "200 MiB"),
        ("errors", 0.0002, "0.02%"),
        ("open_files", 42, "42.0"),
    ],
)
def test_a_gauge_is_written_by_the_unit_in_its_name(metric: str, value: float, words: str) -> None:
    assert wording.gauge(metric, value) == words


def test_a_slope_is_a_share_of_the_level_and_errors_move_by_points() -> None:
    memory = Trend("service_memory_bytes", 200.0, 2.0, 1.0, 3.0, bad_is_up=True, drifting=True)
    errors = replace(memory, metric="errors", level=0.0)
    assert wording.slope(memory, 2.0) == "+1.00%/h"
    assert wording.slope(errors, 0.0005) == "+0.05 points/h"


def test_an_objective_of_an_unknown_language_still_shows_its_number() -> None:
    assert wording.observed(SloResult(expr="tomorrow's grammar", observed=1.5, passed=True)) == "1.5"
