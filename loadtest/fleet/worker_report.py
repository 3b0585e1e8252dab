"""Numbered reports that survive loss: the worker's half of exactly-once delivery.

Locust sends its statistics once and hopes; a report lost with a connection, or the last one before a quit, is
gone, and nobody notices. Here each report has a number, is kept until the master acknowledges it, and is sent
again meanwhile. The master folds each number once (`merge`), so sending too often is harmless and sending too
seldom shows as a gap.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from loadtest.fleet.messages import Report, pack_second
from loadtest.measure.evidence import Sample
from loadtest.measure.exemplar import Exemplar
from loadtest.measure.second import Second

RESEND_AFTER_NS = 1_000_000_000


class Load(NamedTuple):
    """How busy a worker is."""

    in_flight: int
    backlog: int
    cpu: float
    """Share of one core that its process used since the last report."""
    cpu_wait: float
    """Share of the time it was ready to run and did not get a core."""


class Users(NamedTuple):
    """What a worker's users have done so far, by scenario."""

    left: Mapping[str, int]
    """How many have left for good."""
    asked: Iterable[str]
    """Those that have made a request."""
    silent: Iterable[str]
    """Those of which an arrival ended without a request that it needed."""


NO_LOAD = Load(0, 0, 0.0, 0.0)
NO_USERS = Users({}, (), ())


class Reporter:
    """Numbers a worker's reports and keeps each until it is acknowledged."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._next = 0
        self._unacknowledged: dict[int, tuple[int, Report]] = {}

    def report(
        self,
        seconds: Iterable[Second],
        now_ns: int,
        *,
        load: Load = NO_LOAD,
        users: Users = NO_USERS,
        missed: int = 0,
        exemplars: Sequence[Exemplar] = (),
        samples: Sequence[Sample] = (),
        ended_ns: int | None = None,
    ) -> Report:
        """The next report, remembered as sent at `now_ns` on the run clock.

        It is the last one where `ended_ns` says up to which plan offset the worker's slots were scheduled.
        """
        report = Report(
            self._run_id,
            self._next,
            [pack_second(second) for second in seconds],
            *load,
            final=ended_ns is not None,
            ended_ns=ended_ns or 0,
            exemplars=list(exemplars),
            samples=list(samples),
            left=dict(users.left),
            asked=sorted(users.asked),
            silent=sorted(users.silent),
            missed=missed,
        )
        self._unacknowledged[self._next] = (now_ns, report)
        self._next += 1
        return report

    def acknowledge(self, number: int) -> None:
        """Forget a report that is in the master's totals; acknowledging it again is harmless."""
        self._unacknowledged.pop(number, None)

    def due(self, now_ns: int) -> list[Report]:
        """Reports sent over a second ago and still not acknowledged, oldest first; they count as sent now."""
        due = [
            report for sent_ns, report in self._unacknowledged.values() if now_ns - sent_ns >= RESEND_AFTER_NS
        ]
        for report in due:
            self._unacknowledged[report.number] = (now_ns, report)
        return due

    @property
    def settled(self) -> bool:
        """True when every report so far has been acknowledged."""
        return not self._unacknowledged
