"""Simulates a plan against many replicas, event by event.

Replicas share nothing, so each is simulated by itself: its arrivals, its commits, its refusals. What they have in
common are the plan, the balancer that deals arrivals out, and a zone that may go: its replicas answer nothing any
more, and until the balancer has noticed, arrivals that it goes on dealing to them fail.
"""

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import NamedTuple

import msgspec
import numpy as np

from loadtest.simulate.arrivals import Curve, Floats
from loadtest.simulate.queues import Served
from loadtest.simulate.replica import Replica

BUCKETS_AN_OCTAVE = 64
"""Times are counted in buckets 1.1 % wide."""
LEAST_S, OCTAVES = 1e-6, 32
MOST_MOMENTS = 7200
"""Two hours of seconds, each with a histogram: 60 MB. A day would take 700 MB, for a curve of 86,400 points."""


class ZoneLoss(NamedTuple):
    """The loss of one zone, for good."""

    at_s: float
    zones: int = 3
    """How many there are, with as many replicas each, or one more."""
    noticed_after_s: float = 5.0
    """When the balancer deals no more arrivals to it: two health checks, say."""


class WhatIf(NamedTuple):
    """What differs from the measured replica: how many, how slow, which loss."""

    replicas: int
    slower: float = 1.0
    """Commits, or work, take this many times as long."""
    zone_loss: ZoneLoss | None = None


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """One second of the plan, of a long one as many as make `MOST_MOMENTS` of it.

    Rates are transactions per second, of the arrivals that were meant for then.
    """

    t_s: float
    offered_tps: float
    completed_tps: float
    refused_tps: float
    failed_tps: float
    p50_ms: float | None
    p99_ms: float | None
    """Of those that were answered; None where none was."""


class Simulated(msgspec.Struct, frozen=True, kw_only=True):
    """What a simulation found. Everything in it is projected, from measurements of one replica."""

    replicas: int
    slower: float
    zone_lost_at_s: float | None
    offered: int
    completed: int
    refused: int
    failed: int
    offered_peak_tps: float
    completed_peak_tps: float
    """The best whole second."""
    p50_ms: float
    p99_ms: float
    p99_9_ms: float
    busy: float
    """Share of the time that the busiest replica worked."""
    batch: float
    """Mean transactions in a commit."""
    took_s: float
    """What the simulation itself took."""
    moments: list[Moment]

    @property
    def goodput(self) -> float:
        """The share of the offered that was completed."""
        return self.completed / max(self.offered, 1)


class _Counts:
    """Sums over replicas, by second."""

    def __init__(self, seconds: int) -> None:
        self._seconds, self._width = seconds, BUCKETS_AN_OCTAVE * OCTAVES
        self.moment_s = -(-seconds // MOST_MOMENTS)
        self.offered, self.completed, self.refused, self.failed = (
            np.zeros(seconds, dtype=np.int64) for _ in range(4)
        )
        self.times = np.zeros((-(-seconds // self.moment_s), self._width), dtype=np.uint32)
        self.busy_s: list[float] = []
        self.batches = 0

    def add(self, arrived_s: Floats, served: Served, dead_from_s: float) -> None:
        """Add one replica; what it had not answered by `dead_from_s` failed."""
        second = np.minimum(arrived_s.astype(np.int64), self._seconds - 1)
        self._count(self.offered, second)
        lost_refused = arrived_s[served.refused] >= dead_from_s
        self._count(self.refused, second[served.refused[~lost_refused]])
        self._count(self.failed, second[served.refused[lost_refused]])
        lost = served.done_s > dead_from_s
        self._count(self.failed, second[served.taken[lost]])
        kept = served.taken[~lost]
        took = np.maximum(served.done_s[~lost] - arrived_s[kept], LEAST_S)
        bucket = np.minimum(np.log2(took / LEAST_S) * BUCKETS_AN_OCTAVE, self._width - 1).astype(np.int64)
        self._count(self.completed, second[kept])
        np.add.at(self.times, (second[kept] // self.moment_s, bucket), 1)
        self.busy_s.append(served.busy_s)
        self.batches += served.batches

    def _count(self, counters: np.ndarray, seconds: np.ndarray) -> None:
        counters += np.bincount(seconds, minlength=len(counters))

    def moments(self) -> Iterator[Moment]:
        """The curve."""
        starts = np.arange(0, self._seconds, self.moment_s)
        lengths_s = np.diff(starts, append=self._seconds)
        every = (self.offered, self.completed, self.refused, self.failed)
        rates = [np.add.reduceat(counts, starts) / lengths_s for counts in every]
        for number, start in enumerate(starts):
            offered, completed, refused, failed = (float(rate[number]) for rate in rates)
            yield Moment(
                t_s=float(start),
                offered_tps=offered,
                completed_tps=completed,
                refused_tps=refused,
                failed_tps=failed,
                p50_ms=_quantile_ms(self.times[number], 0.5),
                p99_ms=_quantile_ms(self.times[number], 0.99),
            )


def simulate(curve: Curve, replica: Replica, what_if: WhatIf, seed: int = 1) -> Simulated:
    """Play `curve`, in transactions per second over seconds, to so many replicas."""
    began_s = perf_counter()
    counts = _Counts(max(1, int(np.ceil(curve.duration_s))))
    slower = replica._replace(tps=replica.tps / what_if.slower, scale=replica.scale * what_if.slower)
    for number, (share, dead_from_s) in enumerate(_shares(what_if)):
        noise = np.random.default_rng([seed, number])
        alone = curve.every_arrival() if what_if.replicas == 1 else None
        arrived = curve.arrivals(share, noise) if alone is None else alone
        if len(arrived):
            counts.add(arrived, slower.serve(arrived, noise), dead_from_s)
    return _found(counts, what_if, curve.duration_s, perf_counter() - began_s)


def _shares(what_if: WhatIf) -> Iterator[tuple[Callable[[Floats], Floats], float]]:
    """For each replica, its share of the arrivals over time, and when it is lost."""
    count, loss = what_if.replicas, what_if.zone_loss
    for number in range(count):
        if loss is None:
            yield (lambda t_s: np.full(len(t_s), 1 / count)), np.inf
            continue
        left = count - len(range(0, count, loss.zones))
        is_lost = number % loss.zones == 0
        after = 0.0 if is_lost else 1 / max(left, 1)
        noticed_s = loss.at_s + loss.noticed_after_s

        def share(t_s: Floats, after: float = after, noticed_s: float = noticed_s) -> Floats:
            return np.where(t_s < noticed_s, 1 / count, after)

        yield share, (loss.at_s if is_lost else np.inf)


def _found(counts: _Counts, what_if: WhatIf, duration_s: float, took_s: float) -> Simulated:
    completed = counts.completed
    total = counts.times.sum(axis=0, dtype=np.int64)
    loss = what_if.zone_loss
    return Simulated(
        replicas=what_if.replicas,
        slower=what_if.slower,
        zone_lost_at_s=loss.at_s if loss else None,
        offered=int(counts.offered.sum()),
        completed=int(completed.sum()),
        refused=int(counts.refused.sum()),
        failed=int(counts.failed.sum()),
        offered_peak_tps=float(counts.offered.max()),
        completed_peak_tps=float(completed.max()),
        p50_ms=_quantile_ms(total, 0.5) or 0.0,
        p99_ms=_quantile_ms(total, 0.99) or 0.0,
        p99_9_ms=_quantile_ms(total, 0.999) or 0.0,
        busy=max(counts.busy_s, default=0.0) / duration_s,
        batch=int(completed.sum()) / max(counts.batches, 1),
        took_s=took_s,
        moments=list(counts.moments()),
    )


def _quantile_ms(counts: np.ndarray, q: float) -> float | None:
    """The upper bound of the bucket that holds the quantile, in milliseconds; None without values."""
    total = int(counts.sum())
    if not total:
        return None
    bucket = int(np.searchsorted(np.cumsum(counts), max(1, int(np.ceil(q * total - 1e-9)))))
    return float(LEAST_S * 2 ** ((bucket + 1) / BUCKETS_AN_OCTAVE) * 1000)
