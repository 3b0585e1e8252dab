"""Validity: every way the generator can fail is told apart, in a sentence that says what to do."""

from typing import Any

import pytest

from loadtest.judge.validity import DEGRADED, INVALID, VALID, judge_validity
from loadtest.measure.run_result import (
    Arrivals,
    Generator,
    Quantiles,
    RunInfo,
    RunResult,
    Transactions,
)


def worker(**changes: Any) -> dict[str, Any]:
    """A worker that did well, but for `changes`."""
    well = {
        "name": "worker 2",
        "started": 1000,
        "cpu_max": 0.3,
        "cpu_wait_max": 0.01,
        "dispatch_lag_p99_ms": 0.2,
        "report_gaps": 0,
    }
    return {**well, **changes}


def run(
    *,
    lost: int = 0,
    planned: int = 1000,
    notes: list[str] | None = None,
    gaps: int = 0,
    late: int | None = None,
    **of_worker: Any,
) -> RunResult:
    """A run of one worker."""
    one = worker(**of_worker)
    served = planned - lost
    return RunResult(
        run=RunInfo(id="r", plan="p", started_at="", duration_s=10.0, seed=1, versions={}, machine={}),
        arrivals=Arrivals(planned=planned, scheduled=served, lost=lost, started=served, ok=served),
        transactions=Transactions(count=served),
        generator=Generator(
            workers=1,
            dispatch_lag_ms=Quantiles(
                count=served, p99=one["dispatch_lag_p99_ms"], max=one["dispatch_lag_p99_ms"]
            ),
            late_arrivals=late,
            cpu_max=one["cpu_max"],
            report_gaps=gaps,
            worker_notes=notes or [],
            per_worker=[one],
        ),
    )


def test_a_run_without_trouble_is_valid_and_needs_no_reason() -> None:
    judged = judge_validity(run())
    assert (judged.verdict, judged.reasons) == (VALID, [])


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (
            run(dispatch_lag_p99_ms=34.2, cpu_max=0.97),
            (
                "worker 2 sent requests 34 ms late (p99): its own work took 97% of a CPU; "
                "use more workers or lower the peak"
            ),
        ),
        (
            run(dispatch_lag_p99_ms=34.2, cpu_wait_max=0.6),
            (
                "worker 2 sent requests 34 ms late (p99): other programs used worker 2's CPU 60% of the time; "
                "stop them, or lower the peak if the target is one of them"
            ),
        ),
        (
            run(dispatch_lag_p99_ms=1200.0, cpu_max=0.2),
            (
                "worker 2 sent requests 1200 ms late (p99) although it used only 20% of a CPU: its process was "
                "paused; find out what paused it"
            ),
        ),
        (run(cpu_max=0.95), "worker 2 used 95% of a CPU for five seconds, more than 90%"),
        (run(gaps=3), "3 reports of workers never reached the master"),
        (
            run(lost=20),
            "20 of 1,000 planned arrivals (2.0%) were lost when a worker crashed, froze or was ended; see",
        ),
        (run(lost=-1), "1 more arrivals were served than the plan has"),
        (run(planned=0), "the plan has no arrival in this time, so nothing was measured"),
    ],
)
def test_a_generator_at_fault_is_invalid_and_the_reason_says_why(result: RunResult, reason: str) -> None:
    judged = judge_validity(result)
    assert judged.verdict == INVALID
    assert judged.reasons[0].startswith(reason)


@pytest.mark.parametrize(
    "result", [run(dispatch_lag_p99_ms=10.0), run(cpu_max=0.90), run(lost=10, notes=["x"])]
)
def test_the_thresholds_themselves_are_still_good(result: RunResult) -> None:
    assert judge_validity(result).verdict != INVALID


@pytest.mark.parametrize(("planned", "late"), [(20, 2), (40, 1), (150, 2)])
def test_one_stall_of_a_small_run_is_told_and_forgiven_where_every_objective_was_met_in_spite_of_it(
    planned: int, late: int
) -> None:
    result = run(planned=planned, late=late, dispatch_lag_p99_ms=80.0)
    assert judge_validity(result).verdict == INVALID, "nobody knows whose fault a missed objective is"
    judged = judge_validity(result, objectives_met=True)
    assert judged.verdict == DEGRADED
    assert judged.reasons[0].startswith(f"{late} of {planned} arrivals were sent up to 80 ms late")


@pytest.mark.parametrize(("planned", "late"), [(19, 2), (5, 1), (40, 3), (300, 4), (1000, None)])
def test_more_than_one_stall_is_never_forgiven(planned: int, late: int | None) -> None:
    result = run(planned=planned, late=late, dispatch_lag_p99_ms=80.0)
    assert judge_validity(result, objectives_met=True).verdict == INVALID


def test_a_run_shorter_than_five_seconds_is_judged_by_the_cpu_of_its_whole_length() -> None:
    result = run(cpu_max=0.95)
    result.run.duration_s = 4.0
    assert judge_validity(result).reasons[0].startswith("worker 2 used 95% of a CPU for the whole run, more")


def test_what_was_healed_degrades_and_is_told() -> None:
    judged = judge_validity(run(lost=5, notes=["3.0 s: worker 1 was lost: no report for 2 s"]))
    assert judged.verdict == DEGRADED
    assert judged.reasons == [
        "3.0 s: worker 1 was lost: no report for 2 s",
        "5 planned arrivals were lost when worker 1 crashed, froze or was ended",
    ]


@pytest.mark.parametrize("lost", [5, 20])
def test_what_was_lost_with_the_master_is_not_put_down_to_a_worker(lost: int) -> None:
    (reason,) = judge_validity(run(lost=lost), final=False).reasons
    assert "were lost when the master was killed" in reason
    assert "worker" not in reason


@pytest.mark.parametrize("lost", [5, 20])
def test_a_worker_that_was_lost_before_the_master_is_named_all_the_same(lost: int) -> None:
    noted = run(lost=lost, notes=["3.0 s: worker 1 was lost: no report for 2 s"])
    reasons = judge_validity(noted, final=False).reasons
    assert any("lost when worker 1 crashed, froze or was ended" in reason for reason in reasons)


def test_an_invalid_run_tells_what_was_healed_as_well() -> None:
    judged = judge_validity(run(gaps=1, notes=["1.0 s: worker 3 joined"]))
    assert judged.verdict == INVALID
    assert judged.reasons[-1] == "1.0 s: worker 3 joined"


def test_a_fleet_that_is_late_as_a_whole_is_invalid_even_if_no_single_worker_stands_out() -> None:
    result = run()
    result.generator.dispatch_lag_ms = Quantiles(count=1000, p99=12.0)
    judged = judge_validity(result)
    assert judged.verdict == INVALID
    assert judged.reasons == [
        "requests were sent 12 ms late (p99), more than 10 ms; use more workers or lower the peak"
    ]


def test_a_clock_that_was_off_and_corrected_is_no_reason() -> None:
    assert judge_validity(run(clock_offset_ms=59_000.0)).reasons == []


def test_a_clock_that_is_wrong_by_more_than_a_minute_makes_the_run_invalid() -> None:
    judged = judge_validity(run(clock_offset_ms=-90_000.0))
    assert judged.verdict == INVALID
    assert judged.reasons == [
        "the clock of worker 2 is 90 s behind the master's; set it (for instance with NTP) and run again"
    ]
