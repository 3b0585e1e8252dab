"""The end of a step of `singlesday capacity`."""

from contextlib import closing
from typing import Any

import gevent
import pytest

from loadtest.cli.step import Order, Report, Stepper, _drain
from loadtest.configuration.run_config import RunConfig
from loadtest.measure.second import OpenSeconds
from loadtest.plan.plan_file import Plan
from loadtest.plugin.cpu import CpuMeter
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


class Answered:
    """Stands for the dispatcher: at offsets in ms, so many transactions end; later ones while the step drains."""

    def __init__(self, ended: dict[int, int]) -> None:
        self._ended = ended

    def begin(self, _stream: object, open_seconds: OpenSeconds) -> None:
        for offset_ms, count in self._ended.items():
            open_seconds.second(open_seconds.zero_ns + offset_ms * MS).transactions_ok += count


def played(monkeypatch: pytest.MonkeyPatch, lasted_ms: int, ended: dict[int, int]) -> Report:
    """A step of a second's warm-up and five that are measured, which was over or broken off after so long."""
    loop: Any = Answered(ended)
    monkeypatch.setattr(
        Stepper, "_watch", staticmethod(lambda *args: (CpuMeter(), args[-1] + lasted_ms * MS))
    )
    monkeypatch.setattr("loadtest.cli.step._drain", lambda _loop: True)
    monkeypatch.setattr("loadtest.cli.step.count_in", lambda *_: None)  # no users are served
    stepper = Stepper(RunConfig(plan=Plan.load("steady"), plan_name="steady"), None, 0, 1)
    return stepper._play(loop, Order(tps=10.0, warm_up_s=1, measure_s=5))


ENDED = {500: 7, 1500: 100, 2200: 60, 2900: 80, 3500: 500, 5999: 100, 6000: 1000}


@pytest.mark.parametrize(
    ("lasted_ms", "completed_tps"),
    [
        (6000, (100 + 60 + 80 + 500 + 100) / 5),
        (3100, (100 + 60 + 80) / 2),
        (2999, 100),
        (2000, 100),
        (1999, None),
        (1000, None),
    ],
)
def test_a_step_that_was_broken_off_counts_what_its_whole_seconds_completed_and_not_what_drained(
    lasted_ms: int, completed_tps: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = played(monkeypatch, lasted_ms, ENDED)
    assert report.completed_tps == completed_tps
    assert report.measured_s == pytest.approx((lasted_ms - 1000) / 1000)
