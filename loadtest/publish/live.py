"""A run as the web page shows it while it goes on: one small record, asked for each second.

The page keeps what it has been told and asks for the rest, so an answer holds a few seconds of the run however
long it lasts. Its charts are those of the report (`run_charts`), sent as the same `Sheet`. `History` remembers them
for pages that come late, thinned to what a chart has room for.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from loadtest.judge.never_requested import SURE_AFTER_S
from loadtest.judge.validity import MAX_LAG_P99_MS
from loadtest.measure.run_result import RunInfo, RunResult, SloResult, TimelinePoint
from loadtest.publish import wording
from loadtest.publish.network import NetworkRow
from loadtest.publish.series import Sheet
from loadtest.publish.timeline import thin
from loadtest.records import TRANSACTION

MOST_POINTS = 1200
"""Bins a run is divided into at most: more than any screen has columns for."""
MOST_ERRORS = 8
MOST_ENDPOINTS = 100
MOST_SAMPLE = 300
"""Characters of an error's example."""
LATE_S = 5
"""How long after its end a second may still change on the page; the final result corrects what came later."""

WAITING, DONE = "waiting", "done"
RATE_S, LEAST_SHARE, RANDOM_SD = 5, 0.95, 3.0
"""A rate is not reached when in so many seconds less than this share is completed, and not by chance."""
WORSE_AFTER_S, BETTER_AFTER_S = 3.0, 10.0
_WORDS = ("PASS", "AT RISK", "FAIL", "INVALID")
"""What a verdict so far may be, the worse the later."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What does not change while a run goes on."""

    id: str
    plan: str
    started_at: str
    duration_s: float
    targets: list[str]
    peak_tps: float
    phases: list[tuple[float, float, str]]
    folder: str = ""
    """Where the run's files are made, on the master."""
    max_lag_ms: float = MAX_LAG_P99_MS


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict so far, or the final one."""

    word: str
    sentence: str
    reasons: list[str]
    final: bool


class Objective(msgspec.Struct, frozen=True, kw_only=True):
    """One SLO so far."""

    expr: str
    observed: str
    state: str
    """`met`, `missed` or `waiting` for data."""
    note: str = ""


class Error(msgspec.Struct, frozen=True, kw_only=True):
    """One class of error of one endpoint so far, in words."""

    error: str
    endpoint: str
    count: int
    share: str
    when: str
    """First to last second in which it came."""
    sample: str


class EndpointRow(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint so far; `rate` over the last seconds, latencies over the whole run."""

    name: str
    requests: int
    share: float
    """Of all requests."""
    rate: float
    p50: float | None
    p99: float | None
    failures: int


class WorkerRow(msgspec.Struct, frozen=True, kw_only=True):
    """One worker."""

    name: str
    state: str
    """`serving`, `done` once its last report has come, or `lost`."""
    cpu: float
    """Share of one core, over its last five seconds."""
    started: int
    in_flight: int
    backlog: int
    lag_p99_ms: float
    report_gaps: int


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """A run of this session that is over."""

    name: str
    """Its folder's name, which is its report's address too."""
    plan: str
    verdict: str
    peak_tps: float


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the page shows."""

    state: str = "idle"
    """idle, waiting, running, draining or done."""
    noun: str = TRANSACTION
    """What one transaction is, by what has been sent so far."""
    run: Head | None = None
    t_s: float = 0.0
    sheet: Sheet | None = None
    """The charts: all of a run that the page does not know, else what may have changed since it asked."""
    verdict: Verdict | None = None
    equations: list[tuple[str, bool]] = []
    audit: str = ""
    """What the audit of a run that is over came to, in words; empty while it goes on."""
    lag_ms: dict[str, float] = {}
    queueing_ms: dict[str, float] = {}
    requests: int = 0
    failures: int = 0
    dropped: int = 0
    report_gaps: int = 0
    workers: list[WorkerRow] = []
    slo: list[Objective] = []
    endpoints: list[EndpointRow] = []
    more_endpoints: int = 0
    network: list[NetworkRow] = []
    errors: list[Error] = []
    events: list[tuple[float, str]] = []
    finished: list[Finished] = []


class History:
    """The timeline so far, in bins of `bin_s` seconds."""

    def __init__(self, duration_s: float) -> None:
        """For a run of `duration_s` seconds."""
        self.bin_s = max(1, math.ceil(duration_s / MOST_POINTS))
        self._bins: dict[int, TimelinePoint] = {}
        self._open: dict[int, TimelinePoint] = {}

    def update(self, seconds: Iterable[TimelinePoint]) -> None:
        """Add seconds that are new or have changed; those of settled bins are ignored."""
        for second in seconds:
            if int(second.t_s) // self.bin_s not in self._bins:
                self._open[int(second.t_s)] = second
        newest = max(self._open, default=0)
        for number in {index // self.bin_s for index in self._open}:
            if (number + 1) * self.bin_s + LATE_S <= newest:
                self._bins[number] = self._fold(number)
                for index in self._open_in(number):
                    del self._open[index]

    def since(self, t_s: float) -> list[TimelinePoint]:
        """Every bin that begins at `t_s` or later or may have changed since then, oldest first."""
        still_open = sorted({index // self.bin_s for index in self._open})
        settled = [
            point for number, point in sorted(self._bins.items()) if number * self.bin_s >= t_s - LATE_S
        ]
        return settled + [self._fold(number) for number in still_open]

    def _fold(self, number: int) -> TimelinePoint:
        folded = thin([self._open[index] for index in self._open_in(number)], 1)[0]
        return msgspec.structs.replace(folded, t_s=number * self.bin_s)

    def _open_in(self, number: int) -> list[int]:
        """The open seconds of a bin, in order; found among the open ones, since a bin may be of any length."""
        return sorted(index for index in self._open if index // self.bin_s == number)


def head(info: RunInfo, folder: str) -> Head:
    """What the page needs to know of a run once."""
    return Head(
        id=info.id,
        plan=info.plan,
        started_at=info.started_at,
        duration_s=info.duration_s,
        targets=info.targets,
        peak_tps=float(info.settings.get("peak_tps", 0.0)),
        phases=info.phases,
        folder=folder,
    )


def verdict(
    result: RunResult, *, over: bool, played_s: float = math.inf, dangers: Sequence[str] = ()
) -> Verdict:
    """The verdict of a run; while it goes on, the verdict so far.

    `dangers` are sentences about what no objective shows: workers that are lost, a rate that is not reached.
    """
    if over:
        word, sentence, reasons = wording.headline(result)
        return Verdict(word=word, sentence=sentence, reasons=reasons, final=True)
    if not result.arrivals.scheduled:
        return Verdict(word="WAITING", sentence="The workers are getting ready.", reasons=[], final=False)
    reasons = [*result.validity.reasons, *dangers, *result.findings, *early_word(result, played_s)]
    if result.validity.verdict == "INVALID":
        sentence = "The load generator falls behind, so these numbers cannot be trusted."
        return Verdict(word="INVALID", sentence=sentence, reasons=reasons, final=False)
    missed = [slo for slo in result.slo if slo.observed is not None and not slo.passed]
    if missed:
        sentence = f"{len(missed)} of {len(result.slo)} objectives would be missed."
        said = [f"{wording.expression(slo)}: {wording.observed(slo)} so far." for slo in missed]
        return Verdict(word="FAIL", sentence=sentence, reasons=said + reasons, final=False)
    if dangers:
        sentence = "Every objective with data is met so far, but the run is not going as planned."
        return Verdict(word="AT RISK", sentence=sentence, reasons=reasons, final=False)
    sentence = "Every objective with data is met so far, and the load generator keeps to its plan."
    return Verdict(word="PASS", sentence=sentence, reasons=reasons, final=False)


def dangers(workers: Sequence[WorkerRow], recent: Sequence[TimelinePoint], noun: str) -> list[str]:
    """What no objective shows: lost workers, and a rate that the target does not reach over `recent` seconds."""
    said = [
        f"{worker.name} is lost; the others have taken over its arrivals."
        for worker in workers
        if worker.state == "lost"
    ]
    planned, done = (sum(getattr(p, name) for p in recent) for name in ("planned_tps", "completed_tps"))
    if len(recent) >= RATE_S and done < planned * LEAST_SHARE - RANDOM_SD * planned**0.5:
        rates = f"{wording.rate(done / len(recent))} of {wording.rate(planned / len(recent))} {noun}s/s"
        said.append(f"The target completes less than is planned: {rates} over the last {len(recent)} s.")
    return said


class SteadyVerdict:
    """Keeps the word from flickering: it gets worse after `WORSE_AFTER_S` seconds, better after `BETTER_AFTER_S`."""

    def __init__(self) -> None:
        self._said: Verdict | None = None
        self._other_since_s: float | None = None

    def say(self, now: Verdict, at_s: float) -> Verdict:
        """The verdict to show at `at_s`, given what it would be by this second alone."""
        said = self._said
        if said is None or now.final or said.word in {now.word, "WAITING"} or now.word not in _WORDS:
            return self._change(now)
        since_s = self._other_since_s = at_s if self._other_since_s is None else self._other_since_s
        worse = _WORDS.index(now.word) > _WORDS.index(said.word)
        return self._change(now) if at_s - since_s >= (WORSE_AFTER_S if worse else BETTER_AFTER_S) else said

    def _change(self, now: Verdict) -> Verdict:
        self._said, self._other_since_s = now, None
        return now


def endpoint_rows(result: RunResult, recent: Mapping[str, float] | None) -> list[EndpointRow]:
    """The endpoints asked most; `recent` is their requests a second of late by name, None after the end."""
    total = wording.total_requests(result)[0] or 1
    if recent is None:
        length_s = result.run.duration_s or 1.0
        recent = {name: endpoint.requests / length_s for name, endpoint in result.endpoints.items()}
    return [
        EndpointRow(
            name=name,
            requests=endpoint.requests,
            share=endpoint.requests / total,
            rate=round(recent.get(name, 0.0), 2),
            p50=endpoint.response_ms.p50 if endpoint.response_ms.count else None,
            p99=endpoint.response_ms.p99 if endpoint.response_ms.count else None,
            failures=endpoint.failures,
        )
        for name, endpoint in list(result.endpoints.items())[:MOST_ENDPOINTS]
    ]


def objectives(slos: Iterable[SloResult], verdict: Verdict) -> list[Objective]:
    """Each SLO with what was observed, in words, and what the verdict leaves of it."""
    return [
        Objective(
            expr=wording.expression(slo),
            observed=wording.observed(slo),
            state=_state(slo, verdict),
            note=slo.note,
        )
        for slo in slos
    ]


def errors(result: RunResult) -> list[Error]:
    """The most frequent errors so far, each with an example."""
    return [
        Error(
            error=row.error,
            endpoint=row.endpoint,
            count=row.failures,
            share=row.share,
            when=row.when,
            sample=row.sample[:MOST_SAMPLE],
        )
        for row in wording.error_rows(result)[:MOST_ERRORS]
    ]


def early_word(result: RunResult, played_s: float) -> list[str]:
    """Objectives without data some seconds into the run, with the nearest endpoint that is requested."""
    if played_s < SURE_AFTER_S:
        return []
    return [f"{slo.expr}: {slo.note} so far" for slo in result.slo if slo.observed is None and slo.note]


def equations(result: RunResult, *, over: bool) -> list[tuple[str, bool]]:
    """The arrivals' equations; while the run goes on, with terms for what waits and what is in flight."""
    if over:
        return wording.identities(result)
    a = result.arrivals
    waiting, in_flight = (
        a.scheduled - a.started - a.dropped,
        a.started - a.ok - a.failed - a.empty - a.cancelled,
    )
    ended = (
        f"started {a.started:,} = ok {a.ok:,} + failed {a.failed:,} + empty {a.empty:,} "
        f"+ cancelled {a.cancelled:,}"
    )
    return [
        (
            f"scheduled {a.scheduled:,} = started {a.started:,} + dropped {a.dropped:,} + waiting {waiting:,}",
            True,
        ),
        (f"{ended} + in flight {in_flight:,}", in_flight >= 0),
    ]


def audit(result: RunResult, *, over: bool, under_way: bool) -> str:
    """The outcome of the audit, or why there is none; empty before the end."""
    if not over:
        return ""
    if under_way:
        return "The orders are being compared with the database."
    if result.audit is None:
        return f"The orders were not checked: {result.unaudited}."
    return f"Audit: {wording.audit(result)}."


def _state(slo: SloResult, verdict: Verdict) -> str:
    if slo.observed is None and not verdict.final:
        return "waiting"
    return wording.judged(slo, verdict.word)
