"""Whether a run measured what it set out to, judged before any SLO is.

A load test can fail by its own fault: the generator was late, its core was taken, a worker died, a report was
lost. Such a run says nothing about the target, good or bad, so it is INVALID. What went wrong but was healed
makes it DEGRADED: still evidence, with a note. The thresholds are those of DESIGN section 3; a reason is a
sentence that says who, how much, and what to do.
"""

from typing import Any

from loadtest.measure.run_result import RunResult, Validity

VALID, DEGRADED, INVALID = "VALID", "DEGRADED", "INVALID"
MAX_LAG_P99_MS = 10.0
MAX_CPU = 0.90
MAX_RATE_ERROR = 0.01
"""Share of the schedule that may not have been started for the generator's own reasons."""
TAKEN_CORE = 0.05
"""Share of the time spent waiting for a core above which others explain a late generator."""


def judge_validity(result: RunResult) -> Validity:
    """The verdict on the generator, with every reason there is."""
    invalid = [*_late(result), *_saturated(result), *_unreported(result), *_off_schedule(result)]
    degraded = _healed(result)
    if invalid:
        return Validity(verdict=INVALID, reasons=[*invalid, *degraded])
    return Validity(verdict=DEGRADED if degraded else VALID, reasons=degraded)


def _late(result: RunResult) -> list[str]:
    if result.generator.dispatch_lag_ms.p99 <= MAX_LAG_P99_MS:
        return []
    late = [w for w in result.generator.per_worker if w["dispatch_lag_p99_ms"] > MAX_LAG_P99_MS]
    lag_ms = result.generator.dispatch_lag_ms.p99
    advice = "use more workers or a lower peak"
    return [_late_worker(worker) for worker in late] or [
        f"arrivals were {lag_ms:.0f} ms late at p99, more than {MAX_LAG_P99_MS:.0f} ms: {advice}"
    ]


def _late_worker(worker: dict[str, Any]) -> str:
    busy, waited = worker["cpu_max"], worker["cpu_wait_max"]
    if waited > TAKEN_CORE:
        why = f"others kept its core from it {waited:.0%} of the time: stop what else runs there, or lower the peak"
    elif busy > MAX_CPU:
        why = f"its core was {busy:.0%} busy: use more workers or a lower peak"
    else:
        why = f"its process was paused (it used {busy:.0%} of a core): look for what stopped it"
    return f"{worker['name']} was {worker['dispatch_lag_p99_ms']:.0f} ms late at p99 and {why}"


def _saturated(result: RunResult) -> list[str]:
    return [
        f"{worker['name']} used {worker['cpu_max']:.0%} of its core for five seconds, more than "
        f"{MAX_CPU:.0%}: its latencies include its own work; use more workers or a lower peak"
        for worker in result.generator.per_worker
        if worker["cpu_max"] > MAX_CPU
    ]


def _unreported(result: RunResult) -> list[str]:
    gaps = result.generator.report_gaps
    return [f"{gaps} worker report(s) never arrived: what was in them is unknown"] if gaps else []


def _off_schedule(result: RunResult) -> list[str]:
    """Arrivals neither started nor dropped for the target's sake, as a share of what was planned."""
    arrivals = result.arrivals
    if not arrivals.planned:
        return ["the plan held no arrival: nothing was measured"]
    if arrivals.lost < 0:
        return [
            f"{-arrivals.lost} arrivals were served that the plan does not hold: a worker ran a wrong slot"
        ]
    missing = arrivals.lost / arrivals.planned
    if missing <= MAX_RATE_ERROR:
        return []
    return [f"{arrivals.lost} of {arrivals.planned} planned arrivals ({missing:.1%}) died with their worker"]


def _healed(result: RunResult) -> list[str]:
    notes = list(result.generator.worker_notes)
    if result.arrivals.lost > 0:
        notes.append(f"{result.arrivals.lost} arrivals died with a worker")
    return notes
