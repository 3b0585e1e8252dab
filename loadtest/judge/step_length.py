"""How long a step of a search for capacity has to be measured, so that what it shows of a rate is true.

Two rules, of which the longer counts, between `LEAST_S` and `MOST_S`:

* **Samples.** A quantile q rests on the values beyond it: `TAIL` of them, so on TAIL / (1 - q) requests. With ten its
  own standard error, as a share of the tail, is 1 / sqrt(10), a third.
* **Overload.** At a rate that is too high by a share e, work piles up for as long as it is offered: after D seconds
  the delay has grown by e D. So for an overload of e to miss a bound of L seconds, the step has to last L / e.
"""

from collections.abc import Iterable
from math import ceil

from loadtest.judge.slo_syntax import Kind, Slo

TAIL = 10
LEAST_S = 3
MOST_S = 10
MS_PER_S = 1000


def measured_s(objectives: Iterable[Slo], tps: float, tolerance: float) -> int:
    """Whole seconds to measure at a rate, to tell it from one higher by the share `tolerance`."""
    wanted = [float(LEAST_S)]
    for slo in objectives:
        if slo.quantile is not None:
            wanted.append(samples(slo.quantile) / tps)
        if slo.kind is Kind.LATENCY:
            wanted.append(bound_s(slo) / tolerance)
    return min(ceil(max(wanted)), MOST_S)


def samples(quantile: float) -> float:
    """The requests that a quantile needs to have `TAIL` beyond it."""
    return TAIL / (1 - quantile)


def bound_s(slo: Slo) -> float:
    """The bound of an objective on a latency, in seconds."""
    return slo.bound * slo.unit_size / MS_PER_S
