"""What this machine can do, found by a few seconds at full speed and a few in time: `python -m loadtest.cli.probe`.

One process drives the plan's own scenarios, in their proportions, against a service nobody else uses: first in a
closed loop with `USERS` users, then at a fraction of what that found in an open loop. `loadtest.cli.peak` says why.
"""

import logging
import sys
import time
from collections import Counter
from contextlib import redirect_stdout
from itertools import cycle
from typing import NamedTuple

import gevent
import msgspec
from locust.env import Environment

from loadtest.cli.peak import Sizing, find_peak
from loadtest.cli.trial import OpenTrial
from loadtest.clock import SystemClock
from loadtest.configuration.run_config import RunConfig
from loadtest.configuration.scenario_classes import scenario_classes
from loadtest.drive.closed_loop import ClosedLoop
from loadtest.drive.served_users import count_in, served_users
from loadtest.exit_codes import ExitCode
from loadtest.measure.second import OpenSeconds, sum_of
from loadtest.plugin.time_slice import ask_for_short_slices

USERS = 64
WARM_UP_S = 1.0
MEASURE_S = 3.0


class UnusableError(RuntimeError):
    """Nothing can be judged by what the target answers."""


class FullSpeed(NamedTuple):
    """What a closed loop was answered."""

    tps: float
    """Transactions a second that were ok."""
    ok: int
    failed: int
    most_often: str
    """What failed most often, with the endpoint, in words; empty if nothing did."""

    @property
    def nothing_ok(self) -> str:
        """Why there is nothing to judge by: a sentence where nothing at all was ok, else empty."""
        if self.ok:
            return ""
        if not self.most_often:
            return f"the target answered nothing within {WARM_UP_S + MEASURE_S:g} s"
        return f"nothing that the target answered was ok: {self.most_often}"


class Probe:
    """Counts transactions while users serve arrivals as fast as they can."""

    def __init__(self, config: RunConfig, host: str | None) -> None:
        """Without a `host` each class has its own. Raises `ConfigError`."""
        self._plan = plan = config.plan.as_at_its_peak()
        self._classes = scenario_classes(plan, config.plan_file)
        for user_class in self._classes:
            user_class.host = host or user_class.host
        self._environment = Environment(user_classes=self._classes, host=host)
        self._order = interleaved([scenario.per_transaction for scenario in plan.scenarios])
        self._is_transaction = [scenario.transaction for scenario in plan.scenarios]

    def sizing(self) -> Sizing:
        """Full speed, and the peak the plan should play. Raises `UnusableError` when most requests fail."""
        trial = OpenTrial(self._environment, self._plan, self._classes)
        return find_peak(self.transactions_per_s(), trial.play)

    def transactions_per_s(self) -> float:
        """Transactions a second at full speed. Raises `UnusableError` when most arrivals fail."""
        seen = self.full_speed()
        if seen.nothing_ok:
            raise UnusableError(seen.nothing_ok)
        if seen.failed > seen.ok:
            raise UnusableError(f"most requests of the probe failed: {seen.most_often}")
        return seen.tps

    def full_speed(self) -> FullSpeed:
        """What users get that ask again as soon as they are answered."""
        loop = ClosedLoop(cycle(self._order), len(self._classes), USERS, SystemClock())
        with served_users(self._environment, loop, self._classes, USERS):
            seen = OpenSeconds(time.monotonic_ns())
            count_in(self._environment, seen)
            loop.start()
            gevent.sleep(WARM_UP_S)
            before, failed, started_s = self._transactions(loop), loop.failed, time.monotonic()
            gevent.sleep(MEASURE_S)
            transactions = self._transactions(loop) - before
            rate = transactions / (time.monotonic() - started_s)
            loop.stop()
        return FullSpeed(rate, transactions, loop.failed - failed, _most_often(seen))

    def _transactions(self, loop: ClosedLoop) -> int:
        return sum(ok for ok, counts in zip(loop.ok, self._is_transaction, strict=True) if counts)


def _most_often(seen: OpenSeconds) -> str:
    """The class of error that requests had most often, and which requests, in words; empty if none had any."""
    errors: Counter[str] = Counter()
    for (method, name), endpoint in sum_of(seen.take()).endpoints.items():
        errors.update({f"{method} {name}: {error}": count for error, count in endpoint.errors.items()})
    return "".join(f"{error} ({count:,} times)" for error, count in errors.most_common(1))


def interleaved(rates: list[float], length: int = 20) -> list[int]:
    """Indexes of `rates`, each as often as its rate asks for over `length` of the first, spread evenly."""
    stretched = [
        ((step + 0.5) / (rate * length), index)
        for index, rate in enumerate(rates)
        for step in range(max(1, round(rate * length)))
    ]
    return [index for _, index in sorted(stretched)]


def main() -> None:
    """Print the `Sizing` for the address on the command line as JSON; the configuration is on standard input."""
    config = RunConfig.from_json(sys.stdin.buffer.read())
    host = sys.argv[1] if sys.argv[1:] else None
    # Locust tells of every task that raises; at full speed that is a log of gigabytes.
    logging.getLogger("locust.user.task").setLevel(logging.CRITICAL)
    ask_for_short_slices()  # as a run's worker
    try:
        with redirect_stdout(sys.stderr):  # for what a script prints
            sizing = Probe(config, host).sizing()
    except UnusableError as unusable:
        print(unusable, file=sys.stderr)  # noqa: T201 - whoever started this reads it
        sys.exit(ExitCode.INVALID)
    print(msgspec.json.encode(sizing).decode())  # noqa: T201 - its result


if __name__ == "__main__":
    main()
