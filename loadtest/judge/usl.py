"""The Universal Scalability Law: what many machines would do, estimated from what a few did, with its uncertainty.

A system of N machines serves X(N) = a N / (1 + s (N - 1) + k N (N - 1)): `a` is one machine's throughput, `s`
the share of the work that they queue for (contention), and `k` what each pair of them spends on agreeing
(crosstalk). With crosstalk throughput has a maximum, and beyond it machines make things worse. (N. J.
Gunther, Guerrilla Capacity Planning, Springer 2007, chapter 4.)

Fitting. N / X(N) = (1/a) (1 + s (N-1) + k N (N-1)) is linear in 1/a, s/a and k/a, which cannot be negative.
So the fit is a non-negative least-squares problem with one solution, found without a starting guess; dividing
each row by its N/X makes the errors relative, as throughput's are.

Confidence. The residuals of the plain least-squares fit tell how noisy the measurements are; the non-negative
fit is repeated on synthetic measurements about the plain one, with that noise (a parametric bootstrap, the
noise itself as uncertain as so few residuals leave it), and any answer is given with the interval that holds
95 % of what the repetitions say. Where contention or crosstalk is truly nil such intervals hold the truth
somewhat less often than that, in about 90 % of cases (the tests count). Extrapolating far from few
measurements gives wide intervals, and that is the finding.

numpy and scipy, of the extra `analysis`, are imported when a fit is made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf, sqrt
from typing import Any, NamedTuple

from loadtest.release import installs

LEAST_SIZES = 3
"""Three parameters cannot be told from fewer sizes."""

LEAST_MEASUREMENTS = 4
"""One more than there are parameters, or nothing is left to judge the noise by."""

REPLICATES = 1000
CONFIDENCE = 0.95
MOST_CELLS = 100_000
NO_LAW = "no law fits these measurements: expected some with fewer machines too"


class Measurement(NamedTuple):
    """The throughput that a number of machines sustained."""

    machines: int
    tps: float


class Interval(NamedTuple):
    """A figure and the range that holds it with a confidence of 95 %; `high` may be infinite."""

    low: float
    estimate: float
    high: float


class AnalysisMissingError(ImportError):
    """numpy and scipy are not installed."""

    def __init__(self) -> None:
        super().__init__(f"a fit needs the packages numpy and scipy: {installs('analysis')}")


@dataclass(frozen=True)
class Scalability:
    """One law: its three parameters."""

    machine_tps: float
    """a: what one machine serves, in transactions per second."""
    contention: float
    """s: the share of the work that is queued for."""
    crosstalk: float
    """k: the cost of agreement between each pair, as a share of the work."""

    def throughput(self, machines: float) -> float:
        """Transactions per second of so many machines."""
        return self.machine_tps * machines / self._load(machines)

    def _load(self, machines: float) -> float:
        return 1 + self.contention * (machines - 1) + self.crosstalk * machines * (machines - 1)

    @property
    def best_size(self) -> float:
        """The machines beyond which throughput falls: sqrt((1 - s) / k); infinite without crosstalk."""
        if self.crosstalk == 0:
            return inf
        return max(1.0, sqrt(max(0.0, 1 - self.contention) / self.crosstalk))

    @property
    def ceiling_tps(self) -> float:
        """The highest throughput of any number of machines in one cluster."""
        if self.best_size < inf:
            return self.throughput(self.best_size)
        return self.machine_tps / self.contention if self.contention else inf

    def machines_for(self, tps: float) -> int | None:
        """The fewest machines that serve `tps` in one cluster; None if no number does.

        Solves a N = tps (1 + s (N-1) + k N (N-1)), a quadratic in N, for its smaller root.
        """
        if tps <= self.machine_tps:
            return 1
        quadratic, linear = tps * self.crosstalk, tps * (self.contention - self.crosstalk) - self.machine_tps
        constant = tps * (1 - self.contention)
        discriminant = linear * linear - 4 * quadratic * constant
        if linear >= 0 or discriminant < 0:
            return None
        root = 2 * constant / (-linear + sqrt(discriminant))
        # A root that is a whole number but for its rounding needs no further machine; and next to the
        # ceiling the next whole number may be beyond the best size, and serve less.
        machines = ceil(root * (1 - 1e-9))
        return machines if self.throughput(machines) >= tps * (1 - 1e-9) else None

    def cells_for(self, tps: float) -> tuple[int, int]:
        """(cells, machines in each) to serve `tps`: the fewest independent clusters that can share it evenly.

        Raises ValueError if even a cell a machine would not do with `MOST_CELLS` cells.
        """
        cells = max(1, ceil(min(tps / self.ceiling_tps, MOST_CELLS + 1)))
        while cells <= MOST_CELLS:
            machines = self.machines_for(tps / cells)
            if machines is not None:
                return cells, machines
            cells += 1
        raise ValueError(f"{tps:g} TPS would need more than {MOST_CELLS:,} clusters")

    def machines_in_all(self, tps: float) -> float:
        """The machines to serve `tps`, over every cell; infinite where `cells_for` finds none."""
        try:
            cells, machines = self.cells_for(tps)
        except ValueError:
            return inf
        return cells * float(machines)


class Bill(NamedTuple):
    """What a throughput takes."""

    tps: float
    machines: Interval
    """In all, over every cell; its high end is infinite where the measurements leave that open."""
    cells: int
    """Independent clusters among which the load must be shared, at the best estimate."""
    machines_a_cell: int
    extrapolation: float
    """How many times larger a cell is than the largest that was measured: beyond ten, take it as a guess."""


@dataclass(frozen=True)
class UslFit:
    """The law that fits the measurements best, and others that they do not rule out."""

    law: Scalability
    replicates: tuple[Scalability, ...]
    largest_measured: int
    relative_error: float
    """Standard deviation of the measurements about the law, relative."""

    def throughput(self, machines: float) -> Interval:
        """Transactions per second of so many machines."""
        return self._interval([law.throughput(machines) for law in (self.law, *self.replicates)])

    def bill(self, tps: float) -> Bill:
        """The machines that `tps` takes. Raises ValueError for 0 TPS or less, or what is out of reach."""
        if tps <= 0:
            raise ValueError(f"expected a throughput above 0 TPS, got {tps:g}")
        cells, machines = self.law.cells_for(tps)
        totals = [law.machines_in_all(tps) for law in (self.law, *self.replicates)]
        return Bill(tps, self._interval(totals), cells, machines, machines / self.largest_measured)

    @staticmethod
    def _interval(values: Sequence[float]) -> Interval:
        """The first value is the estimate, the others its replicates."""
        ordered = sorted(values[1:])
        edge = int(len(ordered) * (1 - CONFIDENCE) / 2)
        return Interval(ordered[edge], values[0], ordered[-1 - edge])


def fit(measurements: Sequence[Measurement], seed: int = 1, replicates: int = REPLICATES) -> UslFit:
    """The law that fits the measurements best, and others by resampling them.

    Raises ValueError for too few measurements or sizes, for one that is not above 0, and where no law fits;
    AnalysisMissingError without numpy and scipy.
    """
    _check(measurements)
    try:
        import numpy as np  # noqa: PLC0415 -- an extra, and slow to import
        from scipy.optimize import nnls  # noqa: PLC0415
    except ImportError as missing:
        raise AnalysisMissingError from missing
    n = np.array([m.machines for m in measurements], dtype=float)
    tps = np.array([m.tps for m in measurements], dtype=float)
    terms = np.column_stack([np.ones_like(n), n - 1, n * (n - 1)])

    def law_of(tps: Any) -> Scalability:
        return _law(nnls(_relative(terms, tps, n), np.ones_like(n))[0])

    # What the plain fit expects is the centre of the noise; held to what is possible, it would be off-centre.
    plain = np.linalg.lstsq(_relative(terms, tps, n), np.ones_like(n), rcond=None)[0]
    expected = n / (terms @ plain)
    if not (expected > 0).all():
        raise ValueError(NO_LAW)
    freedom = len(n) - terms.shape[1]
    deviation = float(sqrt(((tps / expected - 1) ** 2).sum() / freedom))
    noise = np.random.default_rng(seed)

    def replicate() -> Scalability | None:
        spread = deviation * sqrt(freedom / noise.chisquare(freedom))
        try:
            return law_of(expected * np.exp(spread * noise.standard_normal(len(n))))
        except ValueError:  # noise so large that nothing fits it, which few measurements make likely
            return None

    laws = [law for _ in range(replicates) if (law := replicate()) is not None]
    if len(laws) < replicates / 2:
        raise ValueError(NO_LAW)
    return UslFit(law_of(tps), tuple(laws), int(n.max()), deviation)


def _relative(terms: Any, tps: Any, n: Any) -> Any:
    """The rows of the least-squares problem, each divided by its N/X."""
    return terms * (tps / n)[:, None]


def _law(solution: Sequence[float]) -> Scalability:
    inverse_a, s_over_a, k_over_a = (float(value) for value in solution)
    if inverse_a == 0:
        raise ValueError(NO_LAW)
    return Scalability(1 / inverse_a, s_over_a / inverse_a, k_over_a / inverse_a)


def _check(measurements: Sequence[Measurement]) -> None:
    for measurement in measurements:
        if not (measurement.machines >= 1 and 0 < measurement.tps < inf):
            raise ValueError(f"expected machines and TPS above 0, got {measurement}")
    sizes = {measurement.machines for measurement in measurements}
    if len(sizes) < LEAST_SIZES or len(measurements) < LEAST_MEASUREMENTS:
        raise ValueError(
            f"a fit needs at least {LEAST_MEASUREMENTS} measurements at {LEAST_SIZES} numbers of machines, "
            f"got {len(measurements)} at {len(sizes)}"
        )
