"""The pure parts of `singlesday run` and of its probe."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from loadtest.cli import checks, main
from loadtest.cli.checks import BadFlagError, check_may_probe
from loadtest.cli.probe import interleaved
from loadtest.cli.run import plan_flags
from loadtest.cli.run_session import RunOptions
from loadtest.plan.plan_file import Plan


def test_plan_flags_leave_out_what_was_not_given() -> None:
    flags = plan_flags("day", peak_tps=12.5, duration="30s", time_scale=None, seed=None)
    assert flags == ["--plan", "day", "--peak-tps", "12.5", "--duration", "30s"]


def test_scenarios_are_interleaved_in_proportion() -> None:
    order = interleaved([1.0, 0.5, 0.2])
    assert [order.count(index) for index in range(3)] == [20, 10, 4]
    assert order[:3].count(0) >= 1
    assert set(order[:10]) == {0, 1, 2}, "the rare one must not come only at the end"


@given(st.lists(st.floats(0.01, 3), min_size=1, max_size=5))
def test_no_scenario_is_left_out_of_the_probe(rates: list[float]) -> None:
    order = interleaved(rates)
    assert set(order) == set(range(len(rates)))
    for index, rate in enumerate(rates):
        assert order.count(index) == max(1, round(rate * 20))


@pytest.mark.parametrize("rates", [[1.0], [0.5]])
def test_a_single_scenario_is_all_there_is(rates: list[float]) -> None:
    assert set(interleaved(rates)) == {0}


PLANS = Path(main.__file__).parents[1] / "plan" / "plans"
TARGET = ["--target", "http://127.0.0.1:1"]


@pytest.mark.parametrize(
    ("flags", "probed"),
    [
        (["smoke"], True),
        (["smoke", "--peak-tps", "20"], False),
        (["smoke", *TARGET], False),
        (["smoke", *TARGET, "--peak-tps", "auto"], True),
        (["{own}"], False),
        (["{own}", "--peak-tps", "auto"], True),
    ],
)
def test_only_a_shipped_plan_at_our_own_service_is_sized_unasked(
    flags: list[str], probed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.toml"
    own.write_bytes((PLANS / "smoke.toml").read_bytes())
    played: list[RunOptions] = []

    def play(options: RunOptions, _out: Any) -> int:
        played.append(options)
        return 0

    monkeypatch.setattr(checks, "check_run", lambda _options: None)
    monkeypatch.setattr(main, "_play", play)
    arguments = [flag.format(own=own) for flag in flags]
    ended = CliRunner().invoke(main.app, ["run", *arguments, "--out", str(tmp_path)])
    assert ended.exit_code == 0, ended.output
    assert [options.auto_peak for options in played] == [probed]


def test_a_host_with_an_agreed_rate_is_never_probed_at_full_speed() -> None:
    plan = msgspec.structs.replace(Plan.load("smoke"), targets={"staging.shop": 500.0})
    with pytest.raises(BadFlagError, match=r"probe staging\.shop at full speed, and at most 500"):
        check_may_probe(plan, "https://staging.shop/")
    check_may_probe(plan, "http://127.0.0.1:8080/")
