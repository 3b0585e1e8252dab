"""The pure parts of `singlesday run` and of its probe."""

import socket
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from loadtest.cli import main
from loadtest.cli.probe import interleaved
from loadtest.configuration.check import check
from loadtest.configuration.config_error import ConfigError
from loadtest.configuration.run_config import RunConfig
from loadtest.plan.plan_file import Plan


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
    played: list[RunConfig] = []

    def play(config: RunConfig, _out: Any) -> int:
        played.append(config)
        return 0

    monkeypatch.setattr(main, "_checked", lambda config: config)
    monkeypatch.setattr(main, "_play", play)
    arguments = [flag.format(own=own) for flag in flags]
    ended = CliRunner().invoke(main.app, ["run", *arguments, "--out", str(tmp_path)])
    assert ended.exit_code == 0, ended.output
    assert [config.auto_peak for config in played] == [probed]


def test_a_host_with_an_agreed_rate_is_never_probed_at_full_speed() -> None:
    plan = msgspec.structs.replace(Plan.load("smoke"), targets={"127.0.0.1": 500.0})
    with socket.create_server(("127.0.0.1", 0)) as server:
        target = f"http://127.0.0.1:{server.getsockname()[1]}"
        config = RunConfig(plan=plan, plan_name="smoke", targets=[target], auto_peak=True)
        with pytest.raises(ConfigError, match=r"load 127\.0\.0\.1 at full speed, but at most 500"):
            check(config, lambda _: {})
        check(config.but(auto_peak=False), lambda _: {})
