"""Which request stands for a bucket of latencies: the slowest recent one whose trace can be looked up.

A histogram says that one request in a thousand took two seconds, an exemplar says which one: by the id of its
trace, if the client began one. The worker keeps the slowest of each bucket until its next report, of which at most
`MOST_REPORTED` travel, slowest first; the master keeps the slowest of each bucket of the last `RECENT_MS`.
"""

from bisect import bisect_left
from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta, Struct

BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets of response time that Prometheus sees; one more holds what is above."""
MOST_REPORTED = 8
"""Exemplars in one report, of which a worker sends two a second."""
MOST_KEPT = 512
"""Buckets of all endpoints: a script that puts ids into names cannot exhaust the memory."""
RECENT_MS = 10_000

_BOUNDS_US = [round(bound_s * 1e6) for bound_s in BOUNDS_S]


class Exemplar(Struct, frozen=True, array_like=True):
    """One traced request."""

    endpoint: Annotated[str, Meta(max_length=1001)]
    """`METHOD name`."""
    response_us: Annotated[int, Meta(ge=0)]
    """From its intended instant to its last byte."""
    trace_id: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
    """As in its `traceparent` (W3C Trace Context)."""
    at_ms: int
    """When it was done, in milliseconds since 1970."""

    @property
    def bucket(self) -> int:
        """The index of the bucket it falls in."""
        return bisect_left(_BOUNDS_US, self.response_us)


class Exemplars:
    """The slowest traced request of each endpoint and bucket."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int], Exemplar] = {}

    def offer(self, exemplar: Exemplar) -> None:
        """Keep it if it is slower than, or much newer than, the one that stands for its bucket."""
        key = (exemplar.endpoint, exemplar.bucket)
        kept = self._kept.get(key)
        if kept is None:
            if len(self._kept) < MOST_KEPT:
                self._kept[key] = exemplar
        elif exemplar.response_us > kept.response_us or exemplar.at_ms - kept.at_ms > RECENT_MS:
            self._kept[key] = exemplar

    def offer_all(self, exemplars: Iterable[Exemplar]) -> None:
        """Offer each."""
        for exemplar in exemplars:
            self.offer(exemplar)

    def of(self, endpoint: str) -> dict[int, Exemplar]:
        """Those of one endpoint by the index of their bucket."""
        return {bucket: exemplar for (name, bucket), exemplar in self._kept.items() if name == endpoint}

    def take(self) -> list[Exemplar]:
        """The slowest few, slowest first; all are forgotten."""
        slowest = sorted(self._kept.values(), key=lambda exemplar: -exemplar.response_us)[:MOST_REPORTED]
        self._kept.clear()
        return slowest
