"""What a scrape is answered from: the run's totals at that moment."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from loadtest.measure.exemplar import Exemplars
from loadtest.measure.run_result import RunInfo, SloResult
from loadtest.measure.second import EndpointSecond, Second
from loadtest.publish.shown_endpoints import endpoints
from loadtest.records import is_request

RECENT_S = 10
"""How many seconds the exact quantiles look back."""


@dataclass(frozen=True, slots=True)
class WorkerReading:
    """One worker that serves."""

    name: str
    cpu: float
    """Share of one core, over its last five seconds."""


@dataclass(frozen=True)
class Reading:
    """What a scrape shows of a run, live or finished."""

    info: RunInfo
    planned_tps: float
    phase: str
    """The named period of the plan that is being played; empty outside of one."""
    total: Second
    """Everything that was reported since the run began."""
    recent: Sequence[Second]
    """The newest seconds, at most `RECENT_S`."""
    in_flight: int
    backlog: int
    workers: Sequence[WorkerReading]
    """Those that serve."""
    report_gaps: int
    slo: Sequence[SloResult]
    """Each objective, judged by what has been reported."""
    lost: int = 0
    """Arrivals lost when a worker crashed; known when the run is over."""
    over: bool = False
    verdict: str = ""
    """PASS, FAIL …; known when the run is over."""
    exemplars: Exemplars = field(default_factory=Exemplars)
    faults: Sequence[str] = ()
    """The names of the plan's faults that go on now."""

    @cached_property
    def endpoints(self) -> Mapping[str, EndpointSecond]:
        """The endpoints that have series of their own, and the others as one: summed up once for all metrics."""
        return endpoints(self.total)

    @property
    def requested(self) -> Iterator[tuple[str, EndpointSecond]]:
        """Those of `endpoints` that count requests."""
        return (each for each in self.endpoints.items() if is_request(each[0]))


Read = Callable[[], Reading | None]
"""The current or last run; None before the first."""
