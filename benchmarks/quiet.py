"""Is this machine quiet enough to measure small things on?

    python -m benchmarks.quiet [--seconds 15]

Does a fixed piece of work (0.4 ms of Python) once a millisecond and says in how many windows of 50 ms it took much
longer than usual. On a virtual machine whose host is shared, episodes of a tenth of a second come by in which both
cores are several times slower; the guest's own figures (load, steal, pressure) show nothing of it, but p99 does:
on such a day a service that answers in 1.5 ms had a p99 of 40 ms. Run it with nothing else going on, before a
benchmark whose quantiles are to be believed; no more than one window in a hundred should be slow.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean, median

WINDOW_S = 0.05
SLOW = 1.8
"""How many times as long as usual the work takes in a slow window, on average."""
STEPS = 6000
PAUSE_S = 0.001
QUIET = 0.01
"""The largest share of slow windows in which the quantiles below p99 are the program's own."""

Sample = tuple[float, float]
"""(when, how long) of one piece of work, in seconds."""


def work() -> int:
    """The same for every piece."""
    total = 0
    for step in range(STEPS):
        total += step * step
    return total


def observe(seconds: float) -> list[Sample]:
    """Work for some seconds."""
    samples: list[Sample] = []
    began_s = time.perf_counter()
    while (from_s := time.perf_counter() - began_s) < seconds:
        work()
        samples.append((from_s, time.perf_counter() - began_s - from_s))
        time.sleep(PAUSE_S)
    return samples


def slowdowns(samples: Sequence[Sample]) -> list[float]:
    """Of each window that has any work: how many times as long as in the run's median it took."""
    usual_s = median(took_s for _, took_s in samples)
    windows: defaultdict[int, list[float]] = defaultdict(list)
    for at_s, took_s in samples:
        windows[int(at_s / WINDOW_S)].append(took_s / usual_s)
    return [fmean(windows[window]) for window in sorted(windows)]


def slow_share(samples: Sequence[Sample]) -> float:
    """The share of windows, 0..1, in which the work took more than `SLOW` times as long as usual."""
    factors = slowdowns(samples)
    return sum(factor > SLOW for factor in factors) / len(factors)


def main() -> None:
    """Observe and say what it means."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.quiet", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=15.0)
    samples = observe(parser.parse_args().seconds)
    share, worst = slow_share(samples), max(slowdowns(samples))
    verdict = "quiet enough" if share <= QUIET else "not quiet: quantiles from here up are the machine's"
    print(f"{share:.1%} of {WINDOW_S * 1000:.0f} ms windows were slow, the worst {worst:.1f}x: {verdict}")


if __name__ == "__main__":
    main()
