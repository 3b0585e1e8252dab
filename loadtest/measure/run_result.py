"""The result of a run, live or final: the one record that judges, reports and dashboards read.

`result.json` is this structure, schema 1. Times end in `_ms` because people read them; rates end in `_tps`
(transactions a second) where they count orders and never where they count requests.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from loadtest.measure.whole_file import write_whole

SCHEMA_VERSION = 1
RESULT = "result.json"
"""The record's file in a run's folder."""
LATE_MS = 10.0
"""An arrival that the generator started later than this, with an idle user there, is late (docs/design.md)."""


class Quantiles(msgspec.Struct, frozen=True, kw_only=True):
    """Quantiles of a latency, in milliseconds. All 0 where nothing was measured; `count` tells."""

    count: int = 0
    p50: float = 0.0
    p90: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    p99_9: float = 0.0
    p99_99: float = 0.0
    max: float = 0.0
    mean: float = 0.0


class Buckets(msgspec.Struct, frozen=True, kw_only=True):
    """A histogram as parallel lists: `upper_us[i]` is the highest microsecond counted in `counts[i]`."""

    upper_us: list[int] = []
    counts: list[int] = []


class RunInfo(msgspec.Struct, kw_only=True):
    """Which run this was."""

    id: str
    plan: str
    started_at: str
    """UTC, ISO 8601."""
    duration_s: float
    seed: int
    versions: dict[str, str]
    machine: dict[str, Any]
    targets: list[str] = []
    settings: dict[str, Any] = {}
    """What the plan was scaled to: peak_tps, time_scale, arrivals, virtual_users …"""
    configuration: dict[str, Any] = {}
    """How the run was asked for, as run.json has it: without passwords, with where each value came from."""
    phases: list[tuple[float, float, str]] = []
    """(from_s, to_s, name) of each named period of the profile."""
    resumed_s: list[float] = []
    """Offsets at which the run was taken up again after an interruption."""


class Arrivals(msgspec.Struct, kw_only=True):
    """What became of the plan's arrivals; docs/arrivals.md says what each outcome is.

    The identities: planned = scheduled + lost, scheduled = started + dropped,
    started = ok + failed + empty + cancelled.
    """

    planned: int = 0
    scheduled: int = 0
    lost: int = 0
    started: int = 0
    dropped: int = 0
    ok: int = 0
    failed: int = 0
    """A request of theirs failed, or the script raised."""
    failed_in_script: int = 0
    """Of `failed`, those in which the script itself raised."""
    empty: int = 0
    """Made no request, and did not say that none was needed: nothing was measured."""
    cancelled: int = 0
    """Still under way when the drain ended."""


class Transactions(msgspec.Struct, kw_only=True):
    """Orders created: the only thing called TPS."""

    count: int = 0
    peak_tps: float = 0.0
    """The best whole second."""
    mean_tps: float = 0.0


class Evidence(msgspec.Struct, kw_only=True):
    """What was seen of one class of failure at one endpoint. Instants are offsets from the plan's time zero."""

    count: int = 0
    first_s: float = 0.0
    last_s: float = 0.0
    per_second: list[tuple[float, int]] = []
    """(t_s, failures from there to the next point's), ascending and thinned out in a long run."""
    status: int | None = None
    """The status of the sampled response; None where there was none."""
    text: str = ""
    """The sampled error, as it described itself."""
    body: str = ""
    """The first 200 characters of the sampled response's body, secrets masked."""
    request: str = ""
    """The sampled request's line, secrets masked: `POST /orders`."""
    where: str = ""
    """For errors of the script: the line that raised, as `shop.py:17 in buy`."""


class ScriptError(msgspec.Struct, kw_only=True):
    """One way in which a script's own code raised. Instants are offsets from the plan's time zero."""

    scenario: str
    error: str
    """Class and text: `IndexError: list index out of range`."""
    where: str
    """The innermost line of the script: `shop.py:17 in buy`."""
    count: int = 0
    first_s: float = 0.0
    last_s: float = 0.0


class UserStart(msgspec.Struct, kw_only=True):
    """How many users of a scenario there were when the run began, over all workers."""

    wanted: int = 0
    ready: int = 0
    failed: int = 0
    """Users whose `on_start` ended them."""
    left: int = 0
    """Users that ended themselves later, by `StopUser`: they serve no more arrivals."""
    why_not: str = ""
    """What ended them: `IndexError: pop from empty list (shop.py:15 in on_start)`."""


class EndpointOverTime(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint over the run, in columns: each entry stands for `bin_s` seconds from its `t_s` on."""

    bin_s: int
    t_s: list[int]
    requests: list[int]
    failures: list[int]
    p50_ms: list[float]
    """Response time, of the worst of the bin's seconds."""
    p99_ms: list[float]


class Endpoint(msgspec.Struct, kw_only=True):
    """One endpoint over the whole run."""

    requests: int
    failures: int
    unanswered: int = 0
    """Of `failures`, requests in flight when the drain ended; in `response_ms` at their age then."""
    errors: dict[str, int] = {}
    evidence: dict[str, Evidence] = {}
    """What was seen of each class in `errors`; the most frequent ones only."""
    response_bytes: int = 0
    response_ms: Quantiles
    service_ms: Quantiles
    response_buckets: Buckets = Buckets()
    service_buckets: Buckets = Buckets()
    ok_response_ms: Quantiles = Quantiles()
    """Of the requests without an error alone."""
    ok_response_buckets: Buckets = Buckets()
    sent_bytes: int = 0
    """Heads and bodies of the requests, before encryption; 0 where another client than ours made them."""
    received_bytes: int = 0
    """Heads and bodies of the responses, as sent; `response_bytes` are the bodies, without their content coding."""
    first_byte_ms: Quantiles | None = None
    """From the first byte of the request sent to the first byte of the response. None in periods and patterns."""
    connect_ms: Quantiles | None = None
    """How long it took to open a connection, of the requests that opened one; `count` says how many did."""
    tls_ms: Quantiles | None = None
    """How long their TLS handshakes took, which `connect_ms` leaves out."""
    over_time: EndpointOverTime | None = None
    """None for the endpoints of a phase, and beyond the first sixty of a run."""


class Generator(msgspec.Struct, kw_only=True):
    """How well the harness itself behaved."""

    workers: int = 0
    dispatch_lag_ms: Quantiles = Quantiles()
    late_arrivals: int | None = None
    """Arrivals started more than 10 ms late by the generator's own fault; None in records of earlier versions."""
    queueing_ms: Quantiles = Quantiles()
    """How long arrivals waited for an idle user: the target's doing."""
    cpu_max: float = 0.0
    """Highest CPU share of any worker over any five seconds (or a shorter run's length), 1.0 = one core."""
    report_gaps: int = 0
    worker_notes: list[str] = []
    """What happened to workers, in sentences: joined late, lost, replaced, slots dealt anew."""
    per_worker: list[dict[str, Any]] = []
    """`name`, `started`, `cpu_max`, `cpu_wait_max`, `dispatch_lag_p99_ms`, `report_gaps`, `clock_offset_ms`."""
    users: dict[str, UserStart] = {}
    """Of each scenario, where a worker has told."""
    busy_s: float = 0.0
    """For how long users were busy with arrivals, summed up. Divided by the run's length that is how many users were
    busy on average (Little's law); divided by the arrivals, how long one takes."""
    overdue: int = 0
    """Arrivals among the dropped whose worker was paused when they were due, or was told of them too late: the
    generator's doing."""


class TimelinePoint(msgspec.Struct, kw_only=True):
    """One second of the run (longer where a long run was thinned out)."""

    t_s: float
    planned_tps: float = 0.0
    started_tps: float = 0.0
    completed_tps: float = 0.0
    failed_tps: float = 0.0
    failed_per_s: float = 0.0
    """Arrivals a second, of every scenario, that failed or made no request."""
    scheduled: int = 0
    """Arrivals of every scenario intended in this second."""
    started: int = 0
    """Arrivals of every scenario that started in this second."""
    requests: int = 0
    failures: int = 0
    """Of `requests`, how many failed."""
    dropped: int = 0
    """Arrivals of every scenario given up in this second."""
    in_flight: int = 0
    backlog: int = 0
    response_ms: Quantiles = Quantiles()
    ok_p50_ms: float | None = None
    """Response time of the requests without an error alone; None where there were none."""
    ok_p99_ms: float | None = None
    failed_p50_ms: float | None = None
    """Of those with one."""
    failed_p99_ms: float | None = None
    dispatch_lag_p99_ms: float = 0.0
    heat: list[tuple[int, int]] = []
    """(upper bound in microseconds, count), about four to an octave, for the heat map."""


def whole_seconds(from_s: float, to_s: float) -> tuple[int, int]:
    """The seconds, [from, to), in which a period is counted: from the nearest to the nearest, one at least."""
    first = round(from_s)
    return first, max(round(to_s), first + 1)


def step_s(points: Sequence[TimelinePoint]) -> float:
    """How many seconds each point of a timeline stands for: the shortest step between two, 1 where there is none."""
    return min((two.t_s - one.t_s for one, two in pairwise(points)), default=1.0)


class Period(msgspec.Struct, kw_only=True):
    """What happened between two instants: a phase of the profile, or a window that an SLO asks about.

    Everything belongs to the period in which it was *intended*, however late it started or ended.
    """

    name: str
    """The phase's name; empty for a window."""
    from_s: float
    to_s: float
    endpoints: dict[str, Endpoint] = {}
    patterns: dict[str, Endpoint] = {}
    """As `RunResult.patterns`."""
    arrivals: Arrivals = msgspec.field(default_factory=Arrivals)
    transactions: int = 0
    """Orders created."""


class SloResult(msgspec.Struct, kw_only=True):
    """One service-level objective and what was seen of it."""

    expr: str
    observed: float | None
    """In the unit that `expr` is written in. None: no data, which is not a pass."""
    passed: bool
    note: str = ""
    source: str = "plan"
    """`plan`, `flag`, `fault`, or `implicit`: one that every run has, unless one's own takes its place."""


class FaultResult(msgspec.Struct, kw_only=True):
    """One fault of the plan, what was done, and how the target took it (`loadtest.judge.recovery`).

    Instants are offsets from the plan's time zero; times to detect and to recover are whole seconds of the curve.
    """

    name: str
    kind: str
    from_s: float
    """The period that its expectations are judged over, as planned: from its beginning …"""
    to_s: float
    """… to its end, or to when it has to be recovered from if it is over at once."""
    planned: float = 0.0
    """Transactions that the plan intends in the period's whole seconds, without what an overload adds."""
    load_times: float = 1.0
    """How many times the curve's own rate was sent: 1 unless it is an overload."""
    recovers_within_s: float
    detected_within_s: float | None = None
    least_goodput: tuple[str, float] | None = None
    """(operator, share of `planned`) that was asked for."""
    began_s: float | None = None
    """When it was made to happen; None: it never was."""
    ended_s: float | None = None
    """When it was over: undone, or done if nothing lasts."""
    did: str = ""
    """What was done, in words: `killed worker 4711`."""
    problem: str = ""
    """Why it could not be played or undone."""
    detected_in_s: float | None = None
    """From its beginning to the end of the first second that was out of the band; None: it never showed."""
    recovered_in_s: float | None = None
    """From its end until all stayed within the band; None: not before the next fault or the end."""
    goodput: float | None = None
    """Transactions in the period that went well, as a share of `planned`."""
    least_share: float | None = None
    """The band: the least share of the planned transactions that went well in a second …"""
    most_p99_ms: float | None = None
    """… and the highest p99 of response times in one."""


class Validity(msgspec.Struct, kw_only=True):
    """Whether the load generator did its part: VALID, DEGRADED or INVALID, with reasons."""

    verdict: str = "VALID"
    reasons: list[str] = []


class Audit(msgspec.Struct, kw_only=True):
    """What a comparison of the client's ledger with the service's orders found."""

    acknowledged: int
    stored: int
    lost: int
    duplicated: int
    oversold: int
    phantom: int
    shadow_leaks: int
    misplaced: int = 0
    """Placed in one region and stored for another."""
    unknown: int = 0
    """Sent, never answered: may or may not be stored, and neither is wrong."""
    problems: list[str] = []
    """What else somebody's own auditor found wrong in the service's ledger, a sentence each."""

    @property
    def balanced(self) -> bool:
        """True when no order is lost, duplicated, oversold, phantom, leaked or misplaced."""
        counted = (self.lost, self.duplicated, self.oversold, self.phantom, self.shadow_leaks, self.misplaced)
        return not (any(counted) or self.problems)


class RunResult(msgspec.Struct, kw_only=True):
    """Everything that is known of a run."""

    schema: int = SCHEMA_VERSION
    run: RunInfo
    arrivals: Arrivals
    transactions: Transactions
    endpoints: dict[str, Endpoint] = {}
    """Keyed `METHOD name`; an arrival of several requests has an entry keyed `arrival SCENARIO`."""
    patterns: dict[str, Endpoint] = {}
    """Every request that a pattern named in an objective covers, also those of endpoints too many to list."""
    script_errors: list[ScriptError] = []
    """How the script itself raised, most frequent first; at most 50 ways."""
    scenarios_without_requests: list[str] | None = None
    """Scenarios that had arrivals and made no request in any of them; None where nobody counted."""
    generator: Generator = msgspec.field(default_factory=Generator)
    timeline: list[TimelinePoint] = []
    gauges: dict[str, list[tuple[float, float]]] = {}
    """(t_s, value) of what was sampled beside the traffic, by name with unit: `service_memory_bytes` …"""
    periods: list[Period] = msgspec.field(default_factory=list, name="stretches")
    """Each phase, and each window that an SLO names (`loadtest.judge.periods.wanted_periods`)."""
    faults: list[FaultResult] = []
    """What went wrong on purpose, in the order of the plan."""
    slo: list[SloResult] = []
    validity: Validity = msgspec.field(default_factory=Validity)
    audit: Audit | None = None
    unaudited: str = "no database given (--audit-store)"
    """Why there is no audit, where there is none."""
    findings: list[str] = []
    """What the target, the pool of users or the script did wrong, a sentence each: what to look at first."""
    verdict: str = "PASS"
    """PASS, FAIL (an SLO), INVALID, ABORTED or AUDIT."""
    exit_code: int = 0
    events: list[tuple[float, str]] = []
    """(t_s, what happened): faults, slots dealt anew, aborts; marked on the report's time axis."""
    notes: list[str] = []
    """What a reader should know that touches neither a figure nor the verdict: metrics that could not be pushed."""

    @classmethod
    def read(cls, path: Path) -> "RunResult":
        """Read a result.json. Raises `msgspec.ValidationError` naming the key that is wrong, `OSError`."""
        return cls.decode(path.read_bytes())

    @classmethod
    def decode(cls, data: bytes) -> "RunResult":
        """The result that a result.json holds. Raises `msgspec.MsgspecError` naming the key that is wrong."""
        return msgspec.json.decode(data, type=cls)

    def write(self, path: Path) -> None:
        """Write it to `path` whole or not at all (by rename), indented for people. Raises `OSError`."""
        write_whole(msgspec.json.format(msgspec.json.encode(self).decode(), indent=1), path)
