"""The HdrHistogram log, read back by HdrHistogram's own reader."""

from pathlib import Path

import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

from loadtest.measure.histogram import MAX_US, Histogram
from loadtest.measure.hlog import write_hlog


def read(path: Path) -> dict[str, HdrHistogram]:
    reader = HistogramLogReader(str(path), HdrHistogram(1, MAX_US * 1000, 3))
    found = {}
    while (interval := reader.get_next_interval_histogram()) is not None:
        found[interval.get_tag()] = interval
    reader.close()
    return found


@pytest.fixture
def histogram() -> Histogram:
    histogram = Histogram()
    for k in range(1, 5001):
        histogram.record_us(k * k % 90_001 + 1)
    histogram.record_us(MAX_US + 1)
    histogram.record_us(0)
    return histogram


def test_hdrhistogram_reads_what_we_counted(tmp_path: Path, histogram: Histogram) -> None:
    path = tmp_path / "latency.hlog"
    other = Histogram()
    other.record_us(250)
    write_hlog(
        path, {"POST /orders": histogram, "GET /a,b": other}, started_at_s=1_700_000_000.5, duration_s=60
    )
    found = read(path)
    assert sorted(found) == ["GET_/a_b", "POST_/orders"]
    orders = found["POST_/orders"]
    assert orders.get_total_count() == histogram.count
    for q in (0.5, 0.9, 0.99, 0.999):
        assert orders.get_value_at_percentile(100 * q) == pytest.approx(
            histogram.quantile(q) * 1000, rel=0.001
        )
    assert orders.get_max_value() == pytest.approx(MAX_US * 1000, rel=0.001)
    assert orders.get_start_time_stamp() == pytest.approx(1_700_000_000_500)
    assert orders.get_end_time_stamp() - orders.get_start_time_stamp() == pytest.approx(60_000)


def test_a_log_without_endpoints_is_a_log(tmp_path: Path) -> None:
    write_hlog(tmp_path / "latency.hlog", {}, started_at_s=1, duration_s=1)
    assert read(tmp_path / "latency.hlog") == {}


def test_an_empty_histogram_is_written_as_such(tmp_path: Path) -> None:
    write_hlog(tmp_path / "latency.hlog", {"GET /": Histogram()}, started_at_s=1, duration_s=1)
    assert read(tmp_path / "latency.hlog")["GET_/"].get_total_count() == 0
