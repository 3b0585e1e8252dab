"""`/metrics` as text, at a tenth of what building it from metric objects costs.

Every series is known beforehand, so prometheus-client writes the page once, and a scrape fills in the numbers: one
pass over the shared memory, half a millisecond. Format, names, labels and their escaping remain the library's; only
numbers are ours, and in OpenMetrics the exemplars behind them. It matters since supervisor and workers share the
cores that serve orders (`python -m benchmarks.service.effects scrape-service`). Whoever asks within `FRESH_S` of a
drawing gets the same bytes, so that a scraper gone wild, or a second one, costs a copy.
"""

import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from time import monotonic

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.aiohttp import make_aiohttp_handler
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as to_openmetrics
from prometheus_client.registry import Collector

from target_service.exemplars import Exemplar, newest
from target_service.metrics import FAMILIES, Block, SummedMetrics, Supervision

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
GZIP = 16 + zlib.MAX_WBITS
"""zlib's way to say gzip."""
FRESH_S = 0.5
"""Less than anybody's interval between two scrapes. `Cache-Control: no-cache` asks for a page of one's own."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _traced() -> Iterator[int]:
    """The numbers of the samples that can have an exemplar, by the number of `Block.exemplars`."""
    first = 0
    for family in FAMILIES:
        for _ in family.values:
            yield from range(first, first + family.records)
            first += family.slots + (family.kind == "histogram")  # which has its count besides its slots


_TRACED = tuple(_traced())


class _Numbered(Collector):
    """The samples of a collector, each with its number as its value."""

    def __init__(self, metrics: Collector) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        number = 0
        for metric in self._metrics.collect():
            for place, sample in enumerate(metric.samples):
                metric.samples[place] = sample._replace(value=float(number), exemplar=None)
                number += 1
            yield metric


class _Template:
    """A page as the library writes it, with gaps for the numbers."""

    def __init__(self, page: str) -> None:
        self._pieces: list[str] = []
        piece = ""
        for line in page.splitlines(keepends=True):
            if line.startswith("#"):
                piece += line
                continue
            series, number = line.rsplit(" ", 1)
            if int(float(number)) != len(self._pieces):
                raise RuntimeError(f"prometheus-client wrote {series} out of the order it collected it in")
            self._pieces.append(piece + series)
            piece = ""
        self._end = piece

    def filled(self, values: Sequence[float], exemplars: Mapping[int, Exemplar]) -> str:
        """The page with these numbers, and exemplars behind some of them, by the sample's number."""
        lines = [f"{piece} {value!r}\n" for piece, value in zip(self._pieces, values, strict=True)]
        for number, exemplar in exemplars.items():
            lines[number] = f"{lines[number][:-1]}{_written(exemplar)}\n"
        return "".join(lines) + self._end


def _written(exemplar: Exemplar) -> str:
    """As OpenMetrics has it behind a bucket's value."""
    return f' # {{trace_id="{exemplar.trace_id}"}} {exemplar.seconds!r} {exemplar.at_s!r}'


def samples_of(slots: Sequence[float]) -> Iterator[float]:
    """All samples in the library's order: of a histogram its cumulative buckets, count and sum."""
    at = 0
    for family in FAMILIES:
        for _ in family.values:
            raw = slots[at : at + family.slots]
            at += family.slots
            if family.kind == "histogram":
                cumulative = list(accumulate(raw[:-1]))
                yield from cumulative
                yield cumulative[-1]
                yield raw[-1]
            else:
                yield raw[0]


class MetricsPage:
    """The metrics of all workers in both formats."""

    def __init__(self, blocks: Sequence[Block], supervision: Supervision) -> None:
        self._blocks = blocks
        self._metrics = SummedMetrics(blocks, supervision)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Numbered(self._metrics))
        openmetrics: bytes = to_openmetrics(registry)  # type: ignore[no-untyped-call]  # prometheus-client's
        pages = {TEXT: generate_latest(registry).decode(), OPENMETRICS: openmetrics.decode()}
        self._templates = {content_type: _Template(page) for content_type, page in pages.items()}

    def text(self, content_type: str = TEXT) -> bytes:
        """The page as it is now."""
        slots = list(map(sum, zip(*(block.slots for block in self._blocks), strict=True)))
        values = [*samples_of(slots), *self._metrics.of_supervisor()]
        exemplars = self._exemplars() if content_type == OPENMETRICS else {}
        return self._templates[content_type].filled(values, exemplars).encode()

    def _exemplars(self) -> dict[int, Exemplar]:
        """Those there are, by the number of their bucket's sample."""
        found = newest(block.exemplars.present() for block in self._blocks)
        return {_TRACED[number]: exemplar for number, exemplar in found.items()}


class PageCache:
    """Pages as they go over the wire, by content type and whether in gzip, for as long as they are fresh."""

    def __init__(self, page: MetricsPage, now_s: Callable[[], float] = monotonic) -> None:
        self._page = page
        self._now_s = now_s
        self._kept: dict[tuple[str, bool], tuple[float, bytes]] = {}

    def get(self, content_type: str, *, in_gzip: bool, anew: bool = False) -> bytes:
        """The page, `FRESH_S` old at most, or drawn `anew`.

        Packed with little effort: level 6 saves another tenth and takes four times as long.
        """
        now_s = self._now_s()
        made_s, body = self._kept.get((content_type, in_gzip), (float("-inf"), b""))
        if anew or now_s - made_s >= FRESH_S:
            body = self._page.text(content_type)
            if in_gzip:
                body = zlib.compress(body, level=1, wbits=GZIP)
            self._kept[content_type, in_gzip] = (now_s, body)
        return body


def metrics_handler(page: MetricsPage, registry: CollectorRegistry) -> Handler:
    """Serves the page; some metrics of it (`name[]=…`) are the library's to answer from `registry`."""
    chosen: Handler = make_aiohttp_handler(registry)
    cache = PageCache(page)

    async def scrape(request: web.Request) -> web.StreamResponse:
        if any(request.query.getall("name[]", ())):
            return await chosen(request)
        openmetrics = "application/openmetrics-text" in request.headers.get("Accept", "")
        content_type = OPENMETRICS if openmetrics else TEXT
        headers = {"Content-Type": content_type}
        in_gzip = "gzip" in request.headers.get("Accept-Encoding", "")
        if in_gzip:
            # Here and not by `enable_compression`, which hands a body of this size to a thread.
            headers["Content-Encoding"] = "gzip"
        anew = "no-cache" in request.headers.get("Cache-Control", "")
        return web.Response(body=cache.get(content_type, in_gzip=in_gzip, anew=anew), headers=headers)

    return scrape
