"""The page that a scraper gets: its exemplars, its packing, and how long it is kept."""

import asyncio
import gzip
from random import Random

import pytest
from multidict import CIMultiDict
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from yarl import URL

from target_service.api.operation import ApiRequest
from target_service.metrics import (
    BLOCK_SLOTS,
    FAMILIES,
    REQUEST_SECONDS,
    Block,
)
from target_service.metrics_page import FRESH_S, OPENMETRICS, MetricsPage, page_of, registry_of
from target_service.response import ApiResponse


def block_of(seed: int | None) -> Block:
    """A block full of random counts, or an empty one."""
    memory = memoryview(bytearray(BLOCK_SLOTS * 8)).cast("d")
    if seed is not None:
        dice = Random(seed)
        for family in FAMILIES:
            for values in family.values:
                slots = Block(memory).slots(family, *values)
                for place in range(family.counts):
                    slots[place] = float(dice.choice([0, 1, 17, 10**6, 10**12, dice.randrange(2**40)]))
        for values in dice.sample(REQUEST_SECONDS.values, 4):
            for _ in range(6):
                seconds = dice.expovariate(3)
                Block(memory).histogram(REQUEST_SECONDS, *values).exemplify(
                    seconds, f"{dice.getrandbits(128):032x}"
                )
    return Block(memory)


def test_exemplars_are_in_openmetrics_only() -> None:
    blocks = [block_of(1), block_of(2)]
    registry = registry_of(blocks)
    openmetrics = page_of(registry, OPENMETRICS)
    shown = [
        sample.exemplar
        for metric in parse_openmetrics(openmetrics.decode())  # type: ignore[no-untyped-call]  # prometheus-client's
        for sample in metric.samples
        if sample.exemplar
    ]
    there = [
        found
        for block in blocks
        for values in REQUEST_SECONDS.values
        for found in block.exemplars(REQUEST_SECONDS, *values).values()
    ]
    assert {exemplar.labels["trace_id"] for exemplar in shown} <= {found.trace_id for found in there}
    assert len(shown) >= 8
    assert b"trace_id" not in page_of(registry)


@pytest.mark.parametrize("asked", ["gzip", "deflate, gzip;q=0.5", ""])
def test_the_page_is_packed_for_who_can_unpack_it(asked: str) -> None:
    registry = registry_of([block_of(1)])
    response = served(MetricsPage(registry), {"Accept-Encoding": asked})
    assert (response.headers.get("Content-Encoding") == "gzip") == bool(asked)
    body = response.body
    assert (gzip.decompress(body) if asked else body) == page_of(registry)


def test_who_asks_again_while_a_page_is_fresh_gets_the_same_bytes_and_then_new_ones() -> None:
    now_s = 100.0
    registry, memory = counted_page()
    page = MetricsPage(registry, lambda: now_s)

    def got(control: str = "") -> bytes:
        memory[0] += 1
        return served(page, {"Cache-Control": control}).body

    first = got()
    now_s += FRESH_S - 0.01
    assert got() == first
    now_s += 0.02
    second = got()
    assert second != first
    assert got() == second
    assert got("no-cache") != second


def test_a_page_is_kept_for_each_form_it_is_asked_in() -> None:
    registry, memory = counted_page()
    page = MetricsPage(registry, lambda: 0.0)
    plain = served(page, {}).body
    memory[0] += 1
    packed = served(page, {"Accept-Encoding": "gzip"}).body
    assert gzip.decompress(packed) == page_of(registry) != plain
    openmetrics = served(page, {"Accept": "application/openmetrics-text; version=1.0.0"})
    assert openmetrics.body == page_of(registry, OPENMETRICS)


@pytest.mark.parametrize(
    ("query", "is_whole"),
    [("", True), ("?x=1", True), ("?name[]=", True), ("?name[]=orders_in_flight", False)],
)
def test_a_scrape_may_choose_metrics_by_name(query: str, is_whole: bool) -> None:
    body = served(MetricsPage(registry_of([block_of(1)])), {}, query).body
    assert b"orders_in_flight" in body
    assert (b"orders_created_total" in body) == is_whole


def served(page: MetricsPage, headers: dict[str, str], query: str = "") -> ApiResponse:
    asked = URL(f"/metrics{query}").query
    return asyncio.run(page.serve(ApiRequest("", {}, asked, CIMultiDict(headers), None, None, None)))


def counted_page() -> tuple[CollectorRegistry, "memoryview[float]"]:
    """Metrics, and the memory that their numbers are read from."""
    memory = memoryview(bytearray(BLOCK_SLOTS * 8)).cast("d")
    return registry_of([Block(memory)]), memory
