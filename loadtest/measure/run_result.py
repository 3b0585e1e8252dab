"""The result of a run, live or final: the one record that judges, reports and dashboards read.

`result.json` is this structure, schema 1. Times end in `_ms` because people read them; rates end in `_tps`
(transactions a second) where they count orders and never where they count requests.
"""

from pathlib import Path
from typing import Any

import msgspec

from loadtest.measure.whole_file import write_whole

SCHEMA_VERSION = 1


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
    phases: list[tuple[float, float, str]] = []
    """(from_s, to_s, name) of each named stretch of the profile."""
    resumed_s: list[float] = []
    """Offsets at which the run was taken up again after an interruption."""


class Arrivals(msgspec.Struct, kw_only=True):
    """planned = scheduled + lost, scheduled = started + dropped, started = ok + failed + empty + cancelled."""

    planned: int = 0
    scheduled: int = 0
    lost: int = 0
    started: int = 0
    dropped: int = 0
    ok: int = 0
    failed: int = 0
    failed_in_script: int = 0
    """Those of `failed` whose script raised."""
    empty: int = 0
    """Ended without a request, and the script did not say that none is needed."""
    cancelled: int = 0


class Transactions(msgspec.Struct, kw_only=True):
    """Orders created: the only thing called TPS."""

    count: int = 0
    peak_tps: float = 0.0
    """The best whole second."""
    mean_tps: float = 0.0


class Evidence(msgspec.Struct, kw_only=True):
    """One class of error of one endpoint: how often, when, and one example."""

    count: int = 0
    first_s: float = 0.0
    last_s: float = 0.0
    per_second: list[tuple[float, int]] = []
    """(t_s, count), thinned out in a long run."""
    status: int | None = None
    text: str = ""
    """What was raised or said, for people."""
    body: str = ""
    """The first 200 characters of the response, secrets masked."""
    request: str = ""
    """`POST /orders`."""
    where: str = ""
    """`shop.py:17 in buy`, where the script itself raised."""


class ScriptError(msgspec.Struct, kw_only=True):
    """Something that a user's script raised."""

    scenario: str
    error: str
    """`IndexError: list index out of range`."""
    where: str = ""
    """`shop.py:17 in buy`."""
    count: int = 0
    first_s: float = 0.0
    last_s: float = 0.0


class Endpoint(msgspec.Struct, kw_only=True):
    """One endpoint over the whole run."""

    requests: int
    failures: int
    errors: dict[str, int] = {}
    response_bytes: int = 0
    response_ms: Quantiles
    service_ms: Quantiles
    response_buckets: Buckets = Buckets()
    service_buckets: Buckets = Buckets()
    unanswered: int = 0
    """Of `failures`: in flight when the drain ended. They are in `response_ms` at their age then."""
    ok_response_ms: Quantiles = Quantiles()
    """Of responses without an error alone."""
    ok_response_buckets: Buckets = Buckets()
    evidence: dict[str, Evidence] = {}
    """By class of error, as in `errors`."""


class Generator(msgspec.Struct, kw_only=True):
    """How well the harness itself behaved."""

    workers: int = 0
    dispatch_lag_ms: Quantiles = Quantiles()
    queueing_ms: Quantiles = Quantiles()
    """How long arrivals waited for an idle user: the target's doing."""
    cpu_max: float = 0.0
    """Highest CPU share of any worker over any five seconds, 1.0 = one core."""
    report_gaps: int = 0
    worker_notes: list[str] = []
    """What happened to workers, in sentences: joined late, lost, replaced, re-sliced."""
    per_worker: list[dict[str, Any]] = []
    users: dict[str, dict[str, Any]] = {}
    """Of each scenario whose users could not all start: `wanted`, `ready` and `why_not`."""


class TimelinePoint(msgspec.Struct, kw_only=True):
    """One second of the run (longer where a long run was thinned out)."""

    t_s: float
    planned_tps: float = 0.0
    started_tps: float = 0.0
    completed_tps: float = 0.0
    failed_tps: float = 0.0
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
    dispatch_lag_p99_ms: float = 0.0
    heat: list[tuple[int, int]] = []
    """(upper bound in microseconds, count), about four to an octave, for the heat map."""


class Stretch(msgspec.Struct, kw_only=True):
    """What happened between two instants: a phase of the profile, or a window that an SLO asks about.

    Everything belongs to the stretch in which it was *intended*, however late it started or ended.
    """

    name: str
    """The phase's name; empty for a window."""
    from_s: float
    to_s: float
    endpoints: dict[str, Endpoint] = {}
    arrivals: Arrivals = msgspec.field(default_factory=Arrivals)
    transactions: int = 0
    """Orders created."""
    patterns: dict[str, Endpoint] = {}
    """As `RunResult.patterns`."""


class SloResult(msgspec.Struct, kw_only=True):
    """One service-level objective and what was seen of it."""

    expr: str
    observed: float | None
    """In the unit that `expr` is written in. None: no data, which is not a pass."""
    passed: bool
    note: str = ""
    source: str = "plan"
    """`plan`, `flag`, or `implicit`: one that holds for every run, unless one's own takes its place."""


class Validity(msgspec.Struct, kw_only=True):
    """Whether the run measured what it set out to: VALID, DEGRADED or INVALID, with reasons."""

    verdict: str = "VALID"
    reasons: list[str] = []


class Audit(msgspec.Struct, kw_only=True):
    """The client's books against the service's."""

    acknowledged: int
    stored: int
    lost: int
    duplicated: int
    oversold: int
    phantom: int
    shadow_leaks: int
    unknown: int = 0
    """Sent, never answered: may or may not be stored, and neither is wrong."""

    @property
    def balanced(self) -> bool:
        """True when nothing is lost, twice, oversold, invented or leaked."""
        return not (self.lost or self.duplicated or self.oversold or self.phantom or self.shadow_leaks)


class RunResult(msgspec.Struct, kw_only=True):
    """Everything a run found out."""

    schema: int = SCHEMA_VERSION
    run: RunInfo
    arrivals: Arrivals
    transactions: Transactions
    endpoints: dict[str, Endpoint] = {}
    """Keyed `METHOD name`; an arrival of several requests has an entry keyed `arrival SCENARIO`."""
    patterns: dict[str, Endpoint] = {}
    """Of each pattern that an objective names: every request that matches it, also beyond the limit of names."""
    script_errors: list[ScriptError] = []
    generator: Generator = msgspec.field(default_factory=Generator)
    timeline: list[TimelinePoint] = []
    gauges: dict[str, list[tuple[float, float]]] = {}
    """(t_s, value) of what was sampled beside the traffic, by name with unit: `service_memory_bytes` …"""
    stretches: list[Stretch] = []
    """Each phase, and each window that an SLO names (`loadtest.judge.slo.wanted_stretches`)."""
    slo: list[SloResult] = []
    validity: Validity = msgspec.field(default_factory=Validity)
    audit: Audit | None = None
    unaudited: str = "no database given (--audit-store)"
    """Why there is no audit, where there is none."""
    findings: list[str] = []
    """What the target, the pool or the script did wrong, a sentence each: what to look at first."""
    verdict: str = "PASS"
    """PASS, FAIL (an SLO), INVALID, ABORTED or AUDIT."""
    exit_code: int = 0
    events: list[tuple[float, str]] = []
    """(t_s, what happened): faults, re-slices, aborts; marked on the report's time axis."""
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
