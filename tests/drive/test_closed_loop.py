"""The dispatcher without a schedule, with real greenlets: order, bound, and that users run as in a run."""

from collections import Counter
from itertools import cycle
from typing import Any

import gevent
from gevent.pool import Group
from locust import SequentialTaskSet, User, task
from locust.env import Environment

from loadtest.clock import SystemClock
from loadtest.drive.closed_loop import ClosedLoop
from loadtest.drive.recorder import recorder_for
from loadtest.drive.request_events import RequestEvents
from loadtest.drive.serving import Serving, attach, install, open_loop
from loadtest.records import OK, Arrival
from tests.drive.arrival_runs import fire


def test_scenarios_keep_their_proportions_whatever_each_takes() -> None:
    loop = ClosedLoop(cycle([0, 0, 1]), 2, 4, SystemClock())
    served: list[int] = []
    most: list[int] = []

    def serve(scenario: int) -> None:
        while True:
            arrival: Arrival = loop.take(scenario)
            served.append(arrival.scenario)
            most.append(loop.in_flight)
            gevent.sleep(0.002 if scenario else 0)
            loop.finish(arrival, OK, 0)

    users = [gevent.spawn(serve, scenario) for scenario in (0, 0, 0, 0, 1, 1, 1, 1)]
    gevent.idle()
    assert (loop.idle, served) == (8, []), "nothing is handed out before the start"
    loop.start()
    with gevent.Timeout(60):
        while len(served) < 300:
            gevent.sleep(0.001)
    loop.stop()
    gevent.killall(users)
    assert served[:300] == [0, 0, 1] * 100
    assert max(most) <= 4
    assert Counter(served[: sum(loop.ok)])[0] >= loop.ok[0] - 4


def test_a_probe_runs_nested_task_sets_as_a_run_does() -> None:
    called: list[str] = []

    class Walker(User):
        wait_time = open_loop()

        @task
        class Journey(SequentialTaskSet):
            @task
            def first(self) -> None:
                called.append("first")
                fire(self.user, "first", 0.0)
                gevent.sleep(0)

            @task
            def second(self) -> None:
                called.append("second")
                fire(self.user, "second", 0.0, "broken" if len(called) == 4 else None)
                gevent.sleep(0)

    environment = Environment(user_classes=[Walker])
    clock = SystemClock()
    loop = ClosedLoop(cycle([0]), 1, 1, clock)
    serving = Serving(loop, {"Walker": 0}, clock)
    install()
    attach(environment, serving)
    recorder: Any = recorder_for(environment)
    recorder.sink = serving.record
    events = RequestEvents(environment, recorder, serving, clock)
    events.open()
    users = Group()
    Walker(environment).start(users)
    loop.start()
    with gevent.Timeout(60):
        while loop.ok[0] < 3:
            gevent.sleep(0.001)
    users.kill()
    events.close()
    attach(environment, None)
    recorder.close()
    assert called[:6] == ["first", "second"] * 3
    assert loop.failed == 1
