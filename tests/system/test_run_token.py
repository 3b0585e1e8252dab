"""A master with a run token, and workers with it, without it, and with another."""

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from locust.rpc.protocol import Message

from tests.ports import free_port
from tests.system.locust_fleet import COMMAND, fleet, wait_until
from tests.target_service.service_process import ROOT, ask, running

TOKEN = "the-token-of-this-run"  # noqa: S105 - of a test
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def workers_at(url: str) -> int:
    """How many workers the master knows."""
    [count] = re.findall(r'"worker_count": (\d+)', ask(url, "GET", "/peak/locust").body.decode())
    return int(count)


def said(log: Path) -> str:
    return log.read_text()


@contextlib.contextmanager
def worker(log: Path, control: int, **environment: str) -> Iterator[None]:
    """One more worker, ended afterwards."""
    clean = {name: value for name, value in os.environ.items() if name != "LOADTEST_TOKEN"}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*COMMAND, "--worker", "--master-port", str(control)],
            cwd=ROOT, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=clean | environment,
        )  # fmt: skip
    try:
        yield
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow(held_by="test_a_strangers_messages_are_not_even_heard")
def test_only_workers_with_the_token_join_and_the_others_are_logged(tmp_path: Path) -> None:
    control = free_port()
    with (
        running(tmp_path) as service,
        fleet(
            tmp_path, service.url, "--master-bind-host", "0.0.0.0", control=control, LOADTEST_TOKEN=TOKEN
        ) as ours,
        worker(tmp_path / "none.log", control),
        worker(tmp_path / "wrong.log", control, LOADTEST_TOKEN="the-token-of-another-run"),
    ):
        wait_until(lambda: "refused a connection to the control port" in said(tmp_path / "master.log"))
        for log in ("none.log", "wrong.log"):
            wait_until(lambda log=log: "the master refuses this worker" in said(tmp_path / log))  # type: ignore[misc]
        assert workers_at(ours.web_url) == 1
        assert ask(ours.web_url, "POST", "/swarm", "plan=smoke&peak_tps=20&duration=3s", FORM).json["success"]
        wait_until(lambda: ask(ours.web_url, "GET", "/peak/live").json["state"] == "done", 300)
        live = ask(ours.web_url, "GET", "/peak/live").json
        assert (len(live["workers"]), live["failures"]) == (1, 0)
        with worker(tmp_path / "right.log", control, LOADTEST_TOKEN=TOKEN):
            wait_until(lambda: workers_at(ours.web_url) == 2)


def test_a_strangers_messages_are_not_even_heard(tmp_path: Path) -> None:
    control = free_port()
    with fleet(tmp_path, "http://127.0.0.1:1", control=control, LOADTEST_TOKEN=TOKEN) as ours:
        with zmq.Context() as context, context.socket(zmq.DEALER) as stranger:
            stranger.identity = b"stranger"
            stranger.linger = 0
            stranger.connect(f"tcp://127.0.0.1:{control}")
            stranger.send(Message("client_ready", -1, "stranger").serialize())
            stranger.send(b"\xc1\xc1\xc1")
            wait_until(lambda: "refused a connection" in said(tmp_path / "master.log"))
            assert stranger.poll(500) == 0
        assert workers_at(ours.web_url) == 1
        assert "stranger" not in said(tmp_path / "master.log")


@pytest.mark.slow(stays=["role1"])
@pytest.mark.parametrize("role", [["--master"], ["--worker"]])
def test_a_token_that_is_too_short_ends_master_and_worker_before_anything_starts(role: list[str]) -> None:
    ended = subprocess.run(
        [*COMMAND, *role, "--master-bind-port", str(free_port()), "--web-port", str(free_port())],
        cwd=ROOT, capture_output=True, text=True, timeout=120, env=os.environ | {"LOADTEST_TOKEN": "short"},
    )  # fmt: skip
    assert ended.returncode == 2
    assert "LOADTEST_TOKEN: expected at least 16 characters, got 5" in ended.stderr
