"""What an arrival costs in open loop, and how late it is: `python -m benchmarks.open_loop [--rate N]… [--seconds S]`.

For each core (native, pure) and rate one process serves Poisson arrivals, one POST each, at an nginx that answers
from memory. The users, dispatcher, client and counting are those of a run; fleet, reports and ledgers are left out.
The first second, in which connections are made, is not counted in lag and cost. `cost` is CPU time of the process for
each arrival served.
"""

import argparse
import json
import math
import os
import platform
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.client.sink import Sink

USERS = 256
NS_PER_S = 1_000_000_000
ORDER = {"buyer_id": 12345678, "lines": [{"sku": "sku-000001", "quantity": 1}]}


def poisson(rate: float) -> Iterator[tuple[int, int]]:
    """Arrivals of one scenario at `rate` a second: ascending (offset_ns, 0)."""
    at_ns, draw = 0.0, random.Random(1).random
    while True:
        at_ns += -math.log(1 - draw()) / rate * NS_PER_S
        yield int(at_ns), 0


def play(url: str, rate: float, seconds: int) -> dict[str, Any]:
    """Serve arrivals in this process, and say how that went."""
    import gevent  # noqa: PLC0415 - Locust patches first
    from locust import events  # noqa: PLC0415
    from locust.env import Environment  # noqa: PLC0415

    from loadtest import FastHttpUser, open_loop  # noqa: PLC0415
    from loadtest.clock import SystemClock  # noqa: PLC0415
    from loadtest.drive.open_loop import OpenLoop  # noqa: PLC0415
    from loadtest.drive.served_users import count_in, served_users  # noqa: PLC0415
    from loadtest.drive.timer import system_timer  # noqa: PLC0415
    from loadtest.measure.second import OpenSeconds  # noqa: PLC0415

    def order(user: Any) -> None:
        user.client.post("/order", json=ORDER)

    buyer: Any = type("Buyer", (FastHttpUser,), {"host": url, "wait_time": open_loop(), "tasks": [order]})
    environment = Environment(events=events)
    loop = OpenLoop(transactions=[True], patience_ns=60 * NS_PER_S, clock=SystemClock(), timer=system_timer)
    with served_users(environment, loop, [buyer], USERS):
        while loop.idle < USERS:
            gevent.sleep(0.01)
        open_seconds = OpenSeconds(SystemClock().now_ns())
        count_in(environment, open_seconds)
        loop.begin(stream_of(rate, seconds + 1), open_seconds)
        gevent.sleep(1)
        before = resource.getrusage(resource.RUSAGE_SELF)
        gevent.sleep(seconds)
        after = resource.getrusage(resource.RUSAGE_SELF)
        loop.close()
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return row_of(open_seconds.take(), seconds, cpu_s)


def stream_of(rate: float, seconds: int) -> Any:
    """Arrivals at `rate` for so long."""
    from loadtest.drive.start import ArrivalStream, Assignment  # noqa: PLC0415 - after Locust

    stream = ArrivalStream(lambda *_: poisson(rate), seconds * NS_PER_S)
    stream.assign(Assignment(0, 1, 0, 0))
    stream.extend(seconds * NS_PER_S)
    return stream


def row_of(played: Sequence[Any], seconds: int, cpu_s: float) -> dict[str, Any]:
    """What the seconds that were counted say, without the first and what came after the last."""
    from loadtest.measure.histogram import Histogram  # noqa: PLC0415 - after Locust

    lag, service, ok = Histogram(), Histogram(), 0
    for second in played:
        for endpoint in second.endpoints.values():
            service.merge(endpoint.service)
        if 1 <= second.index <= seconds:
            lag.merge(second.dispatch_lag)
            ok += second.ok
    return {
        "served_per_s": ok / seconds,
        "cost_us": cpu_s / max(ok, 1) * 1e6,
        "cpu_share": cpu_s / seconds,
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "lag_p99_ms": lag.quantile(0.99) / 1000,
        "service_p50_ms": service.quantile(0.5) / 1000,
    }


def played_apart(url: str, rate: float, seconds: int, pure: str) -> dict[str, Any]:
    """`play`, in a process of its own. Raises `CalledProcessError`."""
    command = [sys.executable, "-m", "benchmarks.open_loop", "--play", url, "--rate", str(rate)]
    told = subprocess.run(
        [*command, "--seconds", str(seconds)],
        env={**os.environ, "LOADTEST_PURE": pure},
        capture_output=True,
        text=True,
        check=True,
    )
    row: dict[str, Any] = json.loads(told.stdout.splitlines()[-1])
    return row


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rate", type=float, action="append", help="arrivals a second (default: 15000, 50000, 120000)"
    )
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--play", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.play:
        print(json.dumps(play(options.play, options.rate[0], options.seconds)))
        return
    with tempfile.TemporaryDirectory() as scratch, Sink(Path(scratch) / "sink") as sink:
        print(f"Python {platform.python_version()}; lag, then service time, of the arrivals that were served")
        print(
            f"{'core':8}{'asked/s':>10}{'served/s':>10}{'cost':>10}{'CPU':>7}{'lag p99':>12}{'service p50':>13}"
        )
        for rate in options.rate or [15_000.0, 50_000.0, 120_000.0]:
            for core, pure in (("native", "0"), ("pure", "1")):
                row = played_apart(sink.url, rate, options.seconds, pure)
                print(
                    f"{core:8}{rate:>10,.0f}{row['served_per_s']:>10,.0f}{row['cost_us']:>7.1f} us"
                    f"{row['cpu_share']:>7.0%}{row['lag_p99_ms']:>9.2f} ms{row['service_p50_ms']:>10.2f} ms",
                    flush=True,
                )


if __name__ == "__main__":
    main()
