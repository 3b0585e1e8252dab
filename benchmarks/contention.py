"""What others at work on the same cores do to dispatch lag, with the worker's short time slices and without.

Run `python -m benchmarks.contention`. A process like a worker (gevent, our timer) wakes at a thousand planned
instants a second and works 0.15 ms at each; besides it 0, 1, 2 and 4 processes use all the CPU they get, each in
a session of its own, as the processes of a run are. A figure is how late it woke: the median of the rounds,
those with and without short slices taking turns.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median

QUANTILES = (0.5, 0.99, 0.999)
INTERVAL_NS = 1_000_000
WORK_NS = 150_000
BUSY = (0, 1, 2, 4)


def lags_ms(short_slices: bool, seconds: float) -> list[float]:
    """How late this process woke, in ms, at each of `QUANTILES`."""
    import gevent.event  # noqa: PLC0415 -- only the measured process needs it

    from loadtest.drive.timer import system_timer  # noqa: PLC0415
    from loadtest.plugin.time_slice import ask_for_short_slices  # noqa: PLC0415

    if short_slices and not ask_for_short_slices():
        raise SystemExit("this system does not let a process choose its time slice")
    lags_ns: list[int] = []
    over = gevent.event.Event()
    due_ns = time.monotonic_ns() + INTERVAL_NS

    def woken() -> None:
        nonlocal due_ns
        now_ns = time.monotonic_ns()
        lags_ns.append(now_ns - due_ns)
        while time.monotonic_ns() < now_ns + WORK_NS:
            pass
        due_ns += INTERVAL_NS
        if len(lags_ns) * INTERVAL_NS < seconds * 1e9:
            timer.arm(due_ns)
        else:
            over.set()

    timer = system_timer(woken)
    timer.arm(due_ns)
    over.wait()
    timer.close()
    lags_ns.sort()
    return [lags_ns[int(len(lags_ns) * quantile)] / 1e6 for quantile in QUANTILES]


@contextmanager
def busy_process() -> Iterator[None]:
    """A process that never sleeps."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def measured(short_slices: bool, seconds: float) -> list[float]:
    """`lags_ms` of a process of its own."""
    command = [sys.executable, "-m", "benchmarks.contention", "--seconds", str(seconds)]
    command.append("--short" if short_slices else "--usual")
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, start_new_session=True)
    figures: list[float] = json.loads(done.stdout)
    return figures


def compare(rounds: int, seconds: float) -> None:
    """Print the table."""
    head = "".join(f"{f'p{quantile * 100:g}':>9}" for quantile in QUANTILES)
    print(f"{'busy processes':16}{'slices':8}{head}   ms late")
    for busy in BUSY:
        with ExitStack() as stack:
            for _ in range(busy):
                stack.enter_context(busy_process())
            figures = [[measured(short, seconds) for short in (False, True)] for _ in range(rounds)]
        for which, name in enumerate(("usual", "short")):
            medians = [median(column) for column in zip(*(turn[which] for turn in figures), strict=True)]
            print(f"{busy:<16}{name:8}" + "".join(f"{figure:9.3f}" for figure in medians), flush=True)


def main() -> None:
    """Compare, or be one of the compared."""
    parser = argparse.ArgumentParser(prog="benchmarks.contention", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3, help="length of each measurement")
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--short", action="store_true", help=argparse.SUPPRESS)
    one.add_argument("--usual", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.short or options.usual:
        print(json.dumps(lags_ms(options.short, options.seconds)))
    else:
        compare(options.rounds, options.seconds)


if __name__ == "__main__":
    main()
