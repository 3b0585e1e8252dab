"""How much memory open users take: `python -m benchmarks.client.memory 10000`.

Makes that many users of our `FastHttpUser` in this process, each in a greenlet of its own with a keep-alive
connection to the sink on which it has had one response, and prints the resident memory of the process.
"""

import json
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

import gevent
from locust import constant
from locust.env import Environment

from benchmarks.client.process import resident_mb
from benchmarks.client.sink import Sink
from loadtest import FastHttpUser


class OpenUser(FastHttpUser):
    """Sends one request and keeps its connection."""

    wait_time = constant(3600)

    def once(self) -> None:
        """The only task."""
        self.client.get("/order").raise_for_status()

    tasks = [once]  # noqa: RUF012 - as Locust has it


def measure(users: int) -> dict[str, float]:
    """Run `users` users until each has its connection; return memory in MB, in all and per user in KB."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (users + 500, max(users + 500, _hard_limit())))
    with tempfile.TemporaryDirectory() as scratch, Sink(Path(scratch)) as sink:
        OpenUser.host = sink.url
        environment = Environment(user_classes=[OpenUser])
        before_mb = resident_mb()
        runner: Any = environment.create_local_runner()
        runner.start(users, spawn_rate=users)
        while _open(environment) < users:
            gevent.sleep(0.2)
        in_all_mb = resident_mb()
        failures = environment.stats.total.num_failures
        runner.quit()
    return {
        "users": users,
        "failures": failures,
        "resident_mb": round(in_all_mb, 1),
        "per_user_kb": round((in_all_mb - before_mb) * 1024 / users, 2),
    }


def _open(environment: Environment) -> int:
    return environment.stats.total.num_requests


def _hard_limit() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)))
