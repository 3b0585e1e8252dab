"""A worker that is not ended by a wall clock that somebody sets."""

import time
from typing import Any

import pytest
from locust import runners
from locust.runners import MASTER_HEARTBEAT_TIMEOUT, WorkerRunner

from loadtest.fleet import heartbeat


class Stopwatch:
    """Both clocks, by hand."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.wall_s, self.steady_s = 1_000_000.0, 50.0
        patch.setattr(time, "time", lambda: self.wall_s)
        patch.setattr(time, "monotonic", lambda: self.steady_s)


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Stopwatch:
    monkeypatch.setattr(WorkerRunner, "last_heartbeat_timestamp", None, raising=False)
    heartbeat.keep_steady()
    return Stopwatch(monkeypatch)


def is_forgotten(worker: Any) -> bool:
    """What Locust's `heartbeat_timeout_checker` asks."""
    heard = worker.last_heartbeat_timestamp
    return bool(heard and heard < time.time() - MASTER_HEARTBEAT_TIMEOUT)


def worker_that_heard() -> Any:
    worker: Any = WorkerRunner.__new__(WorkerRunner)
    worker.greenlet = []  # what Locust looks at when it is freed
    worker.last_heartbeat_timestamp = None
    assert worker.last_heartbeat_timestamp is None
    worker.last_heartbeat_timestamp = time.time()
    return worker


@pytest.mark.parametrize("step_s", [-3600, 61, 86_400])
def test_a_step_of_the_wall_clock_is_no_silence_of_the_master(clocks: Stopwatch, step_s: float) -> None:
    worker = worker_that_heard()
    clocks.wall_s += step_s
    assert not is_forgotten(worker)


def test_a_master_that_is_silent_for_a_minute_is_gone_whatever_the_wall_clock_says(clocks: Stopwatch) -> None:
    worker = worker_that_heard()
    clocks.steady_s += MASTER_HEARTBEAT_TIMEOUT + 1
    clocks.wall_s -= 3600
    assert is_forgotten(worker)


def test_a_worker_that_was_welcomed_dials_its_master_for_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runners, "CONNECT_RETRY_COUNT", runners.CONNECT_RETRY_COUNT)
    assert runners.CONNECT_RETRY_COUNT * runners.CONNECT_TIMEOUT > 60, "Locust's own patience"
    heartbeat.dial_for_a_minute()
    assert runners.CONNECT_RETRY_COUNT * runners.CONNECT_TIMEOUT == 60


def test_only_a_worker_that_has_heard_its_master_can_have_lost_it(clocks: Stopwatch) -> None:
    assert not heartbeat.has_lost_its_master(None)
    worker = worker_that_heard()
    clocks.steady_s += MASTER_HEARTBEAT_TIMEOUT
    assert not heartbeat.has_lost_its_master(worker)
    clocks.steady_s += 1
    assert heartbeat.has_lost_its_master(worker)
    worker.last_heartbeat_timestamp = None
    assert not heartbeat.has_lost_its_master(worker)
