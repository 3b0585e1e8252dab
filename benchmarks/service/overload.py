"""Ten times the capacity, by rate: what is still done, how fast the rest is refused, how soon all is well again.

    python -m benchmarks.service.overload [--seconds 5] [--stall-ms 100] [--folder /dev/shm] [--json FILE]

One machine cannot offer ten times what an unhindered service does. So the store is slowed with the service's own
fault, a stall before each commit, and the service takes on no more than `MOST_IN_FLIGHT` changes: the capacity, what
as many connections get in a closed loop, is then the store's, and a core is left for the refusals. Who may enter is
decided by that bound here; the adaptive limit seldom binds.

The load is open: an order has an instant, whatever became of those before it, and its latency counts from there. The
answers a second stand beside what was meant to be offered: a generator that cannot keep up is seen, and makes
latencies longer, never shorter. Afterwards half of the capacity is offered again, second by second, until p99 is at
most `NORMAL` times the one from before and nobody is refused.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import uvloop

from benchmarks.service.load import Load, Measured, measure
from benchmarks.service.running import Running, saturate, slowed

OVERLOAD = 10
MOST_IN_FLIGHT = 64
"""The least that the service can be told."""
NORMAL = 1.2
RECOVERY_WINDOW_S = 1.0
RECOVERY_WINDOWS = 10


class Offered(NamedTuple):
    """How the load is offered, and to how slow a store."""

    seconds: float
    stall_ms: float = 100.0
    connections: int = 512
    """Of the open load: enough that none is awaited while the service answers in time."""


def offer(running: Running, rate_per_s: float, offered: Offered) -> Measured:
    """Offer orders at a rate, on schedule."""
    return uvloop.run(measure(Load(running.port, offered.connections, offered.seconds, rate_per_s)))


def recovery_s(running: Running, rate_per_s: float, normal_ms: float, offered: Offered) -> float:
    """Seconds until a second's p99 was normal and nobody was refused; infinite if that never came."""
    window = offered._replace(seconds=RECOVERY_WINDOW_S)
    began = time.monotonic()
    for _ in range(RECOVERY_WINDOWS):
        measured = offer(running, rate_per_s, window)
        is_normal = 0 < measured.quantile_ms(0.99) <= normal_ms * NORMAL
        if is_normal and not measured.refused:
            return time.monotonic() - began
    return float("inf")


def overload(running: Running, offered: Offered) -> dict[str, float]:
    """Capacity, half of it, ten times it, and half again; figures by name."""
    capacity = saturate(running, offered.seconds, MOST_IN_FLIGHT)[0].per_s
    before_ms = offer(running, capacity / 2, offered).quantile_ms(0.99)
    crowd = offer(running, capacity * OVERLOAD, offered)
    recovered_s = recovery_s(running, capacity / 2, before_ms, offered)
    answers_per_s = (crowd.created + crowd.refused) / crowd.seconds
    return {
        "slowed store, capacity, orders/s": capacity,
        f"{OVERLOAD}x the rate, answers : meant": answers_per_s / capacity / OVERLOAD,
        f"{OVERLOAD}x the rate, goodput : capacity": crowd.created / crowd.seconds / capacity,
        f"{OVERLOAD}x the rate, p99 of refusals, ms": crowd.refusal_quantile_ms(0.99),
        f"{OVERLOAD}x the rate, p99 of orders, ms": crowd.quantile_ms(0.99),
        "slowed store, p99 at half load before, ms": before_ms,
        "slowed store, half load again, normal after, s": recovered_s,
    }


def main() -> None:
    """Measure, print the table, and write it as JSON if asked."""
    parser = argparse.ArgumentParser(prog="benchmarks.service.overload", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--stall-ms", type=float, default=100.0)
    parser.add_argument("--folder", help="where the store is; on a memory disk its own pauses are left out")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="orders-overload-", dir=arguments.folder) as folder:
        offered = Offered(arguments.seconds, arguments.stall_ms)
        with slowed(Path(folder), offered.stall_ms, MOST_IN_FLIGHT) as running:
            figures = overload(running, offered)
    for name, value in figures.items():
        print(f"{name:58} {value:12,.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
