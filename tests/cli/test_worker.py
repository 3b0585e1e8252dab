"""`singlesday worker` and the flags of a run with workers elsewhere, as far as what is wrong with them."""

import socket
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from loadtest.cli.children import Child, wait_until
from loadtest.cli.crew import MOST_REPLACED, Crew
from loadtest.cli.main import app
from loadtest.cli.place import place_of
from loadtest.cli.run import how_to_join
from loadtest.configuration.config_error import ConfigError
from loadtest.configuration.run_config import RunConfig
from loadtest.plan.plan_file import Plan

HERE = ["--master", "127.0.0.1:9"]


def refused(*arguments: str) -> str:
    ended = CliRunner(env={"LOADTEST_TOKEN": ""}).invoke(app, list(arguments))
    assert ended.exit_code == 2, ended.output
    return " ".join(ended.output.split())


@pytest.mark.parametrize(
    "text", ["", ":1", "host:port", "host:0", "host:70000", "tcp://host:1", "a b", "user@host:1"]
)
def test_a_master_that_is_no_address_is_refused(text: str) -> None:
    assert "--master" in refused("worker", "--master", text)
    with pytest.raises(ConfigError, match=r"expected HOST:PORT, for example 10\.0\.0\.1:5557"):
        place_of(text, "--master")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("10.0.0.1:7", ("10.0.0.1", 7)),
        ("run", ("run", 5557)),
        ("[::1]:7", ("::1", 7)),
        ("::1", ("::1", 5557)),
    ],
)
def test_an_address_may_leave_the_port_out(text: str, place: tuple[str, int]) -> None:
    assert place_of(text, "--master") == place


def test_a_master_on_another_machine_needs_a_token() -> None:
    assert "is another machine and needs the run's token: --token-file" in refused(
        "worker", "--master", "10.0.0.1"
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        (b"", "got none"),
        (b"short\n", "got 5"),
        (b"\xff" * 20, "expected text"),
        (b"x" * 5000, "at most"),
    ],
)
@pytest.mark.parametrize("command", [["worker", *HERE], ["run", "smoke"]], ids=["worker", "run"])
def test_a_token_file_that_is_none_is_refused_by_name(
    command: list[str], content: bytes | None, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    text = refused(*command, "--token-file", str(file))
    assert said in text
    assert "token-file" in text


def test_a_master_that_is_not_there_is_waited_for_and_then_named(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        assert f"no master answered at {address} within 1 s" in refused(
            "worker", "--master", address, "--wait", "1s", "--out", str(tmp_path)
        )


def test_what_listens_and_is_no_master_is_told_from_one(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        text = refused("worker", "--master", address, "--wait", "1s", "--out", str(tmp_path))
    assert address in text


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--bind", "0.0.0.0:1"], "--bind 0.0.0.0: is reachable from outside and needs a token"),
        (
            ["--min-workers", "9", "--workers", "1"],
            "--min-workers 9: expected at least 1 and at most the 1 workers",
        ),
        (["--expect-workers", "2"], "--expect-workers: expected together with --target"),
        (["--bind", "nonsense:x"], "--bind nonsense:x: expected HOST:PORT"),
    ],
)
def test_a_run_whose_workers_could_not_come_does_not_begin(
    flags: list[str], said: str, tmp_path: Path
) -> None:
    assert said in refused("run", "smoke", "--peak-tps", "5", "--out", str(tmp_path), *flags)


def test_whoever_starts_a_run_is_told_what_to_type_elsewhere_and_that_loopback_is_here_alone() -> None:
    config = RunConfig(
        plan=Plan.load("smoke"), plan_name="smoke", workers=2, workers_elsewhere=2, control_port=7
    )
    assert "which only this machine reaches: --bind ADDRESS:PORT" in how_to_join(config)
    assert "singlesday worker --master 10.0.0.1:7 --token-file FILE" in how_to_join(
        config.but(bind="10.0.0.1")
    )
    assert "ADDRESS-OF-THIS-MACHINE:7" in how_to_join(config.but(bind="0.0.0.0"))


def test_a_crashed_worker_is_replaced_a_few_times_and_one_that_ended_well_is_not(tmp_path: Path) -> None:
    said: list[str] = []
    code = 3

    def start(name: str) -> Child:
        return Child(name, [sys.executable, "-c", f"raise SystemExit({code})"], log=tmp_path / name)

    def ended() -> bool:
        return not crew.running

    crew = Crew(1, start, said.append)
    for _ in range(MOST_REPLACED + 2):
        assert wait_until(ended, 30)
        crew.tend()
    assert len(said) == MOST_REPLACED
    assert "worker-1 crashed (exit code 3" in said[0]
    assert "worker-2 takes its place" in said[0]
    code = 0
    crew = Crew(1, start, said.append)
    assert wait_until(ended, 30)
    crew.tend()
    assert len(said) == MOST_REPLACED
