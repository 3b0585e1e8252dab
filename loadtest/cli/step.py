"""The steps of a search for capacity: one rate after another, played by the same users over the same connections.

`singlesday capacity` starts this module as a process for each of its workers and writes to its standard input: first
a line with the run's configuration, then a line for each step, an `Order`. Each is answered by a line, a `Report`.
The dispatcher, the users, their clients and their counting are those of a run. The command adds up what its workers
report. Arguments: the target's address (empty: the users' own), this worker's slot, and how many slots there are.

A step begins with a warm-up, which is not counted, and ends when everything that it asked for was answered: what an
overloaded target still owes belongs to the step that asked for it, and must not meet the next.
"""

import logging
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout

import gevent
import msgspec
from locust.env import Environment
from msgspec import Struct

from loadtest.cli.probe import Probe
from loadtest.clock import SystemClock
from loadtest.configuration.run_config import RunConfig
from loadtest.configuration.scenario_classes import scenario_classes
from loadtest.drive.open_loop import OpenLoop
from loadtest.drive.run_context import RunContext, enter_run
from loadtest.drive.served_users import all_idle, count_in, served_users
from loadtest.drive.start import ArrivalStream, Assignment
from loadtest.drive.timer import system_timer
from loadtest.fleet.messages import PackedSecond, pack_second
from loadtest.measure.endpoint_pattern import matches
from loadtest.measure.second import OpenSeconds, Second, sum_of
from loadtest.plugin.cpu import CpuMeter
from loadtest.plugin.time_slice import ask_for_short_slices
from loadtest.plugin.worker import patterns_of

START_TIMEOUT_S = 30
DRAIN_S = 15.0
"""How long a step waits for what is under way when it is over."""
POLL_S = 0.05
LEASE_NS = 200_000_000
"""How far ahead arrivals are let go, so that a step that cannot pass any more can be broken off."""
NS_PER_S = 1_000_000_000


class Order(Struct, frozen=True, kw_only=True):
    """One step, or with `tps` 0 a few seconds of a closed loop at full speed."""

    tps: float
    """Of all workers together."""
    warm_up_s: int = 1
    measure_s: int = 5
    start_ns: int = 0
    """When it begins, on the monotonic clock that the processes of a machine share."""
    most_waiting_s: float = 2.0
    """The step is broken off when so many seconds of arrivals wait for a user."""


class Report(Struct, frozen=True, kw_only=True):
    """What one worker saw of a step after its warm-up."""

    total: PackedSecond | None = None
    """By the instants that arrivals were intended at: the measured ones, however late they were answered."""
    measured_s: float = 0.0
    """Shorter than ordered where the step was broken off."""
    completed_tps: float | None = 0.0
    """Transactions a second that ended in its whole seconds; None where it was broken off before one was over."""
    cpu: float = 0.0
    cpu_wait: float = 0.0
    drained: bool = True
    """Whether nothing was under way any more in the end; else this worker's next step would start with it."""
    nothing_ok: str = ""
    """Of full speed, where nothing that was answered was ok: what was."""
    error: str = ""
    """Why there is no step: users that did not start."""


class Stepper:
    """Plays steps of one configuration as worker `slot` of `slots`."""

    def __init__(self, config: RunConfig, host: str | None, slot: int, slots: int) -> None:
        self._config, self._host, self._plan = config, host, config.plan
        self._slot, self._slots = slot, slots
        self._classes = scenario_classes(config.plan, config.plan_file)
        for user_class in self._classes:
            user_class.host = host or user_class.host
        self._environment = Environment(user_classes=self._classes, host=host)
        enter_run(
            self._environment, RunContext(f"capacity-{config.plan.seed}", config.plan.seed, slot, "capacity")
        )
        self._patterns = patterns_of([*config.plan.slos, *config.objectives])
        self._transactions = [scenario.transaction for scenario in config.plan.scenarios]

    def full_speed(self) -> Report:
        """Transactions a second in a closed loop: a first guess, since a closed loop slows down with the target."""
        seen = Probe(self._config, self._host).full_speed()
        return Report(completed_tps=seen.tps, nothing_ok=seen.nothing_ok)

    def serve(self, next_order: Callable[[], Order | None], answer: Callable[[Report], None]) -> None:
        """Play orders until there are no more."""
        order = next_order()
        while order is not None and not order.tps:
            answer(self.full_speed())
            order = next_order()
        loop = OpenLoop(
            transactions=self._transactions,
            patience_ns=round(self._plan.patience_s * NS_PER_S),
            clock=SystemClock(),
            timer=system_timer,
        )
        each = max(1, self._plan.virtual_users // self._slots)
        with served_users(self._environment, loop, self._classes, each):
            if not all_idle(loop, each * len(self._classes), START_TIMEOUT_S) and not loop.idle:
                answer(Report(error=f"{each} users did not start in {START_TIMEOUT_S} s"))
                return
            while order is not None:
                answer(self._play(loop, order))
                order = next_order()
            loop.close()

    def _play(self, loop: OpenLoop, order: Order) -> Report:
        start_ns = max(order.start_ns, time.monotonic_ns())
        duration_s = order.warm_up_s + order.measure_s
        stream = ArrivalStream(
            self._plan.at_rate(order.tps, float(duration_s)).mix().arrivals, duration_s * NS_PER_S
        )
        stream.assign(Assignment(self._slot, self._slots, 0, 0))
        open_seconds = OpenSeconds(start_ns, self._patterns, matches)
        count_in(self._environment, open_seconds)
        loop.begin(stream, open_seconds)
        meter, ended_ns = self._watch(loop, stream, order, start_ns)
        cpu, cpu_wait = meter.sample()
        drained = _drain(loop)
        measured_s = max((ended_ns - start_ns) / NS_PER_S - order.warm_up_s, 0.0)
        seconds = [second for second in open_seconds.take() if second.index >= order.warm_up_s]
        return Report(
            total=pack_second(sum_of(seconds)),
            measured_s=measured_s,
            completed_tps=_completed_tps(seconds, order, ended_ns - start_ns),
            cpu=cpu,
            cpu_wait=cpu_wait,
            drained=drained,
        )

    @staticmethod
    def _watch(loop: OpenLoop, stream: ArrivalStream, order: Order, start_ns: int) -> tuple[CpuMeter, int]:
        """Play until the step is over or cannot pass any more; (CPU since the warm-up, end in ns)."""
        warm_ns = start_ns + order.warm_up_s * NS_PER_S
        end_ns = warm_ns + order.measure_s * NS_PER_S
        most_waiting = max(order.tps * order.most_waiting_s, 10.0)
        meter, warm = CpuMeter(), False
        while (now_ns := time.monotonic_ns()) < end_ns:
            if loop.backlog > most_waiting and warm:
                stream.halt(now_ns - start_ns)
                return meter, now_ns
            if not warm and now_ns >= warm_ns:
                meter, warm = CpuMeter(), True
            stream.extend(now_ns - start_ns + LEASE_NS)
            gevent.sleep(min(POLL_S, max(end_ns - now_ns, 0) / NS_PER_S))
        stream.extend(end_ns - start_ns)
        return meter, end_ns


def _completed_tps(seconds: Sequence[Second], order: Order, lasted_ns: int) -> float | None:
    """Transactions a second that ended in the whole measured seconds of a step; None where there is none.

    What is answered while a step that was broken off drains ends within what was ordered, but not within the step.
    """
    over_s = lasted_ns // NS_PER_S
    counted = [second.transactions_ok for second in seconds if order.warm_up_s <= second.index < over_s]
    counted_s = over_s - order.warm_up_s
    return sum(counted) / counted_s if counted_s > 0 else None


def _drain(loop: OpenLoop) -> bool:
    """Wait until nothing is under way; what still waits for a user after `DRAIN_S` is dropped.

    The last arrivals may be due and not yet handed out, where this process had no core.
    """
    deadline_s = time.monotonic() + DRAIN_S
    while not loop.drained():
        if time.monotonic() > deadline_s:
            loop.drop_all(time.monotonic_ns())
            return False
        gevent.sleep(POLL_S)
    return True


def main() -> None:
    """Serve orders from standard input until it ends."""
    line = sys.stdin.buffer.readline
    out = sys.stdout
    config = RunConfig.from_json(line())
    host, slot, slots = (sys.argv[1] or None, int(sys.argv[2]), int(sys.argv[3]))
    logging.getLogger("locust.user.task").setLevel(logging.CRITICAL)  # it tells of every task that raises
    ask_for_short_slices()  # as a run's worker
    pool = gevent.get_hub().threadpool

    def next_order() -> Order | None:
        said = pool.apply(line)
        return msgspec.json.decode(said, type=Order) if said.strip() else None

    def answer(report: Report) -> None:
        out.write(msgspec.json.encode(report).decode() + "\n")
        out.flush()

    with redirect_stdout(sys.stderr):  # for what a script prints
        Stepper(config, host, slot, slots).serve(next_order, answer)


if __name__ == "__main__":
    main()
