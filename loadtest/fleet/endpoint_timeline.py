"""Each endpoint over the run, in bounded memory: coarser than the run's own timeline, since there may be many.

A bin holds counts and the worst second's percentiles, so that adding neighbours together loses no stall. When there
are more than `MAX_BINS`, bins become twice as long: an hour ends as bins of 16 s.
"""

from copy import copy

import msgspec

from loadtest.measure.run_result import EndpointOverTime
from loadtest.measure.second import EndpointKey, EndpointSecond, Second

MAX_BINS = 240
"""As many as a chart of half a screen's width has room for."""
MAX_ENDPOINTS = 60
"""The first that were requested; of the others there are only totals."""


class EndpointBin(msgspec.Struct, array_like=True):
    """One endpoint in some neighbouring seconds; latencies in microseconds, of the worst of them."""

    requests: int = 0
    failures: int = 0
    p50_us: int = 0
    p99_us: int = 0

    def add(self, other: "EndpointBin") -> None:
        """Add what happened in another bin."""
        self.requests += other.requests
        self.failures += other.failures
        self.p50_us = max(self.p50_us, other.p50_us)
        self.p99_us = max(self.p99_us, other.p99_us)


class PackedEndpoints(msgspec.Struct, frozen=True):
    """An `EndpointTimeline` as a checkpoint keeps it."""

    bin_s: int = 1
    endpoints: list[tuple[EndpointKey, dict[int, EndpointBin]]] = []


class EndpointTimeline:
    """Bins of equal length for each endpoint, filled from seconds in any order."""

    def __init__(self, packed: PackedEndpoints | None = None) -> None:
        """Begin empty, or with what a checkpoint has kept."""
        packed = packed or PackedEndpoints()
        self.bin_s = max(1, packed.bin_s)
        self._bins = {key: dict(bins) for key, bins in packed.endpoints[:MAX_ENDPOINTS]}

    def pack(self) -> PackedEndpoints:
        """Everything; it shares the bins."""
        return PackedEndpoints(self.bin_s, list(self._bins.items()))

    def add(self, second: Second) -> None:
        """Add a second, or a part of one."""
        for key, endpoint in second.endpoints.items():
            bins = self._bins.get(key)
            if bins is None:
                if len(self._bins) >= MAX_ENDPOINTS:
                    continue
                bins = self._bins[key] = {}
            _put(bins, second.index // self.bin_s, _reduced(endpoint))
        while any(len(bins) > MAX_BINS for bins in self._bins.values()):
            self._halve()

    def over_time(self, key: EndpointKey, newest: list[Second]) -> EndpointOverTime | None:
        """One endpoint up to and with `newest`, the seconds that were not added yet; None if there is nothing."""
        bins = {number: copy(bin_) for number, bin_ in self._bins.get(key, {}).items()}
        if not bins and len(self._bins) >= MAX_ENDPOINTS:
            return None
        for second in newest:
            if key in second.endpoints:
                _put(bins, second.index // self.bin_s, _reduced(second.endpoints[key]))
        return _drawn(bins, self.bin_s) if bins else None

    def _halve(self) -> None:
        self.bin_s *= 2
        for key, bins in self._bins.items():
            halved: dict[int, EndpointBin] = {}
            for number, bin_ in bins.items():
                _put(halved, number // 2, bin_)
            self._bins[key] = halved


def _put(bins: dict[int, EndpointBin], number: int, bin_: EndpointBin) -> None:
    if number in bins:
        bins[number].add(bin_)
    else:
        bins[number] = bin_


def _reduced(endpoint: EndpointSecond) -> EndpointBin:
    if not endpoint.response.counts:
        return EndpointBin(endpoint.requests, endpoint.failures)
    p50_us, p99_us = (round(endpoint.response.quantile(q)) for q in (0.5, 0.99))
    return EndpointBin(endpoint.requests, endpoint.failures, p50_us, p99_us)


def _drawn(bins: dict[int, EndpointBin], bin_s: int) -> EndpointOverTime:
    ordered = sorted(bins.items())
    return EndpointOverTime(
        bin_s=bin_s,
        t_s=[number * bin_s for number, _ in ordered],
        requests=[bin_.requests for _, bin_ in ordered],
        failures=[bin_.failures for _, bin_ in ordered],
        p50_ms=[bin_.p50_us / 1000 for _, bin_ in ordered],
        p99_ms=[bin_.p99_us / 1000 for _, bin_ in ordered],
    )
