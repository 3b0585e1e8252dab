"""Whether a generator keeps time at a peak, and the target keeps up: some seconds of an open loop.

The dispatcher, the users, their task sets and clients are those of a run. The master, the reports and the ledgers are
left out: a trial is kinder to the machine than a run by that much.
"""

from collections.abc import Sequence

import gevent
from locust import User
from locust.env import Environment

from loadtest.cli.peak import Trial
from loadtest.clock import SystemClock
from loadtest.drive.open_loop import OpenLoop
from loadtest.drive.served_users import all_idle, count_in, served_users
from loadtest.drive.start import ArrivalStream, Assignment
from loadtest.drive.timer import system_timer
from loadtest.measure.second import OpenSeconds, Second, sum_of
from loadtest.plan.plan_file import Plan

USERS = 256
"""Of each scenario: more than are busy at once unless the target stands still."""
WARM_UP_S = 1
"""Connections are made in it; its lag is not counted."""
MEASURE_S = 4
START_TIMEOUT_S = 10
NS_PER_S = 1_000_000_000
US_PER_MS = 1_000


class OpenTrial:
    """Plays a plan's scenarios at one rate, in an open loop of this process."""

    def __init__(self, environment: Environment, plan: Plan, classes: list[type[User]]) -> None:
        """`classes` are the user classes of the plan's scenarios, in their order."""
        self._environment = environment
        self._plan = plan
        self._classes = classes

    def play(self, peak_tps: int) -> Trial:
        """Play a constant `peak_tps`, measured over `MEASURE_S` after a warm-up.

        Raises `RuntimeError` when the users' `on_start` does not end.
        """
        loop = OpenLoop(
            transactions=[scenario.transaction for scenario in self._plan.scenarios],
            patience_ns=round(self._plan.patience_s * NS_PER_S),
            clock=SystemClock(),
            timer=system_timer,
        )
        with served_users(self._environment, loop, self._classes, USERS):
            if not all_idle(loop, users := USERS * len(self._classes), START_TIMEOUT_S):
                raise RuntimeError(f"{users} users did not start in {START_TIMEOUT_S} s")
            return trial_of(peak_tps, self._seconds(loop, peak_tps))

    def _seconds(self, loop: OpenLoop, peak_tps: int) -> list[Second]:
        duration_s = WARM_UP_S + MEASURE_S
        plan = self._plan.at_rate(float(peak_tps), float(duration_s))
        stream = ArrivalStream(plan.mix().arrivals, duration_s * NS_PER_S)
        stream.assign(Assignment(0, 1, 0, 0))
        stream.extend(duration_s * NS_PER_S)
        open_seconds = OpenSeconds(SystemClock().now_ns())
        count_in(self._environment, open_seconds)
        loop.begin(stream, open_seconds)
        gevent.sleep(duration_s)
        loop.close()
        return [second for second in open_seconds.take() if second.index >= WARM_UP_S]


def trial_of(peak_tps: int, seconds: Sequence[Second]) -> Trial:
    """What the seconds of a trial say of it."""
    total = sum_of(seconds)
    return Trial(
        peak_tps,
        total.dispatch_lag.quantile(0.99) / US_PER_MS,
        total.queueing.quantile(0.99) / US_PER_MS,
        (total.failed + total.dropped) / max(total.scheduled, 1),
    )
