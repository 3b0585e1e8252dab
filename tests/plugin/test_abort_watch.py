"""Which seconds a run's master judges for the plan's reasons to abort."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from loadtest.fleet.coordinator import Coordinator, Phase
from loadtest.judge.abort import parse_condition
from loadtest.measure.run_result import TimelinePoint
from loadtest.plugin.abort_watch import AbortWatch

NS_PER_S = 1_000_000_000


@dataclass
class Seconds:
    """A timeline in which nothing was ever completed."""

    judged: list[int] = field(default_factory=list)

    def points_between(self, from_s: int, to_s: int, _planned: object) -> Iterator[TimelinePoint]:
        for t_s in range(from_s, to_s):
            self.judged.append(t_s)
            yield TimelinePoint(t_s=t_s, scheduled=10)


class Run:
    """A run that goes on, as far as a watch looks at it."""

    def __init__(self) -> None:
        self.phase = Phase.RUNNING
        self.offset_ns = self.scheduled_to_ns = 0
        self.merge: Any = self
        self.timeline = Seconds()


def watched(run: Run) -> Callable[[float], str | None]:
    """Looks at the run at an offset in seconds."""
    watch = AbortWatch([parse_condition("goodput < 1tps for 5 s")], cast("Coordinator", run))

    def look(at_s: float) -> str | None:
        run.offset_ns = round(at_s * NS_PER_S)
        return watch.reason(lambda _from_s, _to_s: 10.0)

    return look


def test_each_second_is_judged_once_a_second_after_its_end() -> None:
    run = Run()
    look = watched(run)
    for tenth in range(50):
        assert look(tenth / 10) is None
    assert run.timeline.judged == [0, 1, 2]


def test_a_breach_that_lasts_ends_the_run() -> None:
    look = watched(Run())
    said = [look(second) for second in range(1, 8)]
    assert said[:5] == [None] * 5
    assert "goodput < 1tps for 5 s" in (said[5] or "")


def test_seconds_that_the_master_slept_through_are_not_judged_and_a_breach_lasts_anew() -> None:
    run = Run()
    look = watched(run)
    assert [look(second) for second in (3, 11.0, 12, 13, 14, 15)] == [None] * 6
    assert run.timeline.judged == [0, 1, 10, 11, 12, 13]
    assert look(16)
