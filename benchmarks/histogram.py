"""What measuring costs: nanoseconds a record, and the master's share of a core for 1,000 workers.

Run `python -m benchmarks.histogram`. Latencies are log-normal with a median of 1.2 ms, spread over some 1,300
buckets; figures are medians of five rounds of CPU time. The last table is docs/design.md's: 1,000 workers
that report 20 endpoints with two histograms each every second, at several rates of requests.
"""

from random import Random
from statistics import median
from time import process_time_ns

from hdrh.histogram import HdrHistogram

from loadtest.measure.codec import encode, merge_into
from loadtest.measure.histogram import MAX_US, Histogram

ROUNDS = 5
RECORDS = 200_000
HISTOGRAMS_A_SECOND = 1000 * 20 * 2
SAMPLE = 4000
"""Histograms merged to measure the cost of one."""


def latencies_ns(n: int, seed: int = 1) -> list[int]:
    """Log-normal latencies."""
    random = Random(seed)
    return [int(random.lognormvariate(14, 1.2)) for _ in range(n)]


def record_cost_ns(values_ns: list[int]) -> float:
    """Median cost of `record_ns`, loop included."""
    rounds = []
    for _ in range(ROUNDS):
        record = Histogram().record_ns
        start_ns = process_time_ns()
        for value_ns in values_ns:
            record(value_ns)
        rounds.append((process_time_ns() - start_ns) / len(values_ns))
    return median(rounds)


def hdr_record_cost_ns(values_ns: list[int]) -> float:
    """The same with the hdrhistogram package."""
    record = HdrHistogram(1, MAX_US, 2).record_value
    values_us = [value_ns // 1000 for value_ns in values_ns]
    start_ns = process_time_ns()
    for value_us in values_us:
        record(value_us)
    return (process_time_ns() - start_ns) / len(values_us)


def merge_costs_ns(records: int) -> tuple[float, float, float]:
    """(encode, decode and merge, bytes) of one worker's histogram of so many records."""
    values_ns = iter(latencies_ns(SAMPLE * records))
    histograms = [Histogram() for _ in range(SAMPLE)]
    for histogram in histograms:
        for _ in range(records):
            histogram.record_ns(next(values_ns))
    start_ns = process_time_ns()
    packed = [encode(histogram) for histogram in histograms]
    encode_ns = (process_time_ns() - start_ns) / SAMPLE
    rounds = []
    for _ in range(ROUNDS):
        totals = [Histogram() for _ in range(4)]
        start_ns = process_time_ns()
        for i, data in enumerate(packed):
            merge_into(totals[i % 4], data)
        rounds.append((process_time_ns() - start_ns) / SAMPLE)
    return encode_ns, median(rounds), sum(map(len, packed)) / SAMPLE


def main() -> None:
    """Print the tables."""
    values_ns = latencies_ns(RECORDS)
    ours_ns, hdr_ns = record_cost_ns(values_ns), hdr_record_cost_ns(values_ns)
    print(f"record: {ours_ns:.0f} ns (hdrhistogram package: {hdr_ns:.0f} ns)")
    print("\n1,000 workers, 20 endpoints, 2 histograms each, every second")
    print(f"{'records each':>13}{'bytes':>8}{'encode us':>11}{'merge us':>10}{'master cores':>14}")
    for records in (10, 30, 60, 100):
        encode_ns, merge_ns, size = merge_costs_ns(records)
        cores = merge_ns * HISTOGRAMS_A_SECOND / 1e9
        print(f"{records:13}{size:8.0f}{encode_ns / 1000:11.1f}{merge_ns / 1000:10.1f}{cores:14.2f}")


if __name__ == "__main__":
    main()
