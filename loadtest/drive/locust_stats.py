"""Batches of outcomes for Locust's own statistics, so that its web UI, CSV and console stay right.

Locust's listener costs 4.6 us a request (it updates two entries and asks for the time three times each).
Here a request only appends two integers to its endpoint's batch; once a second the batches are
folded into the `StatsEntry`s exactly as Locust would have filled them one by one. Response times are
counted in tenths of a millisecond and rounded by Locust's own function when they are folded in.

Locust keeps a key for each second of the run and a history row for every five; `prune` drops what nothing
reads any more, so that a run of a day stays as small as one of ten minutes.
"""

import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from locust import stats as locust_stats
from locust.exception import CatchResponseError

from loadtest.measure.second import MAX_ENDPOINTS, OVERFLOW_ENDPOINT
from loadtest.records import Outcome

_TENTH_MS_NS = 100_000
_SECONDS_KEPT = 60  # Locust looks back twelve
_HISTORY_ROWS_KEPT = 2000
_MOST_ERROR_TEXTS = 500
_LONGEST_ERROR_TEXT = 500
_MORE_ERRORS = "(other kinds of failure)"


class EndpointBatch:
    """What happened at one endpoint since the last flush."""

    __slots__ = (
        "bytes_total",
        "count",
        "failures",
        "least_ns",
        "most_ns",
        "response_bytes",
        "response_ns",
        "sum_ns",
        "tenths_ms",
    )

    def __init__(self) -> None:
        self.failures = 0
        self.response_ns: list[int] = []
        """The time of each request from its intent, in the order of `response_bytes`."""
        self.response_bytes: list[int] = []
        # What of it has been summed up:
        self.count = self.sum_ns = self.most_ns = self.bytes_total = 0
        self.least_ns = sys.maxsize
        self.tenths_ms: Counter[int] = Counter()

    def sum_up(self) -> None:
        """Put what was appended to the sums."""
        if not self.response_ns:
            return
        tenths_ms = Counter([response_ns // _TENTH_MS_NS for response_ns in self.response_ns])
        self.add_sums(
            len(self.response_ns),
            sum(self.response_ns),
            min(self.response_ns),
            max(self.response_ns),
            sum(self.response_bytes),
            tenths_ms,
        )
        self.response_ns.clear()
        self.response_bytes.clear()

    def add_sums(  # noqa: PLR0917 - as the core gives them
        self,
        count: int,
        sum_ns: int,
        least_ns: int,
        most_ns: int,
        bytes_total: int,
        tenths_ms: Mapping[int, int],
    ) -> None:
        """Count requests whose sums were made elsewhere; `tenths_ms` counts them by tenths of a millisecond."""
        self.count += count
        self.sum_ns += sum_ns
        self.least_ns = min(self.least_ns, least_ns)
        self.most_ns = max(self.most_ns, most_ns)
        self.bytes_total += bytes_total
        self.tenths_ms.update(tenths_ms)


class LocustBatch:
    """All endpoints' batches, and the failures among them."""

    def __init__(self) -> None:
        self._endpoints: defaultdict[tuple[str, str], EndpointBatch] = defaultdict(EndpointBatch)
        self._errors: dict[tuple[str, str, str], list[Any]] = {}
        self._error_texts: set[str] = set()

    def add(self, outcome: Outcome) -> None:
        """Count one outcome. On the hot path: two appends; the sums are made when the batch is flushed."""
        batch = self._endpoints[outcome[:2]]
        batch.response_ns.append(outcome[4] - outcome[2])
        batch.response_bytes.append(outcome[5])

    def add_successes(self, method: str, name: str, *sums: Any) -> None:
        """Count requests that the core has noted; `sums` are those of `EndpointBatch.add_sums`."""
        self._endpoints[method, name].add_sums(*sums)

    def add_error(self, outcome: Outcome, error: Exception) -> None:
        """Count the failure of an outcome that was added already."""
        self._endpoints[outcome[:2]].failures += 1
        error = self._bounded(error)
        key = (outcome.method, outcome.name, locust_stats.StatsError.parse_error(error))
        counted = self._errors.setdefault(key, [error, 0])
        counted[1] += 1

    def clear(self) -> None:
        """Forget what has not been flushed."""
        self._endpoints.clear()
        self._errors.clear()

    def flush(self, stats: locust_stats.RequestStats) -> None:
        """Move everything into Locust's statistics, dated now."""
        now_s = time.time()
        for (method, name), batch in self._endpoints.items():
            batch.sum_up()
            if batch.count:
                _fold(batch, (stats.entries[_entry_key(stats, method, name)], stats.total), now_s)
        for (method, name, _), (error, count) in self._errors.items():
            name, method = _entry_key(stats, method, name)  # noqa: PLW2901 - the same, or the common entry's
            row = _row_of(stats, method, name, error)
            row.occurrences += count
            row.last_seen = now_s
        self.clear()

    def _bounded(self, error: Exception) -> Exception:
        """`error`, or one with a shorter or a common text, so that Locust's table stays small."""
        text = locust_stats.StatsError.parse_error(error)
        if len(text) > _LONGEST_ERROR_TEXT:
            error = CatchResponseError(str(error)[:_LONGEST_ERROR_TEXT] + "…")
            text = locust_stats.StatsError.parse_error(error)
        if text not in self._error_texts:
            if len(self._error_texts) >= _MOST_ERROR_TEXTS:
                return CatchResponseError(_MORE_ERRORS)
            self._error_texts.add(text)
        return error


def _entry_key(stats: locust_stats.RequestStats, method: str, name: str) -> tuple[str, str]:
    """Locust's key of an endpoint, or of the one that stands for all once there are too many to list."""
    if (name, method) not in stats.entries and len(stats.entries) >= MAX_ENDPOINTS:
        method, name = OVERFLOW_ENDPOINT
    return name, method


def _fold(batch: EndpointBatch, entries: Iterable[locust_stats.StatsEntry], now_s: float) -> None:
    """What `StatsEntry.log` and `log_error` would have done, once for the whole batch."""
    rounded: Counter[int] = Counter()
    for tenths, count in batch.tenths_ms.items():
        rounded[locust_stats.bucket_response_time((tenths + 0.5) / 10)] += count
    for entry in entries:
        _fold_counts(batch, entry, now_s)
        _fold_response_times(batch, entry)
        for rounded_ms, count in rounded.items():
            entry.response_times[rounded_ms] += count


def _fold_counts(batch: EndpointBatch, entry: locust_stats.StatsEntry, now_s: float) -> None:
    second = int(now_s)
    last_s = entry.last_request_timestamp
    if entry.use_response_times_cache and last_s is not None and second > int(last_s):
        entry._cache_response_times(second - 1)
    entry.num_requests += batch.count
    entry.num_reqs_per_sec[second] += batch.count
    if batch.failures:
        entry.num_failures += batch.failures
        entry.num_fail_per_sec[second] += batch.failures
    entry.last_request_timestamp = now_s
    entry.total_content_length += batch.bytes_total


def _fold_response_times(batch: EndpointBatch, entry: locust_stats.StatsEntry) -> None:
    """Locust annotates these as int, and stores floats."""
    least_ms, most_ms = batch.least_ns / 1e6, batch.most_ns / 1e6
    entry.total_response_time += batch.sum_ns / 1e6  # type: ignore[assignment] # see above
    if entry.min_response_time is None or least_ms < entry.min_response_time:
        entry.min_response_time = least_ms  # type: ignore[assignment] # see above
    entry.max_response_time = max(most_ms, entry.max_response_time)  # type: ignore[assignment] # see above


def _row_of(
    stats: locust_stats.RequestStats, method: str, name: str, error: Exception
) -> locust_stats.StatsError:
    key = locust_stats.StatsError.create_key(method, name, error)
    row = stats.errors.get(key)
    if row is None:
        row = stats.errors[key] = locust_stats.StatsError(method, name, error, first_seen=time.time())
    return row


def prune(stats: locust_stats.RequestStats) -> None:
    """Drop seconds that nothing reads any more; thin a long history (every other row of its older half)."""
    oldest = int(time.time()) - _SECONDS_KEPT
    for entry in (stats.total, *stats.entries.values()):
        for per_second in (entry.num_reqs_per_sec, entry.num_fail_per_sec):
            if len(per_second) > 2 * _SECONDS_KEPT:
                for second in [second for second in per_second if second < oldest]:
                    del per_second[second]
    if len(stats.history) > _HISTORY_ROWS_KEPT:
        del stats.history[1 : _HISTORY_ROWS_KEPT // 2 : 2]
