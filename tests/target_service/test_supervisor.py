"""How long a crashing worker is waited with, and a stopped one waited for."""

import asyncio
import signal
import socket

import pytest

from target_service.config import EXIT_FAILURE, Config
from target_service.metrics import SharedMetrics
from target_service.supervisor import (
    HUNG_AFTER_S,
    LONGEST_PAUSE_S,
    LOOK_EVERY_S,
    STARTED_WITHIN_S,
    RefusedError,
    Slot,
    Supervisor,
    Watch,
    backoff_s,
)


def test_the_first_crash_is_mended_at_once_and_later_ones_ever_more_slowly() -> None:
    assert [backoff_s(crashes) for crashes in range(1, 6)] == [0, 0.1, 0.2, 0.4, 0.8]
    assert backoff_s(50) == LONGEST_PAUSE_S


def silent_for(watch: Watch, beats: float, since_s: float, step_s: float = LOOK_EVERY_S) -> float:
    """How many seconds from an instant on, without another beat, until the worker is taken for hung; or 1000."""
    looks = int(1000 / step_s)
    return next((n * step_s for n in range(1, looks) if watch.is_hung(beats, since_s + n * step_s)), 1000.0)


def test_a_worker_that_stands_still_hangs_but_one_that_starts_is_given_time() -> None:
    assert silent_for(Watch(7.0, 100.0), 7.0, 100.0) == STARTED_WITHIN_S + LOOK_EVERY_S
    watch = Watch(7.0, 100.0)
    assert not watch.is_hung(8.0, 100.0)
    assert silent_for(watch, 8.0, 100.0) == HUNG_AFTER_S + LOOK_EVERY_S


def test_a_supervisor_that_stood_still_itself_takes_nobody_for_hung() -> None:
    watch = Watch(7.0, 0.0)
    watch.is_hung(8.0, 0.0)
    assert silent_for(watch, 8.0, 0.0, step_s=5 * LOOK_EVERY_S) == 1000.0


class Refused(Slot):
    """A slot whose worker cannot open its store."""

    def __init__(self) -> None:
        with socket.socket() as closed:
            super().__init__(0, closed, Config(), SharedMetrics.create(1))
        self.stops_meanwhile = False
        self.has_begun = asyncio.Event()

    async def _run_once(self) -> int:
        if self.stops_meanwhile:
            self.stop()
        return 2


def test_a_first_worker_that_is_refused_its_store_ends_the_service_unless_it_stops_anyway() -> None:
    slot = Refused()
    with pytest.raises(RefusedError):
        asyncio.run(slot.run())
    slot = Refused()
    slot.stops_meanwhile = True
    asyncio.run(slot.run())


class Starting(Refused):
    """A slot whose worker is never ready, and ends when it is told to."""

    async def _run_once(self) -> int:
        self.has_begun.set()
        await self._stopping.wait()
        return -signal.SIGTERM


async def stopped_during_the_start(slot: type[Refused]) -> int:
    """The exit code of a service whose one worker is in such a slot."""
    supervisor = Supervisor(Config(port=0, admin_port=0, drain_s=0.1))
    its = slot()
    supervisor._slots = [its]
    async with asyncio.timeout(100), asyncio.TaskGroup() as group:
        serving = group.create_task(supervisor._serve(group))
        await its.has_begun.wait()
        supervisor._stop()
        return await serving


class Immortal(Refused):
    """A slot whose worker does not end, whatever it is sent."""

    async def _run_once(self) -> int:
        self.has_begun.set()
        await asyncio.get_running_loop().create_future()
        raise AssertionError


def test_a_worker_that_cannot_be_killed_is_left_behind(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("KILL_AFTER_S", "KILLED_WITHIN_S"):
        monkeypatch.setattr(f"target_service.supervisor.{name}", 0.01)

    assert asyncio.run(stopped_during_the_start(Immortal)) == EXIT_FAILURE
    assert "left behind" in caplog.text


def test_nobody_waits_for_a_worker_that_is_told_to_stop_before_it_is_ready(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert asyncio.run(stopped_during_the_start(Starting)) == 0
    assert capsys.readouterr().out == "", "it was never ready"
