"""The end of a step of `singlesday capacity`."""

from contextlib import closing

import gevent
import pytest

from loadtest.cli.step import _drain
from tests.drive.test_open_loop import MS, Loop


def test_a_step_waits_for_an_arrival_that_is_due_and_not_handed_out_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with closing(Loop([(100 * MS, 0)])) as loop:
        loop.add_user(lambda _arrival: True)
        loop.begin()
        due_ns = loop.open_seconds.zero_ns + 200 * MS
        loop.clock.jump(due_ns - loop.clock.now_ns())  # the process had no core: its timer is late
        assert not loop.loop.backlog
        assert not loop.loop.in_flight

        def sleep(_seconds: float) -> None:
            loop.advance_to(300 * MS)
            gevent.idle()

        monkeypatch.setattr("loadtest.cli.step.gevent.sleep", sleep)
        assert _drain(loop.loop)
        assert loop.total().ok == 1
