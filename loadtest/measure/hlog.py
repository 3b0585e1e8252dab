"""HdrHistogram logs: a run's latencies in the format that HdrHistogram's own tools read.

A log has one line for each histogram, tagged with its endpoint. The tools take values to be nanoseconds and
show milliseconds, so microseconds are multiplied by 1000 on the way out. Every value is written as the
highest of its bucket, the one our quantiles report, at three significant digits, the next finer precision to
ours. The format is described at github.com/HdrHistogram/HdrHistogram, class HistogramLogWriter.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogWriter

from loadtest.measure.histogram import MAX_US, Histogram
from loadtest.measure.whole_file import whole_file

_NS_PER_US = 1000
_NS_PER_MS = 1_000_000
_SIGNIFICANT_DIGITS = 3


def write_hlog(
    path: Path, histograms: Mapping[str, Histogram], *, started_at_s: float, duration_s: float
) -> None:
    """Write one tagged line for each endpoint, covering the whole run.

    `started_at_s` is seconds since 1970, UTC. Spaces and commas in an endpoint's name, which the format uses
    as delimiters, become underscores. Raises OSError.
    """
    with whole_file(path) as file:
        log = HistogramLogWriter(file)
        log.output_log_format_version()
        file.write(f"#[StartTime: {started_at_s:.3f} (seconds since epoch)]\n")
        file.write(f"#[BaseTime: {started_at_s:.3f} (seconds since epoch)]\n")
        log.output_legend()
        for endpoint, histogram in sorted(histograms.items()):
            file.write(f"Tag={_tag(endpoint)},")
            _write_interval(log, histogram, duration_s)


def _write_interval(log: HistogramLogWriter, histogram: Histogram, duration_s: float) -> None:
    log.output_interval_histogram(
        as_hdr(histogram),
        start_time_stamp_sec=0.0,
        end_time_stamp_sec=duration_s,
        max_value_unit_ratio=float(_NS_PER_MS),
    )


def as_hdr(histogram: Histogram) -> HdrHistogram:
    """The same counts in an HdrHistogram, in nanoseconds."""
    hdr = HdrHistogram(_NS_PER_US, MAX_US * _NS_PER_US, _SIGNIFICANT_DIGITS)
    buckets = histogram.buckets()
    for value_us, n in zip(buckets.upper_us, buckets.counts, strict=True):
        hdr.record_value(value_us * _NS_PER_US, n)
    return hdr


def _tag(endpoint: str) -> str:
    return re.sub(r"[\s,]", "_", endpoint)
