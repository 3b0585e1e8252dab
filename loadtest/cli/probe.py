"""What this machine can do, found by a few seconds at full speed and a few in time: `python -m loadtest.cli.probe`.

One process drives the plan's own scenarios, in their proportions, against a service nobody else uses: first in a
closed loop with `USERS` users, then at a fraction of what that found in an open loop. `loadtest.cli.peak` says why.
"""

import sys
import time
from contextlib import redirect_stdout
from itertools import cycle, islice
from random import choice
from typing import Any

import gevent
import msgspec
from locust import User
from locust.env import Environment

from loadtest.cli.peak import Sizing, find_peak
from loadtest.cli.trial import OpenTrial
from loadtest.configuration.run_config import RunConfig
from loadtest.configuration.scenario_classes import scenario_classes
from loadtest.drive.recorder import recorder_for
from loadtest.records import Outcome

USERS = 64
WARM_UP_S = 1.0
MEASURE_S = 3.0


class Probe:
    """Counts transactions while users run as fast as they can."""

    def __init__(self, config: RunConfig, host: str | None) -> None:
        """Without a `host` each class has its own. Raises `ConfigError`."""
        self._plan = plan = config.plan
        self._classes = scenario_classes(plan, config.plan_file)
        for user_class in self._classes:
            user_class.host = host or user_class.host
        self._environment = Environment(user_classes=self._classes, host=host)
        self._order = interleaved([scenario.per_transaction for scenario in plan.scenarios])
        self._is_transaction = [scenario.transaction for scenario in plan.scenarios]
        self._errors = 0
        self.transactions = 0
        recorder_for(self._environment).sink = self._note

    def sizing(self) -> Sizing:
        """Full speed, and the peak the plan should play. Raises `RuntimeError` when most requests fail."""
        trial = OpenTrial(self._environment, self._plan, self._classes)
        return find_peak(self.transactions_per_s(), trial.lag_p99_ms)

    def transactions_per_s(self) -> float:
        """Transactions a second at full speed. Raises `RuntimeError` when most requests fail."""
        greenlets = [gevent.spawn(self._run_user, number) for number in range(USERS)]
        gevent.sleep(WARM_UP_S)
        before, errors, started_s = self.transactions, self._errors, time.monotonic()
        gevent.sleep(MEASURE_S)
        rate = (self.transactions - before) / (time.monotonic() - started_s)
        gevent.killall(greenlets)
        if self._errors - errors > self.transactions - before:
            raise RuntimeError("most requests of the probe failed")
        return rate

    def _run_user(self, number: int) -> None:
        users: list[User] = [user_class(self._environment) for user_class in self._classes]
        for user in users:
            user.on_start()
        for scenario in islice(cycle(self._order), number, None):
            task: Any = choice(users[scenario].tasks)  # noqa: S311 - as Locust itself chooses
            task(users[scenario])
            self.transactions += self._is_transaction[scenario]

    def _note(self, outcome: Outcome) -> None:
        self._errors += outcome.error is not None


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
    with redirect_stdout(sys.stderr):  # for what a script prints
        sizing = Probe(config, host).sizing()
    print(msgspec.json.encode(sizing).decode())  # noqa: T201 - its result


if __name__ == "__main__":
    main()
