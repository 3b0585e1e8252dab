"""`singlesday relay`: what stands in its way is one sentence, before anything else happens."""

import socket

import pytest
from typer.testing import CliRunner

from loadtest.cli.main import app

run = CliRunner().invoke


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--master", "127.0.0.1", "--bind", "127.0.0.1:x"], "--bind 127.0.0.1:x: expected HOST:PORT"),
        (["--master", "a b", "--bind", "127.0.0.1"], "--master a b: expected HOST:PORT"),
        (["--master", "10.0.0.1", "--bind", "127.0.0.1"], "needs the run's token"),
        (["--master", "127.0.0.1", "--bind", "0.0.0.0:5557"], "--bind 0.0.0.0: is reachable from outside"),
        (["--master", "127.0.0.1", "--bind", "127.0.0.1", "--wait", "0s"], "--wait"),
        (["--master", "127.0.0.1", "--bind", "127.0.0.1", "--token-file", "none"], "--token-file none"),
        (["--master", "127.0.0.1"], "--bind"),
    ],
)
def test_bad_input_names_the_flag(words: list[str], told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOADTEST_TOKEN", raising=False)
    ended = run(app, ["relay", *words])
    assert ended.exit_code == 2
    assert told in " ".join(ended.output.split())


def test_a_port_that_is_taken_is_told_before_the_master_is_waited_for() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        place = f"127.0.0.1:{other.getsockname()[1]}"
        ended = run(app, ["relay", "--master", "127.0.0.1:1", "--bind", place])
    assert ended.exit_code == 2
    assert f"--bind {place}: the port is in use" in " ".join(ended.output.split())


def test_a_master_that_does_not_come_is_one_sentence() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["--master", "127.0.0.1:1", "--bind", f"127.0.0.1:{port}", "--wait", "100ms"]
    ended = run(app, ["relay", *words])
    assert ended.exit_code == 2
    assert "no master answered at 127.0.0.1:1 within 0.1 s" in " ".join(ended.output.split())


def test_a_relay_of_itself_is_told_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{free.getsockname()[1]}"
    ended = run(app, ["relay", "--master", place, "--bind", place])
    assert ended.exit_code == 2
    assert f"--bind {place}: is the --master" in " ".join(ended.output.split())
