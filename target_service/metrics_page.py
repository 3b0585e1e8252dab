"""`/metrics` as text: the workers' numbers added up, drawn by prometheus-client, and kept for as long as it is fresh.

Supervisor and workers share the cores that serve orders. A page takes 3 ms to draw, in OpenMetrics 5; a request
within `FRESH_S` of a drawing gets the same bytes, so a second scraper, or one that asks too often, costs a copy.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from time import monotonic

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as to_openmetrics
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar as DrawnExemplar

from target_service.api.operation import ApiRequest
from target_service.metrics import FAMILIES, Block, Exemplar, Family, newest
from target_service.response import ApiResponse

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
GZIP = 16 + zlib.MAX_WBITS
"""zlib's way to say gzip."""
FRESH_S = 0.5
"""Shorter than any usual interval between two scrapes. `Cache-Control: no-cache` asks for a new page."""

_Bucket = tuple[str, float] | tuple[str, float, DrawnExemplar]
"""A bucket as prometheus-client takes it: its bound, its count, and maybe its exemplar."""


class SummedMetrics(Collector):
    """What a scrape sees: every series, added up over the workers."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self._blocks = blocks

    def collect(self) -> Iterator[Metric]:
        """All metrics as they are now."""
        return map(self._metric, FAMILIES)

    def _metric(self, family: Family) -> Metric:
        if family.kind == "histogram":
            histogram = HistogramMetricFamily(family.name, family.help, labels=family.labels)
            for values in family.values:
                *counts, total = self._sum(family, values)
                histogram.add_metric(values, self._buckets(family, values, counts), total)
            return histogram
        kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
        metric = kind(family.name, family.help, labels=family.labels)
        for values in family.values:
            metric.add_metric(values, self._sum(family, values)[0])
        return metric

    def _sum(self, family: Family, values: tuple[str, ...]) -> list[float]:
        return [
            sum(slot) for slot in zip(*(block.series(family, *values) for block in self._blocks), strict=True)
        ]

    def _buckets(self, family: Family, values: tuple[str, ...], counts: Sequence[float]) -> list[_Bucket]:
        """Cumulative counts, with the exemplars that stand for them."""
        of_workers = [block.exemplars(family, *values) for block in self._blocks if family.is_traced]
        exemplars = newest(of_workers)
        names = [*(str(float(bound)) for bound in family.bounds), "+Inf"]
        return [
            (name, count, _drawn(exemplars[number])) if number in exemplars else (name, count)
            for number, (name, count) in enumerate(zip(names, accumulate(counts), strict=True))
        ]


def _drawn(exemplar: Exemplar) -> DrawnExemplar:
    return DrawnExemplar({"trace_id": exemplar.trace_id}, exemplar.seconds, exemplar.at_s)


def registry_of(blocks: Sequence[Block]) -> CollectorRegistry:
    """A registry that holds these metrics and nothing else."""
    registry = CollectorRegistry(auto_describe=True)  # else it cannot pick metrics by name
    registry.register(SummedMetrics(blocks))
    return registry


def page_of(registry: Collector, content_type: str = TEXT) -> bytes:
    """All metrics as they are now."""
    if content_type == TEXT:
        return generate_latest(registry)
    page: bytes = to_openmetrics(registry)  # type: ignore[no-untyped-call]  # prometheus-client's
    return page


class MetricsPage:
    """The page in each form that it is asked in, for as long as that is fresh."""

    def __init__(self, registry: CollectorRegistry, now_s: Callable[[], float] = monotonic) -> None:
        self._registry = registry
        self._now_s = now_s
        self._kept: dict[tuple[str, bool], tuple[float, bytes]] = {}

    async def serve(self, request: ApiRequest) -> ApiResponse:
        """All metrics; a scrape that chooses some (`name[]=…`) gets a page of its own.

        The page is packed with little effort: level 6 saves another tenth and takes four times as long.
        """
        names = [name for name in request.query.getall("name[]", ()) if name]
        content_type = (
            OPENMETRICS if "application/openmetrics-text" in request.headers.get("Accept", "") else TEXT
        )
        in_gzip = "gzip" in request.headers.get("Accept-Encoding", "")
        made_s, body = self._kept.get((content_type, in_gzip), (float("-inf"), b""))
        anew = names or "no-cache" in request.headers.get("Cache-Control", "")
        if anew or self._now_s() - made_s >= FRESH_S:
            body = page_of(
                self._registry.restricted_registry(names) if names else self._registry, content_type
            )
            if in_gzip:
                body = zlib.compress(body, level=1, wbits=GZIP)
            if not names:
                self._kept[content_type, in_gzip] = (self._now_s(), body)
        return ApiResponse(200, body, {"Content-Encoding": "gzip"} if in_gzip else {}, content_type)
