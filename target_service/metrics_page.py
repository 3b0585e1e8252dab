"""`/metrics` as text, at a tenth of what building it from metric objects costs.

Every series is known beforehand, so prometheus-client writes the page once, and a scrape fills in the numbers that
have changed: one pass over the shared memory. Format, names, labels and their escaping remain the library's; only
numbers are ours, and in OpenMetrics the exemplars behind them. It matters since supervisor and workers share the
cores that serve orders (`python -m benchmarks.service.effects scrape-service`), and for the same reason the page is
drawn, and packed, in pieces of a quarter of a millisecond with sleeps between them: whoever wants the core waits for
one piece at most. All of a page is of the instant at which its first piece was drawn, and whoever asks within
`FRESH_S` of that gets the same bytes, so that a scraper gone wild, or a second one, costs a copy.
"""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from time import monotonic, perf_counter

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.aiohttp import make_aiohttp_handler
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as to_openmetrics
from prometheus_client.registry import Collector

from target_service.exemplars import Exemplar, newest
from target_service.metrics import FAMILIES, Block, Family, SummedMetrics, Supervision

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
GZIP = 16 + zlib.MAX_WBITS
"""zlib's way to say gzip."""
SERIES_AT_ONCE = 10
PIECE_S = 0.00025
"""How long to work at most before a sleep."""
SLEEP_S = 0.001
FRESH_S = 0.5
"""Less than anybody's interval between two scrapes. `Cache-Control: no-cache` asks for a page of one's own."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _traced() -> Iterator[int]:
    """The numbers of the samples that can have an exemplar, by the number of `Block.exemplars`."""
    first = 0
    for family in FAMILIES:
        for _ in family.values:
            yield from range(first, first + family.records)
            first += _samples(family)


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
        self.end = piece
        """What comes after the last number."""

    def filled(self, first: int, values: Sequence[float], behind: Mapping[int, str] = {}) -> str:
        """Lines `first` and following, with these numbers, and what is `behind` some of them, by the sample's."""
        lines = enumerate(zip(self._pieces[first : first + len(values)], values, strict=True), first)
        if not behind:
            return "".join([f"{piece} {value!r}\n" for _, (piece, value) in lines])
        return "".join([f"{piece} {value!r}{behind.get(at, '')}\n" for at, (piece, value) in lines])


def _written(exemplar: Exemplar) -> str:
    """As OpenMetrics has it behind a bucket's value."""
    return f' # {{trace_id="{exemplar.trace_id}"}} {exemplar.seconds!r} {exemplar.at_s!r}'


class _Series:
    """One series on the page: its lines, written anew when its numbers have changed."""

    __slots__ = (
        "_at",
        "_first",
        "_is_histogram",
        "_known",
        "_known_exemplars",
        "_template",
        "_text",
        "_to",
        "traced",
    )

    def __init__(self, template: _Template, first: int, family: Family, at: int) -> None:
        self._template = template
        self._first = first
        self._is_histogram = family.kind == "histogram"
        self._at, self._to = at, at + family.slots
        self.traced = range(first, first + family.records)
        """The numbers of its samples that can have an exemplar."""
        self._known: list[float] = []
        self._known_exemplars: dict[int, Exemplar] = {}
        self._text = ""

    def text(self, slots: list[float], exemplars: dict[int, Exemplar]) -> str:
        """Its lines, given all slots and its own exemplars."""
        raw = slots[self._at : self._to]
        if raw != self._known or exemplars != self._known_exemplars:
            self._known, self._known_exemplars = raw, exemplars
            behind = {number: _written(exemplar) for number, exemplar in exemplars.items()}
            values = samples_of(raw) if self._is_histogram else raw
            self._text = self._template.filled(self._first, values, behind)
        return self._text


def samples_of(raw: Sequence[float]) -> list[float]:
    """A histogram's samples, in the library's order, of its slots: cumulative buckets, count, sum."""
    *buckets, total = raw
    cumulative = list(accumulate(buckets))
    return [*cumulative, cumulative[-1], total]


class MetricsPage:
    """The metrics of all workers in both formats.

    Most series do not change between two scrapes: shadow traffic or live, one route or two. Their lines are kept.
    """

    def __init__(self, blocks: Sequence[Block], supervision: Supervision) -> None:
        self._blocks = blocks
        self._metrics = SummedMetrics(blocks, supervision)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Numbered(self._metrics))
        openmetrics: bytes = to_openmetrics(registry)  # type: ignore[no-untyped-call]  # prometheus-client's
        pages = {TEXT: generate_latest(registry).decode(), OPENMETRICS: openmetrics.decode()}
        self._templates = {content_type: _Template(page) for content_type, page in pages.items()}
        self._series = {of: list(_all_series(template)) for of, template in self._templates.items()}

    def pieces(self, content_type: str = TEXT) -> Iterator[bytes]:
        """The page as it is at the first piece, some lines at a time."""
        template, slots = self._templates[content_type], self._slots()
        exemplars = self._exemplars() if content_type == OPENMETRICS else {}
        end = template.filled(SAMPLES, self._metrics.of_supervisor()) + template.end
        every = self._series[content_type]
        for first in range(0, len(every), SERIES_AT_ONCE):
            some = every[first : first + SERIES_AT_ONCE]
            yield "".join([series.text(slots, _of(series.traced, exemplars)) for series in some]).encode()
        yield end.encode()

    def text(self, content_type: str = TEXT) -> bytes:
        """The page as it is now."""
        return b"".join(self.pieces(content_type))

    def _exemplars(self) -> dict[int, Exemplar]:
        """Those there are, by the number of their bucket's sample."""
        found = newest(block.exemplars.present() for block in self._blocks)
        return {_TRACED[number]: exemplar for number, exemplar in found.items()}

    def _slots(self) -> list[float]:
        """Every slot, added up over the workers."""
        first, *others = (block.slots for block in self._blocks)
        return list(map(sum, zip(first, *others, strict=True))) if others else first


def _of(numbers: range, exemplars: dict[int, Exemplar]) -> dict[int, Exemplar]:
    """The exemplars of these samples."""
    if not (exemplars and numbers):
        return {}
    return {number: exemplars[number] for number in numbers if number in exemplars}


def _all_series(template: _Template) -> Iterator[_Series]:
    first = at = 0
    for family in FAMILIES:
        for _ in family.values:
            yield _Series(template, first, family, at)
            first += _samples(family)
            at += family.slots


def _samples(family: Family) -> int:
    """Lines that one series of a family takes: a histogram's has its count besides its slots."""
    return family.slots + (family.kind == "histogram")


SAMPLES = sum(_samples(family) * len(family.values) for family in FAMILIES)
"""Lines of what workers count; the supervisor's own follow."""


_TRACED = tuple(_traced())


async def drawn(pieces: Iterator[bytes], *, in_gzip: bool) -> bytes:
    """The whole page, as it is or in gzip, with sleeps between pieces of `PIECE_S`.

    Packed with little effort: level 6 saves another tenth and takes four times as long.
    """
    packer = zlib.compressobj(level=1, wbits=GZIP) if in_gzip else None
    page: list[bytes] = []
    since_s = perf_counter()
    for piece in pieces:
        page.append(packer.compress(piece) if packer else piece)
        if perf_counter() - since_s >= PIECE_S:
            await asyncio.sleep(SLEEP_S)
            since_s = perf_counter()
    return b"".join(page) + (packer.flush() if packer else b"")


class PageCache:
    """Pages as they go over the wire, by content type and whether in gzip, for as long as they are fresh."""

    def __init__(self, page: MetricsPage, now_s: Callable[[], float] = monotonic) -> None:
        self._page = page
        self._now_s = now_s
        self._kept: dict[tuple[str, bool], tuple[float, bytes]] = {}
        self._drawing = asyncio.Lock()

    async def get(self, content_type: str, *, in_gzip: bool, anew: bool = False) -> bytes:
        """The page, `FRESH_S` old at most, or drawn `anew`; who asks while one is drawn waits for that."""
        async with self._drawing:
            now_s = self._now_s()
            made_s, body = self._kept.get((content_type, in_gzip), (float("-inf"), b""))
            if anew or now_s - made_s >= FRESH_S:
                body = await drawn(self._page.pieces(content_type), in_gzip=in_gzip)
                self._kept[content_type, in_gzip] = (now_s, body)
            return body


def metrics_handler(page: MetricsPage, registry: CollectorRegistry) -> Handler:
    """Serves the page; a request with parameters (`name[]=`) is the library's to answer from `registry`."""
    chosen: Handler = make_aiohttp_handler(registry)
    cache = PageCache(page)

    async def scrape(request: web.Request) -> web.StreamResponse:
        if request.query_string:
            return await chosen(request)
        openmetrics = "application/openmetrics-text" in request.headers.get("Accept", "")
        content_type = OPENMETRICS if openmetrics else TEXT
        headers = {"Content-Type": content_type}
        in_gzip = "gzip" in request.headers.get("Accept-Encoding", "")
        if in_gzip:
            # Here and not by `enable_compression`, which hands a body of this size to a thread.
            headers["Content-Encoding"] = "gzip"
        anew = "no-cache" in request.headers.get("Cache-Control", "")
        return web.Response(body=await cache.get(content_type, in_gzip=in_gzip, anew=anew), headers=headers)

    return scrape
