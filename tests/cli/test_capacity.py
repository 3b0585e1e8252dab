"""`singlesday capacity`, without its generators: what it asks them for, and what it makes of what they saw."""

import re
from collections.abc import Sequence
from io import StringIO
from math import inf
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from loadtest.cli import capacity
from loadtest.cli.capacity import asked_search
from loadtest.cli.main import app
from loadtest.cli.run_session import NothingToJudgeError, Session
from loadtest.cli.step import Order, Report
from loadtest.cli.step_workers import Seen, StepWorkers, seen
from loadtest.configuration.config_error import ConfigError
from loadtest.configuration.run_config import RunConfig
from loadtest.exit_codes import ExitCode
from loadtest.fleet.messages import pack_second
from loadtest.judge.capacity import Outcome
from loadtest.judge.capacity_result import CapacityResult
from loadtest.judge.slo_syntax import Slo, parse
from loadtest.judge.usl import Bill, Interval
from loadtest.measure.second import Second
from loadtest.plan.plan_file import Plan, shipped_drills
from loadtest.records import Outcome as Request

ASKED = {"tolerance": 0.03, "duration": None, "start_tps": None, "for_tps": 583_000.0}
MS = 1_000_000


def config(plan: str = "steady", **more: object) -> RunConfig:
    return RunConfig(plan=Plan.load(plan), plan_name=plan, conducted=True, **more)  # type: ignore[arg-type]


def report(
    count: int = 1000, took_ms: float = 5.0, error: str | None = None, late_ms: float = 0.1, **more: object
) -> Report:
    """What a worker saw that started `count` arrivals of one request each."""
    second = Second(1, scheduled=count, started=count)
    second.failed = count if error else 0
    for _ in range(count):
        second.endpoint(("POST", "/orders")).add(
            Request("POST", "/orders", 0, 0, round(took_ms * MS), 10, error)
        )
        second.dispatch_lag.record_ns(round(late_ms * MS))
    fields = {"measured_s": 2.0, "completed_tps": count / 2, "cpu": 0.3, "cpu_wait": 0.0, **more}
    return Report(total=pack_second(second), **fields)  # type: ignore[arg-type]


def test_objectives_of_phases_windows_and_drift_are_left_out_and_named() -> None:
    whole, settings = asked_search(config("spike"), ASKED)
    assert settings.left_out
    assert all(parse(expr).phase is None and parse(expr).window_s is None for expr in whole.plan.slos)
    assert set(settings.left_out) | set(whole.plan.slos) == set(config("spike").plan.slos)


def test_a_rate_is_a_rate_whatever_the_plans_own_curve_peak_and_time_scale() -> None:
    whole, _ = asked_search(config("singles-day"), ASKED)
    profile = whole.plan.at_rate(123.0, 6.0).profile()
    assert profile.rate(0.0) == profile.rate(5.9) == 123.0


def test_a_rate_has_the_mix_of_the_plans_peak_though_scenarios_have_curves_of_their_own() -> None:
    plan = config("day").plan
    at_s, peak_tps = plan.profile().peak
    whole, _ = asked_search(config("day"), ASKED)
    arrivals = whole.plan.at_rate(peak_tps, 6.0).arrivals_profile()
    assert arrivals.rate(0.0) == arrivals.rate(5.9) == pytest.approx(plan.arrivals_profile().rate(at_s))


def test_a_step_has_none_of_the_plans_faults() -> None:
    overload = Plan.load(shipped_drills()["overload"])
    assert overload.at_rate(100.0, 4.0).arrivals_profile().peak[1] == 100.0


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"tolerance": 0.0}, "--tolerance: expected a share above 0, at most 1, got 0"),
        ({"tolerance": 1.5}, "--tolerance"),
        ({"duration": "soon"}, "--duration"),
        ({"duration": "0s"}, "--duration: expected more than 0 s"),
        ({"duration": "9" * 400}, "--duration: expected a finite number of seconds"),
        ({"start_tps": inf}, "--start-tps: expected a number above 0, got inf"),
        ({"for_tps": inf}, "--for: expected a number above 0, got inf"),
    ],
)
def test_settings_that_make_no_search_are_refused_before_anything_starts(
    asked: dict[str, object], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        asked_search(config(), ASKED | asked)


def test_workers_are_added_up_and_judged_as_a_run_is() -> None:
    objectives = [parse("p99(POST /orders) < 20ms")]
    found = seen([report(took_ms=5), report(took_ms=10)], config(), objectives)
    assert found.completed_tps == 1000
    assert found.result.arrivals.scheduled == 2000
    assert found.result.verdict == "PASS"
    assert found.headroom == pytest.approx(1.0, rel=0.02)
    assert found.response_ms.count == 2000


def test_a_worker_that_broke_off_too_early_to_count_is_taken_to_have_done_as_the_others() -> None:
    early = report(measured_s=0.4, completed_tps=None)
    assert seen([report(), early], config(), []).completed_tps == 1000
    assert seen([early, early], config(), []).completed_tps == 0


def test_a_missed_objective_fails_a_late_generator_is_invalid_and_so_is_a_saturated_one() -> None:
    objectives = [parse("p99(POST /orders) < 20ms")]
    assert seen([report(took_ms=30)], config(), objectives).result.verdict == "FAIL"
    assert seen([report(error="status 500")], config(), objectives).result.verdict == "FAIL"
    assert seen([report(took_ms=30, cpu=0.97)], config(), objectives).result.verdict == "INVALID"


def test_headroom_is_told_only_where_it_says_something_of_the_outcome() -> None:
    objectives = [parse("p99(POST /orders) < 20ms")]
    failed_by_errors = seen([report(error="status 500")], config(), objectives)
    assert capacity._told(Outcome.FAIL, failed_by_errors) is None
    missed = seen([report(took_ms=40)], config(), objectives)
    assert capacity._told(Outcome.FAIL, missed) == pytest.approx(-0.5, rel=0.02)
    assert capacity._told(Outcome.INVALID, missed) is None


class Played:
    """Generators that see one thing after another, the last one for good; the orders that they were given."""

    def __init__(self, *reports: Report) -> None:
        self.reports, self.orders = list(reports), list[Order]()

    def __call__(self, _session: Session, objectives: Sequence[Slo]) -> "Played":
        self.objectives = objectives
        return self

    def play(self, order: Order) -> Seen:
        self.orders.append(order)
        return seen(
            [self.reports.pop(0) if len(self.reports) > 1 else self.reports[0]], config(), self.objectives
        )

    def close(self) -> None:
        """Nothing."""


def searched(
    played: Played, folder: Path, monkeypatch: pytest.MonkeyPatch, target: str = "http://127.0.0.1:1"
) -> ExitCode:
    monkeypatch.setattr(capacity, "StepWorkers", played)
    whole, settings = asked_search(config(out=str(folder), targets=[target]), ASKED | {"start_tps": 500.0})
    return capacity.search(whole, settings, Console(quiet=True))


def test_no_file_of_a_search_has_the_targets_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched(Played(report(took_ms=900)), tmp_path, monkeypatch, "http://u:hunter2@127.0.0.1:1")
    (folder,) = tmp_path.iterdir()
    written = {path.name: path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file()}
    assert "http://u@127.0.0.1:1" in written["capacity.json"]
    assert [name for name, text in written.items() if "hunter2" in text] == []


def test_a_rate_at_which_others_took_the_generators_cpu_is_played_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, passed, missed = (
        report(late_ms=50, cpu_wait=0.3),
        report(),
        report(took_ms=900, completed_tps=510.0),
    )
    played = Played(taken, taken, passed, missed)
    assert searched(played, tmp_path, monkeypatch) is ExitCode.PASS
    assert [order.tps for order in played.orders[:4]] == [500, 500, 500, 1000]
    (found,) = (CapacityResult.read(path) for path in tmp_path.glob("*/capacity.json"))
    assert found.limit == "target"
    assert [step.outcome for step in found.steps[:3]] == ["invalid", "invalid", "pass"]


def test_a_machine_that_is_never_free_ends_a_search_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = Played(report(late_ms=50, cpu_wait=0.3))
    assert searched(played, tmp_path, monkeypatch) is ExitCode.INVALID
    assert len(played.orders) <= capacity.MOST_STEPS + capacity.MOST_AGAIN
    saturated = Played(report(late_ms=50, cpu=0.97), report())
    assert searched(saturated, tmp_path, monkeypatch) is ExitCode.PASS
    assert saturated.orders[1].tps < 500


def test_a_target_that_answered_nothing_right_is_named_so_with_the_code_of_a_run_that_proves_nothing() -> (
    None
):
    session = Session(config(), Console(quiet=True))
    workers = StepWorkers(session, [])
    answers = [Report(nothing_ok="nothing was ok: GET /: status-500 (7 times)"), Report(completed_tps=5.0)]
    workers._ask = lambda _order: answers  # type: ignore[method-assign, assignment]
    assert workers.full_speed() == 5.0
    answers.pop()
    with pytest.raises(NothingToJudgeError, match=r"no rate can be judged.*status-500 \(7 times\)") as caught:
        workers.full_speed()
    assert caught.value.code is ExitCode.INVALID


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        ("4", 'expected MACHINES=TPS, for example 4=14000, got "4"'),
        ("a=b", 'got "a=b"'),
        ("0=5", "expected machines and TPS above 0"),
        ("4=14000", "at least 4 measurements"),
        (f"{'9' * 400}=5", "expected MACHINES=TPS"),
    ],
)
def test_a_measurement_that_cannot_be_fitted_is_named_in_plain_words(measured: str, said: str) -> None:
    ended = CliRunner().invoke(app, ["capacity", "--measured", measured])
    assert ended.exit_code == 2
    assert said in ended.output


def test_help_names_the_first_rate_that_is_tried() -> None:
    said = " ".join(CliRunner(env={"COLUMNS": "300"}).invoke(app, ["capacity", "--help"]).output.split())
    assert f"Default: {round(capacity.FIRST_SHARE * 100)} % of full speed" in said


def test_an_upper_end_that_the_measurements_leave_open_is_any_number() -> None:
    console = Console(record=True, file=StringIO())
    capacity.print_bill(Bill(500.0, Interval(6.0, 8.0, inf), 2, 4, 1.0), console)
    assert "8 (6 to any number, 95 %)" in console.export_text()


@pytest.mark.parametrize(
    ("tps", "flags", "said"),
    [
        ((1, 1.5, 1.6, 1.6), (), "--for: expected a rate within reach .* 583000 TPS would need more than"),
        ((1e-308, 2e-308, 3e-308, 3.5e-308), (), "--for: expected a rate within reach"),
        ((1000, 1900, 2800, 3700), ("--for", "inf"), "--for: expected a number above 0, got inf"),
    ],
)
def test_a_rate_that_no_machines_reach_is_refused_by_its_flag(
    tps: Sequence[float], flags: Sequence[str], said: str
) -> None:
    pytest.importorskip("scipy")
    measured = [f"--measured={machines}={each}" for machines, each in enumerate(tps, start=1)]
    ended = CliRunner().invoke(app, ["capacity", *measured, *flags])
    assert ended.exit_code == 2, ended.exception
    assert re.search(said, " ".join(ended.output.split()))
