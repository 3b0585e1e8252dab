"""One measurement in a process of its own: `python -m benchmarks.accuracy.pacer KIND RATE SECONDS`.

`KIND` is who paces:

    open-loop   our dispatcher: a timerfd, a queue of idle users
    locust      Locust's `constant_throughput`, which paces each of many users by `gevent.sleep`
    bare        nobody: a thread that sleeps in `read` on a timerfd, so as late as this machine makes anything

The first two serve the same task, a sink that costs next to nothing, so that what is measured is the pacing. A
start is late by its distance from the instant it was meant for: the schedule's for the open loop; for Locust's
users the n-th multiple of the user's period after its first start, which is what `constant_throughput` promises.
Prints one JSON document.
"""

import ctypes
import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

os.environ["LOCUST_SKIP_MONKEY_PATCH"] = "1"

import gevent
from gevent.pool import Group
from locust import User, constant_throughput, task
from locust.env import Environment

from loadtest.clock import SystemClock
from loadtest.drive._core.pure.timerfd import CLOCK_MONOTONIC, TFD_TIMER_ABSTIME
from loadtest.drive.open_loop import OpenLoop
from loadtest.drive.serving import Serving, Sinks, attach, install, open_loop
from loadtest.drive.start import ArrivalStream, Assignment
from loadtest.drive.timer import system_timer
from loadtest.measure.histogram import Histogram
from loadtest.measure.second import SECOND_NS, OpenSeconds, sum_of
from loadtest.plan.profile import constant
from loadtest.plan.schedule import Uniform

LEAD_NS = SECOND_NS // 2
EACH_PER_S = 10
"""Starts a second of one user of Locust's: a hundred users make 1,000 arrivals/s."""


class Sink(User):
    """Does nothing, quickly."""

    wait_time = open_loop()

    @task
    def nothing(self) -> None:
        """The trivial sink."""


def summary(lag: Histogram, bins: list[int], rate: int, cpu_s: float, seconds: int) -> dict[str, Any]:
    """What one measurement found; `bins` are starts in each whole second."""
    quantiles = lag.quantiles()
    return {
        "lag_p50_ms": quantiles.p50,
        "lag_p99_ms": quantiles.p99,
        "lag_max_ms": quantiles.max,
        "bin_error": max(abs(count - rate) / rate for count in bins),
        "starts": sum(bins),
        "cpu": cpu_s / seconds,
    }


def open_loop_paced(rate: int, seconds: int) -> dict[str, Any]:
    """Our dispatcher, with Locust users that serve a uniform schedule."""
    clock = SystemClock()
    environment = Environment(user_classes=[Sink])
    loop = OpenLoop(transactions=[True], patience_ns=10 * SECOND_NS, clock=clock, timer=system_timer)
    serving = Serving(loop, {Sink.__name__: 0}, clock)
    install()
    attach(environment, serving)
    users = Group()
    for _ in range(50):
        Sink(environment).start(users)
    gevent.idle()
    schedule = Uniform(constant(rate, duration_s=seconds))

    def arrivals(slot: int, slots: int, from_ns: int, to_ns: int | None) -> Iterator[tuple[int, int]]:
        return ((offset_ns, 0) for offset_ns in schedule.arrivals(slot, slots, from_ns, to_ns))

    stream = ArrivalStream(arrivals, seconds * SECOND_NS)
    stream.extend(seconds * SECOND_NS)
    stream.assign(Assignment(0, 1, 0, 0))
    open_seconds = OpenSeconds(clock.now_ns() + LEAD_NS)
    serving.begin(Sinks(open_seconds.record))
    began_s = time.process_time()
    loop.begin(stream, open_seconds)
    gevent.sleep(seconds + 1)
    cpu_s = time.process_time() - began_s
    taken = {second.index: second for second in open_seconds.take()}
    total = sum_of(taken.values())
    bins = [taken[index].started if index in taken else 0 for index in range(seconds)]
    return summary(total.dispatch_lag, bins, rate, cpu_s, seconds)


def locust_paced(rate: int, seconds: int) -> dict[str, Any]:
    """Locust's `constant_throughput` with as many users as the rate takes."""
    lag = Histogram()
    starts: list[int] = []
    period_ns = SECOND_NS // EACH_PER_S

    class Paced(User):
        wait_time = constant_throughput(EACH_PER_S)
        first_ns = 0
        calls = 0

        @task
        def nothing(self) -> None:
            """The trivial sink, which notes how late, or early, it is."""
            now_ns = time.monotonic_ns()
            if not self.calls:
                self.first_ns = now_ns
            lag.record_ns(abs(now_ns - self.first_ns - self.calls * period_ns))
            starts.append(now_ns)
            self.calls += 1

    environment = Environment(user_classes=[Paced])
    users = Group()
    count = max(rate // EACH_PER_S, 1)
    made = [Paced(environment) for _ in range(count)]
    began_s = time.process_time()
    began_ns = time.monotonic_ns()
    for number, user in enumerate(made):  # spread over one period, as a ramp spreads them
        gevent.spawn_later(number / count / EACH_PER_S, user.start, users)
    gevent.sleep(seconds + 1)
    cpu_s = time.process_time() - began_s
    users.kill()
    bins = [0] * (seconds + 2)
    for start_ns in starts:
        bins[min((start_ns - began_ns) // SECOND_NS, seconds + 1)] += 1
    return summary(lag, bins[1:seconds], rate, cpu_s, seconds)


def bare(rate: int, seconds: int) -> dict[str, Any]:
    """The machine's own lateness: a blocking timerfd, a wake-up for each start, nothing else in the process."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.timerfd_create(CLOCK_MONOTONIC, os.O_CLOEXEC)
    lag = Histogram()
    bins = [0] * seconds
    zero_ns = time.monotonic_ns() + LEAD_NS
    began_s = time.process_time()
    for n in range(rate * seconds):
        at_ns = zero_ns + n * SECOND_NS // rate
        setting = (ctypes.c_long * 4)(0, 0, *divmod(at_ns, SECOND_NS))
        libc.timerfd_settime(descriptor, TFD_TIMER_ABSTIME, ctypes.byref(setting), None)
        os.read(descriptor, 8)
        now_ns = time.monotonic_ns()
        lag.record_ns(now_ns - at_ns)
        bins[min((now_ns - zero_ns) // SECOND_NS, seconds - 1)] += 1
    os.close(descriptor)
    return summary(lag, bins, rate, time.process_time() - began_s, seconds)


def main() -> None:
    """Measure what the command line says."""
    kind, rate, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    paced = {"open-loop": open_loop_paced, "locust": locust_paced, "bare": bare}[kind]
    sys.stdout.write(json.dumps(paced(rate, seconds)) + "\n")


if __name__ == "__main__":
    main()
