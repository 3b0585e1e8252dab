"""The script every Locust client runs in the benchmark; the environment says which client and which
journey.

BENCH_CLIENT is `loadtest`, `fast` (Locust's FastHttpUser) or `http` (HttpUser); BENCH_JOURNEY is `get` (one
GET a task), `post` (one POST of JSON) or `mix` (ten requests a task, two of them posting 4 KB and two fetching
4 KB). Statistics are on. Our client also counts each outcome in the histograms of its seconds, as a run does, so
that it is not flattered.

After `BENCH_WARMUP_S` seconds of load it measures for `BENCH_SECONDS`, writes requests, failures and CPU
seconds of that period to `BENCH_RESULT`, and ends the run: starting Python and Locust is left out.
"""

import json
import os
import resource
import time
from pathlib import Path
from typing import Any

import gevent
from locust import FastHttpUser as LocustFastHttpUser
from locust import HttpUser, constant, events

from loadtest import FastHttpUser
from loadtest.drive.recorder import recorder_for
from loadtest.measure.second import OpenSeconds

CLIENTS: dict[str, type[Any]] = {"loadtest": FastHttpUser, "fast": LocustFastHttpUser, "http": HttpUser}
ORDER = {"buyer_id": 123, "lines": [{"sku": "sku-000001", "quantity": 1}]}
KEY = {"Idempotency-Key": "0123456789abcdef"}
PAGE = b"x" * 4096
WARMUP_S = float(os.environ["BENCH_WARMUP_S"])


def get(user: Any) -> None:
    """One request a task: Locust's own loop counts in full."""
    user.client.get("/order")


def post(user: Any) -> None:
    """One order a task."""
    user.client.post("/order", json=ORDER, headers=KEY)


def mix(user: Any) -> None:
    """Ten requests a task."""
    client = user.client
    for _ in range(2):
        client.get("/order")
        client.get("/page")
        client.post("/order", json=ORDER, headers=KEY)
        client.post("/order", data=PAGE)
        client.get("/order", name="/order again")


Client: Any = CLIENTS[os.environ["BENCH_CLIENT"]]


class BenchUser(Client):  # type: ignore[misc] # chosen at run time
    """A user without pauses."""

    wait_time = constant(0)
    insecure = True
    tasks = [{"get": get, "post": post, "mix": mix}[os.environ["BENCH_JOURNEY"]]]  # noqa: RUF012 - as Locust has it

    def on_start(self) -> None:
        """HttpUser's way of not verifying the sink's own certificate."""
        if hasattr(self.client, "verify"):
            self.client.verify = False


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _requests(environment: Any) -> int:
    if os.environ["BENCH_CLIENT"] == "loadtest":
        recorder_for(environment).flush()
    return int(environment.stats.total.num_requests)


def _measure(environment: Any) -> None:
    gevent.sleep(WARMUP_S)
    cpu_s, wall_s, requests = _cpu_s(), time.monotonic(), _requests(environment)
    gevent.sleep(float(os.environ["BENCH_SECONDS"]))
    result = {
        "requests": _requests(environment) - requests,
        "failures": environment.stats.total.num_failures,
        "cpu_s": _cpu_s() - cpu_s,
        "wall_s": time.monotonic() - wall_s,
    }
    Path(os.environ["BENCH_RESULT"]).write_text(json.dumps(result))
    environment.runner.quit()


def _begin(environment: Any, **_kwargs: Any) -> None:
    if os.environ["BENCH_CLIENT"] == "loadtest":
        open_seconds = OpenSeconds(time.monotonic_ns())
        recorder_for(environment).count_in(open_seconds, open_seconds.record)
    gevent.spawn(_measure, environment)


_on_test_start: Any = events.test_start
_on_test_start.add_listener(_begin)
