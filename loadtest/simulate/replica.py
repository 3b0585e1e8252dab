"""One replica as measured: how much it can do, and how long its commits or its work take.

Nothing is assumed that a run can tell. How long a commit takes is drawn from the service times that were measured,
all of them scaled, and drawn together around their median or apart: under load a service time is a commit's own and
the wait for the one before it, which makes it longer and vary more. Both factors are those with which a simulated
replica, offered the rate of the measured run, shows that run's own median and p99.
What each change adds to its commit is what is left of a replica's time when it does as much as it can.
"""

from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from loadtest.measure.run_result import Buckets
from loadtest.simulate.arrivals import Floats
from loadtest.simulate.queues import Commits, Housekeeping, Served, commits, pool

US = 1e-6
QUEUE_S = 0.5
"""Work that may wait at a replica before more is refused: the order service's own `SHORT_QUEUE_S`."""
REFUSAL_S, REFUSAL_SHARE = 25e-6, 0.05
"""What a refusal costs the order service, and the share of a worker spent on them: `target_service/shedding.py`."""
LARGEST_BATCH, LEAST_WAITING = 1024, 64
DRAWN = 4096
CALIBRATED_S = 20.0
STEPS = 10
MOST_SPREAD, SPREAD_STEPS = 2.0, 5


class ServiceTimes(NamedTuple):
    """Measured times, to be drawn from. `upper_s` ascends; `share` is how many of all are at or below each."""

    upper_s: Floats
    share: Floats

    @classmethod
    def of(cls, buckets: Buckets) -> "ServiceTimes":
        """What a histogram of a run holds. Raises ValueError for an empty one."""
        total = sum(buckets.counts)
        if not total:
            raise ValueError("expected service times, and none were measured")
        return cls(np.array(buckets.upper_us) * US, np.array(list(accumulate(buckets.counts))) / total)

    @classmethod
    def always(cls, time_s: float) -> "ServiceTimes":
        """Every service time is the same."""
        return cls(np.array([time_s]), np.array([1.0]))

    def quantile(self, q: float) -> float:
        """The smallest time with at least the share `q` of all at or below it."""
        return float(self.upper_s[int(np.searchsorted(self.share, q - 1e-12))])

    @property
    def mean_s(self) -> float:
        """Their mean."""
        return float((self.upper_s * np.diff(self.share, prepend=0.0)).sum())

    def spread(self, factor: float) -> "ServiceTimes":
        """The same median; distances from it are multiplied by `factor` on a logarithmic scale."""
        median_s = self.quantile(0.5)
        return ServiceTimes(median_s * (self.upper_s / median_s) ** factor, self.share)

    def draw(self, count: int, noise: np.random.Generator) -> Floats:
        """`count` random service times, in seconds."""
        return self.upper_s[np.searchsorted(self.share, noise.random(count))]


class Replica(NamedTuple):
    """One machine, or worker process, that a balancer deals arrivals to. Rates are transactions per second."""

    tps: float
    """What it does at most, with everything that a transaction brings along."""
    times: ServiceTimes
    scale: float = 1.0
    """What measured service times are multiplied by to be a commit's, or a worker's, own."""
    servers: int = 0
    """0: it commits in groups; else how many arrivals it works on at once, the others waiting in line."""
    queue_s: float = QUEUE_S
    """Work that may wait where commits are made in groups; more is refused at once."""
    under_way: int | None = None
    """How many may be under way, served or waiting, where that is known; more are refused at once. None: `queue_s` of
    work with commits, any number with workers."""
    housekeeping: Housekeeping | None = None
    """What it commits for itself, where that is known; in measured times it is a part of them."""

    @property
    def most_waiting(self) -> int:
        """Changes that may be under way."""
        return self.under_way or max(LEAST_WAITING, round(self.queue_s * self.tps))

    @property
    def each_s(self) -> float:
        """What a change adds to its commit: 1 / tps, less its part of what the fullest commits take besides.

        When as many as may be are under way, one half is being written while the other half gathers. Nothing is left
        for it where the store is so slow that its commits alone make the rate what it is.
        """
        most = self.under_way or max(LEAST_WAITING, QUEUE_S * self.tps)
        fullest = min(LARGEST_BATCH, most / 2)
        return max(1 / self.tps - self.times.mean_s * self.scale / fullest, 0.0)

    def serve(self, arrived_s: Floats, noise: np.random.Generator) -> Served:
        """What becomes of the arrivals that it is dealt."""
        if self.servers:
            service_s = self.times.draw(len(arrived_s), noise) * self.scale
            return pool(arrived_s, service_s, self.servers, self.under_way)
        how = Commits(
            self.each_s,
            LARGEST_BATCH,
            most_waiting=self.most_waiting,
            refusal_s=REFUSAL_S,
            refusal_share=REFUSAL_SHARE,
            housekeeping=self._own(noise),
        )
        return commits(arrived_s, self._fixed(noise), how)

    def _own(self, noise: np.random.Generator) -> Housekeeping | None:
        """Its housekeeping, begun at a random time: it does not depend on when arrivals begin."""
        own = self.housekeeping
        return own and own._replace(first_s=float(noise.random() * own.every_s))

    def _fixed(self, noise: np.random.Generator) -> Iterator[float]:
        while True:
            yield from (self.times.draw(DRAWN, noise) * self.scale).tolist()


def calibrated(replica: Replica, offered_tps: float, p50_s: float, p99_s: float, seed: int = 1) -> Replica:
    """The replica whose median and p99 of response times at `offered_tps` are those measured there.

    Bisection over the spread of its times and, for each, over their scale. Raises ValueError where the rate is beyond
    what the replica does.
    """
    if not 0 < offered_tps < replica.tps:
        raise ValueError(
            f"expected a rate below {replica.tps:,.0f} a second to calibrate by, got {offered_tps:,.0f}"
        )
    arrived = np.random.default_rng(seed).exponential(1 / offered_tps, round(offered_tps * CALIBRATED_S))
    measured = _Measured(np.cumsum(arrived), p50_s, p99_s, seed)
    return measured.spread(replica, _bisected(measured.is_too_narrow(replica), MOST_SPREAD, SPREAD_STEPS))


class _Measured(NamedTuple):
    """What a replica is fitted to: arrivals at one rate, and their measured median and p99."""

    arrived_s: Floats
    p50_s: float
    p99_s: float
    seed: int

    def took_s(self, candidate: Replica, q: float) -> float:
        """A quantile of a candidate's response times."""
        served = candidate._replace(queue_s=1e9).serve(self.arrived_s, np.random.default_rng(self.seed))
        return float(np.quantile(served.done_s - self.arrived_s[served.taken], q))

    def scaled(self, candidate: Replica) -> Replica:
        """The candidate, its times scaled so that its median is the measured one."""

        def is_too_fast(scale: float) -> bool:
            return self.took_s(candidate._replace(scale=scale), 0.5) < self.p50_s

        return candidate._replace(scale=_bisected(is_too_fast, 1.0, STEPS))

    def spread(self, candidate: Replica, factor: float) -> Replica:
        """The same for times that vary so many times as much."""
        return self.scaled(candidate._replace(times=candidate.times.spread(factor)))

    def is_too_narrow(self, candidate: Replica) -> Callable[[float], bool]:
        """Whether its p99 is below the measured one with a factor."""
        return lambda factor: self.took_s(self.spread(candidate, factor), 0.99) < self.p99_s


def _bisected(is_too_little: Callable[[float], bool], most: float, steps: int) -> float:
    """The smallest value from 0 to `most` that is large enough, by bisection."""
    low, high = 0.0, most
    for _ in range(steps):
        middle = (low + high) / 2
        low, high = (middle, high) if is_too_little(middle) else (low, middle)
    return (low + high) / 2


def machine_words(replica: Replica) -> dict[str, Any]:
    """The replica's figures, for the console and `--json`."""
    return {
        "tps": replica.tps,
        "kind": f"{replica.servers} at once" if replica.servers else "group commit",
        "commit_p50_ms": replica.times.quantile(0.5) * replica.scale * 1000,
        "commit_p99_ms": replica.times.quantile(0.99) * replica.scale * 1000,
        "queue_s": replica.queue_s,
        "under_way": replica.under_way,
    }
