"""The truth: what customers who arrive evenly experience of the target of `benchmarks.truth.target`.

Nothing is measured here but the holds that the target itself kept. An arrival outside the stall waits its hold.
One in the stall waits for the stall's end and then its hold. One whose hold would end in the stall waits for the
stall's end.
"""

from collections.abc import Sequence
from itertools import cycle, islice
from math import ceil

QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999, 0.9999)


def waits_ms(
    held_ms: Sequence[float], *, rate: float, seconds: float, stall_at_s: float, stall_s: float
) -> list[float]:
    """What each arrival at (n + 1/2) / rate waits, in ms. The stall begins `stall_at_s` after the first arrival."""
    first_s = 0.5 / rate
    begin_ms, end_ms = (first_s + stall_at_s) * 1000, (first_s + stall_at_s + stall_s) * 1000
    waits = []
    for n, hold_ms in enumerate(islice(cycle(held_ms), round(rate * seconds))):
        at_ms = (n + 0.5) / rate * 1000
        if stall_s and begin_ms <= at_ms < end_ms:
            waits.append(end_ms - at_ms + hold_ms)
        elif stall_s and at_ms < begin_ms < at_ms + hold_ms:
            waits.append(max(end_ms - at_ms, hold_ms))
        else:
            waits.append(hold_ms)
    return waits


def quantiles_ms(values_ms: Sequence[float]) -> list[float]:
    """The values at `QUANTILES`, by nearest rank."""
    ordered = sorted(values_ms)
    return [ordered[max(ceil(q * len(ordered)), 1) - 1] for q in QUANTILES]
