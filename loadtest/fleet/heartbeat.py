"""When a worker last heard Locust's master, by a clock that nobody sets.

Locust keeps that instant by the wall clock, and ends a worker that has not heard for a minute. So a wall clock that
is set forward by a minute or more, as NTP does on a machine that was suspended, would end a worker in the middle of a
run.
"""

import time
from typing import Any

from locust import runners
from locust.runners import WorkerRunner

_HEARD = "_singlesday_heard_s"


class _Heard:
    """Stands for `WorkerRunner.last_heartbeat_timestamp`: the wall clock now, less what the steady one counted."""

    def __get__(self, runner: Any, owner: type | None = None) -> float | None:
        heard_s: float | None = getattr(runner, _HEARD, None)
        return None if heard_s is None else time.time() - (time.monotonic() - heard_s)

    def __set__(self, runner: Any, at_s: float | None) -> None:
        setattr(runner, _HEARD, None if at_s is None else time.monotonic())


def dial_for_a_minute() -> None:
    """Have a worker of this process, which its master has just welcomed, not dial five minutes for one that is gone.

    It is as long as Locust's workers wait for a heartbeat, and enough for a relay that died to be replaced.
    """
    runners.CONNECT_RETRY_COUNT = runners.MASTER_HEARTBEAT_TIMEOUT // runners.CONNECT_TIMEOUT


def has_lost_its_master(runner: object) -> bool:
    """Whether a runner is a worker's that has heard of its master, but not for as long as Locust has patience."""
    heard_s = getattr(runner, _HEARD, None)
    return heard_s is not None and time.monotonic() - heard_s > runners.MASTER_HEARTBEAT_TIMEOUT


def keep_steady() -> None:
    """Have every worker of this process forget its master by the steady clock alone."""
    WorkerRunner.last_heartbeat_timestamp = _Heard()  # type: ignore[assignment]  # a descriptor for that name
