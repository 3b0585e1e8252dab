"""The page that Prometheus reads: the metrics of `publish.prometheus` as text, or as OpenMetrics with exemplars."""

from collections.abc import Iterator, Mapping

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as to_openmetrics
from prometheus_client.registry import Collector

from loadtest.measure import exemplar
from loadtest.measure.histogram import Histogram
from loadtest.pauses import Pause, no_pause
from loadtest.publish.cumulative import cumulative, with_exemplars
from loadtest.publish.prometheus import FAMILIES, Family
from loadtest.publish.reading import Read, Reading

SAMPLES_AT_ONCE = 50
"""How many lines are written between two pauses."""
TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
"""The format that has exemplars."""


class RunCollector(Collector):
    """All metrics of the current run, drawn from a `Reading` made for this scrape."""

    def __init__(self, read: Read, pause: Pause = no_pause) -> None:
        self._read = read
        self._pause = pause

    def collect(self) -> Iterator[Metric]:
        """The metrics as they are now; none before the first run."""
        reading = self._read()
        if reading is None:
            return
        for family in FAMILIES:
            yield _filled(family, reading, self._pause)


def exposition(read: Read, content_type: str = TEXT, pause: Pause = no_pause) -> bytes:
    """The metrics in Prometheus' text format, or in that of `OPENMETRICS`.

    Workers may report during a pause, so later lines can be newer than earlier ones; each series alone is consistent.
    """
    page: list[bytes] = []
    for metric in RunCollector(read, pause).collect():
        page += _written(metric, content_type, pause)
    if content_type == OPENMETRICS:
        page.append(b"# EOF\n")
    return b"".join(page)


class _One(Collector):
    """A metric as the library's writers want it."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterator[Metric]:
        yield self._metric


def _written(metric: Metric, content_type: str, pause: Pause) -> Iterator[bytes]:
    """A metric's lines as the library writes them, some at a time; only the first begin with its name and help."""
    every = metric.samples
    for first in range(0, max(len(every), 1), SAMPLES_AT_ONCE):
        metric.samples = every[first : first + SAMPLES_AT_ONCE]
        if content_type == OPENMETRICS:
            openmetrics: bytes = to_openmetrics(_One(metric))  # type: ignore[no-untyped-call]  # prometheus-client's
            lines = openmetrics.removesuffix(b"# EOF\n")
        else:
            lines = generate_latest(_One(metric))
        yield lines if first == 0 else lines[lines.index(b"\n" + metric.name.encode()) + 1 :]
        pause()


def content_type_for(accept: str) -> str:
    """What to answer to an Accept header."""
    offered = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    return OPENMETRICS if "application/openmetrics-text" in offered else TEXT


def _filled(family: Family, reading: Reading, pause: Pause) -> Metric:
    run = reading.info.id
    labels = ("run", *family.labels)
    # The states of arrivals must add up, so no pause may come between them. Endpoints are many and independent.
    between = pause if "endpoint" in family.labels else no_pause
    if family.kind == "histogram":
        histogram = HistogramMetricFamily(family.name, family.help, labels=labels)

        def add(h: Histogram, *values: str, exemplars: Mapping[int, exemplar.Exemplar] = {}) -> None:
            buckets = with_exemplars(cumulative(h, family.bounds_s), exemplars)
            histogram.add_metric((run, *values), buckets, sum_value=h.sum_us / 1e6)
            between()

        family.fill(reading, add)
        return histogram
    metric = (CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily)(
        family.name, family.help, labels=labels
    )

    def put(value: float, *values: str) -> None:
        metric.add_metric((run, *values), value)
        between()

    family.fill(reading, put)
    return metric
