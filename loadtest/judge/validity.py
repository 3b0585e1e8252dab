"""Whether the load generator did its part of a run, judged before any objective is.

A load test can fail by its own fault: the generator was late, other programs used its CPU, a worker crashed, a
report was lost. Such a run says nothing about the target, good or bad, so it is INVALID. What went wrong but was
healed makes it DEGRADED: still evidence, with a note. The thresholds are those of docs/design.md. A reason is
one plain sentence: who, how much, and what to do. What the script or the target did is in `judge.findings`.
"""

import re
from typing import Any

from loadtest.judge.consistency import contradictions
from loadtest.judge.recovery import unplayed
from loadtest.measure.run_result import LATE_MS, RunResult, Validity

VALID, DEGRADED, INVALID = "VALID", "DEGRADED", "INVALID"
MAX_LAG_P99_MS = LATE_MS
FEW_LATE = 2
FEW_LATE_SHARE = 0.1
"""So few late arrivals, and no larger share of all, may be one stall (two, since it often delays a neighbour). Of
forty arrivals a single one is the p99. Its lateness is in the response times, so it can only make them worse: where
every objective was met all the same, the run proves that they are; where one was missed, nobody knows whose fault
that is, and the run is INVALID as ever."""
MAX_CPU = 0.90
CPU_JUDGED_S = 5.0
"""CPU is judged over any five seconds, of a shorter run over its whole length."""
MAX_RATE_ERROR = 0.01
"""Share of the schedule that may not have been started for the generator's own reasons."""
TAKEN_CORE = 0.05
"""Share of the time spent waiting for a core above which other programs explain a late generator."""
_LOST_WORKER = re.compile(r"(worker \S+) was lost")
MAX_CLOCK_MS = 60_000.0
"""Beyond this a clock is wrong, not merely off: no worker with such a clock may serve (`fleet.coordinator`)."""


def judge_validity(result: RunResult, *, objectives_met: bool = False, final: bool = True) -> Validity:
    """The verdict on the generator, with every reason there is.

    `objectives_met` says that each objective was met, so that a single stall can be forgiven (`FEW_LATE`). Only a
    `final` record has to agree with itself; any other is told of a run whose master was killed.
    """
    forgiven = objectives_met and _one_stall(result)
    late = _late(result)
    invalid = [
        *([] if forgiven else late),
        *_saturated(result),
        *_unreported(result),
        *_off_schedule(result, final=final),
        *_wrong_clocks(result),
        *unplayed(result),
        *(contradictions(result) if final else []),
    ]
    degraded = [*(_stall(result) if forgiven and late else []), *_healed(result, final=final)]
    if invalid:
        return Validity(verdict=INVALID, reasons=[*invalid, *degraded])
    return Validity(verdict=DEGRADED if degraded else VALID, reasons=degraded)


def _late(result: RunResult) -> list[str]:
    if result.generator.dispatch_lag_ms.p99 <= MAX_LAG_P99_MS:
        return []
    lag_ms = result.generator.dispatch_lag_ms.p99
    return [_late_worker(worker) for worker in _late_workers(result)] or [
        (
            f"requests were sent {lag_ms:.0f} ms late (p99), more than {MAX_LAG_P99_MS:.0f} ms; "
            "use more workers or lower the peak"
        )
    ]


def taken_by_others(result: RunResult) -> bool:
    """Whether a worker was late because other programs used its CPU: another try may find it free."""
    return any(worker["cpu_wait_max"] > TAKEN_CORE for worker in _late_workers(result))


def _late_workers(result: RunResult) -> list[dict[str, Any]]:
    return [one for one in result.generator.per_worker if one["dispatch_lag_p99_ms"] > MAX_LAG_P99_MS]


def _one_stall(result: RunResult) -> bool:
    late = result.generator.late_arrivals
    return late is not None and late <= min(FEW_LATE, FEW_LATE_SHARE * result.arrivals.started)


def _stall(result: RunResult) -> list[str]:
    generator = result.generator
    return [
        (
            f"{generator.late_arrivals} of {result.arrivals.started:,} arrivals were sent up to "
            f"{generator.dispatch_lag_ms.max:.0f} ms late; that time is in the response times, and every objective "
            "was met all the same"
        )
    ]


def _late_worker(worker: dict[str, Any]) -> str:
    name, busy, waited = worker["name"], worker["cpu_max"], worker["cpu_wait_max"]
    late = f"{name} sent requests {worker['dispatch_lag_p99_ms']:.0f} ms late (p99)"
    if waited > TAKEN_CORE:
        return (
            f"{late}: other programs used {name}'s CPU {waited:.0%} of the time; stop them, or lower the peak if "
            "the target is one of them"
        )
    if busy > MAX_CPU:
        return f"{late}: its own work took {busy:.0%} of a CPU; use more workers or lower the peak"
    return (
        f"{late} although it used only {busy:.0%} of a CPU: its process was paused; "
        "find out what paused it (a debugger, a full disk, a suspended machine)"
    )


def _saturated(result: RunResult) -> list[str]:
    length = "for five seconds" if result.run.duration_s >= CPU_JUDGED_S else "for the whole run"
    return [
        f"{worker['name']} used {worker['cpu_max']:.0%} of a CPU {length}, more than {MAX_CPU:.0%}, so its "
        "own work is in the response times; use more workers or lower the peak"
        for worker in result.generator.per_worker
        if worker["cpu_max"] > MAX_CPU
    ]


def _unreported(result: RunResult) -> list[str]:
    gaps = result.generator.report_gaps
    if not gaps:
        return []
    return [
        (
            f"{gaps:,} report{'s' * (gaps != 1)} of workers never reached the master, so requests are missing from "
            "the figures; check the network between workers and master, then run again"
        )
    ]


def _off_schedule(result: RunResult, *, final: bool) -> list[str]:
    """Arrivals neither started nor dropped for the target's sake, as a share of what was planned."""
    arrivals = result.arrivals
    if not arrivals.planned:
        return [
            "the plan has no arrival in this time, so nothing was measured; raise peak_tps or the duration"
        ]
    if arrivals.lost < 0:
        return [
            (
                f"{-arrivals.lost:,} more arrivals were served than the plan has: a worker served arrivals that "
                "were assigned to another; report this as a defect of the harness"
            )
        ]
    missing = arrivals.lost / arrivals.planned
    if missing <= MAX_RATE_ERROR:
        return []
    advice = "; see that worker's log, then run again" if final or _crashed(result) else ""
    lost = f"{arrivals.lost:,} of {arrivals.planned:,} planned arrivals ({missing:.1%}) were lost"
    return [f"{lost}{_how_lost(result, final=final)}{advice}"]


def _how_lost(result: RunResult, *, final: bool) -> str:
    """`` when worker 2 crashed``, as far as the notes tell."""
    names = _crashed(result)
    if names:
        return (
            f" when {' and '.join(names[:3])}{' and others' * (len(names) > 3)} crashed, froze or was ended"
        )
    if final:
        return " when a worker crashed, froze or was ended"
    return " when the master was killed: nobody reported what became of them"


def _crashed(result: RunResult) -> list[str]:
    """The workers of which the notes say that they were lost, each once."""
    lost = [found[1] for note in result.generator.worker_notes if (found := _LOST_WORKER.search(note))]
    return list(dict.fromkeys(lost))


def _wrong_clocks(result: RunResult) -> list[str]:
    return [
        f"the clock of {name} is {abs(off_ms) / 1000:,.0f} s {_direction(off_ms)} the master's; "
        "set it (for instance with NTP) and run again"
        for name, off_ms in _clocks(result)
        if abs(off_ms) > MAX_CLOCK_MS
    ]


def _clocks(result: RunResult) -> list[tuple[str, float]]:
    """(worker, how far its clock is ahead in ms) of each worker whose clock was measured."""
    return [
        (w["name"], w["clock_offset_ms"]) for w in result.generator.per_worker if w.get("clock_offset_ms")
    ]


def _direction(offset_ms: float) -> str:
    return "ahead of" if offset_ms > 0 else "behind"


def _healed(result: RunResult, *, final: bool) -> list[str]:
    notes = list(result.generator.worker_notes)
    lost = result.arrivals.lost
    if 0 < lost <= MAX_RATE_ERROR * result.arrivals.planned:
        notes.append(f"{lost:,} planned arrivals were lost{_how_lost(result, final=final)}")
    return notes
