"""`/metrics` as text, at a tenth of what building it from metric objects costs.

Every series is known beforehand, so prometheus-client writes the page once, and a scrape fills in the numbers: one
pass over the shared memory. Format, names, labels and their escaping remain the library's; only numbers are ours,
and in OpenMetrics the exemplars behind them. It matters since supervisor and workers share the cores that serve
orders.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from itertools import accumulate

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

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _traced() -> Iterator[int]:
    """The numbers of the samples that can have an exemplar, by the number of `Block.exemplars`."""
    number = 0
    for family in FAMILIES:
        for _ in family.values:
            yield from range(number, number + family.records)
            number += family.slots + 1 if family.kind == "histogram" else 1  # buckets and sum, and the count


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
        self._numbers: list[int] = []
        piece = ""
        for line in page.splitlines(keepends=True):
            if line.startswith("#"):
                piece += line
                continue
            series, number = line.rsplit(" ", 1)
            self._pieces.append(f"{piece}{series} ")
            self._numbers.append(int(float(number)))
            piece = "\n"
        self._end = piece
        self._places = {number: place for place, number in enumerate(self._numbers)}

    def filled(self, values: Sequence[float], exemplars: Mapping[int, Exemplar]) -> bytes:
        """The page with these values, and behind some of them exemplars, both by the sample's number."""
        texts = list(map(repr, map(values.__getitem__, self._numbers)))
        for number, exemplar in exemplars.items():
            texts[self._places[number]] += _written(exemplar)
        parts = [part for pair in zip(self._pieces, texts, strict=True) for part in pair]
        return ("".join(parts) + self._end).encode()


def _written(exemplar: Exemplar) -> str:
    """As OpenMetrics has it behind a bucket's value."""
    return f' # {{trace_id="{exemplar.trace_id}"}} {exemplar.seconds!r} {exemplar.at_s!r}'


class MetricsPage:
    """The metrics of all workers in both formats."""

    def __init__(self, blocks: Sequence[Block], supervision: Supervision) -> None:
        self._blocks = blocks
        self._metrics = SummedMetrics(blocks, supervision)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Numbered(self._metrics))
        openmetrics: bytes = to_openmetrics(registry)  # type: ignore[no-untyped-call]  # prometheus-client's
        self._templates = {
            TEXT: _Template(generate_latest(registry).decode()),
            OPENMETRICS: _Template(openmetrics.decode()),
        }

    def text(self, content_type: str = TEXT) -> bytes:
        """The page as it is now."""
        exemplars = self._exemplars() if content_type == OPENMETRICS else {}
        return self._templates[content_type].filled(self._values(), exemplars)

    def _exemplars(self) -> dict[int, Exemplar]:
        """Those there are, by the number of their bucket's sample."""
        found = newest(block.exemplars.present() for block in self._blocks)
        return {_TRACED[number]: exemplar for number, exemplar in found.items()}

    def _values(self) -> list[float]:
        """Every sample's value, in the order of `SummedMetrics.collect`."""
        summed = [sum(slot) for slot in zip(*(block.slots for block in self._blocks), strict=True)]
        values: list[float] = []
        at = 0
        for family in FAMILIES:
            for _ in family.values:
                series = summed[at : at + family.slots]
                at += family.slots
                if family.kind == "histogram":
                    *buckets, total = series
                    values += accumulate(buckets)
                    values += (values[-1], total)
                else:
                    values += series
        return values + self._metrics.of_supervisor()


def metrics_handler(page: MetricsPage, registry: CollectorRegistry) -> Handler:
    """Serves the page; a request with parameters (`name[]=`) is the library's to answer from `registry`."""
    chosen: Handler = make_aiohttp_handler(registry)

    async def scrape(request: web.Request) -> web.StreamResponse:
        if request.query_string:
            return await chosen(request)
        openmetrics = "application/openmetrics-text" in request.headers.get("Accept", "")
        content_type = OPENMETRICS if openmetrics else TEXT
        response = web.Response(body=page.text(content_type), headers={"Content-Type": content_type})
        response.enable_compression()
        return response

    return scrape
