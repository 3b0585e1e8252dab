"""The page that is filled in is the page that prometheus-client writes."""

import asyncio
import gzip
from collections.abc import Awaitable
from random import Random

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as to_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from target_service.metrics import (
    BLOCK_SLOTS,
    COUNT_SLOTS,
    REQUEST_SECONDS,
    Block,
    Supervision,
    registry_of,
)
from target_service.metrics_page import FRESH_S, OPENMETRICS, TEXT, MetricsPage, PageCache, metrics_handler


def block_of(seed: int | None) -> Block:
    """A block full of random counts, or an empty one."""
    memory = memoryview(bytearray(BLOCK_SLOTS * 8)).cast("d")
    if seed is not None:
        dice = Random(seed)
        for place in range(COUNT_SLOTS):
            memory[place] = float(dice.choice([0, 1, 17, 10**6, 10**12, dice.randrange(2**40)]))
        for values in dice.sample(REQUEST_SECONDS.values, 4):
            for _ in range(6):
                seconds = dice.expovariate(3)
                Block(memory).traced(REQUEST_SECONDS, *values).exemplify(
                    seconds, f"{dice.getrandbits(128):032x}"
                )
    return Block(memory)


def parsed(page: bytes, openmetrics: bool) -> list[Metric]:
    if openmetrics:
        return list(parse_openmetrics(page.decode()))  # type: ignore[no-untyped-call]  # prometheus-client's
    return list(text_string_to_metric_families(page.decode()))


def checked(registry: CollectorRegistry, page: MetricsPage) -> None:
    openmetrics: bytes = to_openmetrics(registry)  # type: ignore[no-untyped-call]  # prometheus-client's
    assert parsed(page.text(TEXT), False) == parsed(generate_latest(registry), False)
    assert parsed(page.text(OPENMETRICS), True) == parsed(openmetrics, True)
    assert page.text(OPENMETRICS).count(b" # {trace_id=") == openmetrics.count(b" # {trace_id=")


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 2**32), min_size=1, max_size=3))
def test_any_counts_of_any_workers_are_shown_as_the_library_shows_them(seeds: list[int]) -> None:
    blocks = [block_of(seed) for seed in seeds]
    supervision = Supervision()
    page = MetricsPage(blocks, supervision)
    supervision.restarts = 3
    checked(registry_of(blocks, supervision), page)


def test_before_anything_was_counted_the_page_has_every_series_at_zero() -> None:
    blocks = [block_of(None)]
    checked(registry_of(blocks, Supervision()), MetricsPage(blocks, Supervision()))


def test_exemplars_are_in_openmetrics_only() -> None:
    blocks = [block_of(1), block_of(2)]
    page = MetricsPage(blocks, Supervision())
    shown = [
        sample.exemplar
        for metric in parsed(page.text(OPENMETRICS), True)
        for sample in metric.samples
        if sample.exemplar
    ]
    there = [found for block in blocks for found in block.exemplars.present().values()]
    assert {exemplar.labels["trace_id"] for exemplar in shown} <= {found.trace_id for found in there}
    assert len(shown) >= 8
    assert b"trace_id" not in page.text(TEXT)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.integers(0, COUNT_SLOTS - 1), max_size=5), st.integers(1, 2**40))
def test_a_page_asked_for_again_shows_whatever_has_changed_since(
    seed: int, places: list[int], amount: int
) -> None:
    memory = memoryview(bytearray(BLOCK_SLOTS * 8)).cast("d")
    blocks = [Block(memory), block_of(seed)]
    page = MetricsPage(blocks, Supervision())
    checked(registry_of(blocks, Supervision()), page)
    for place in places:
        memory[place] += amount
        checked(registry_of(blocks, Supervision()), page)


def test_a_newer_exemplar_of_the_same_bucket_is_shown_though_no_number_has_changed() -> None:
    block = block_of(None)
    page = MetricsPage([block], Supervision())
    traced = block.traced(REQUEST_SECONDS, *REQUEST_SECONDS.values[0])
    for trace_id in ("a" * 32, "b" * 32):
        traced.exemplify(0.01, trace_id)
        assert page.text(OPENMETRICS).count(b'trace_id="%s"' % trace_id.encode()) == 1


@pytest.mark.parametrize("asked", ["gzip", "deflate, gzip;q=0.5", ""])
def test_the_page_is_packed_for_who_can_unpack_it(asked: str) -> None:
    page = MetricsPage([block_of(1)], Supervision())
    scrape = metrics_handler(page, CollectorRegistry())
    request = make_mocked_request("GET", "/metrics", headers={"Accept-Encoding": asked})
    response = asyncio.run(_answered(scrape(request)))
    assert isinstance(response, web.Response)
    assert isinstance(response.body, bytes)
    assert (response.headers.get("Content-Encoding") == "gzip") == bool(asked)
    assert (gzip.decompress(response.body) if asked else response.body) == page.text(TEXT)


def test_who_asks_again_while_a_page_is_fresh_gets_the_same_bytes_and_then_new_ones() -> None:
    now_s = 100.0
    page, memory = counted_page()
    cache = PageCache(page, lambda: now_s)

    def got(*, anew: bool = False) -> bytes:
        memory[0] += 1
        return cache.get(TEXT, in_gzip=False, anew=anew)

    first = got()
    now_s += FRESH_S - 0.01
    assert got() == first
    now_s += 0.02
    second = got()
    assert second != first
    assert got() == second
    assert got(anew=True) != second


def test_a_page_is_kept_for_each_form_it_is_asked_in() -> None:
    page, memory = counted_page()
    cache = PageCache(page, lambda: 0.0)
    plain = cache.get(TEXT, in_gzip=False)
    memory[0] += 1
    packed = cache.get(TEXT, in_gzip=True)
    assert gzip.decompress(packed) == page.text(TEXT) != plain
    assert cache.get(OPENMETRICS, in_gzip=False) == page.text(OPENMETRICS)


@pytest.mark.parametrize(
    ("query", "is_whole"),
    [("", True), ("?x=1", True), ("?name[]=", True), ("?name[]=orders_in_flight", False)],
)
def test_a_scrape_may_choose_metrics_by_name(query: str, is_whole: bool) -> None:
    blocks = [block_of(1)]
    scrape = metrics_handler(MetricsPage(blocks, Supervision()), registry_of(blocks, Supervision()))
    response = asyncio.run(_answered(scrape(make_mocked_request("GET", f"/metrics{query}"))))
    assert isinstance(response, web.Response)
    assert isinstance(response.body, bytes)
    assert b"orders_in_flight" in response.body
    assert (b"orders_created_total" in response.body) == is_whole


def counted_page() -> tuple[MetricsPage, "memoryview[float]"]:
    """A page, and the memory that its numbers are read from."""
    memory = memoryview(bytearray(BLOCK_SLOTS * 8)).cast("d")
    return MetricsPage([Block(memory)], Supervision()), memory


async def _answered(response: Awaitable[web.StreamResponse]) -> web.StreamResponse:
    return await response
