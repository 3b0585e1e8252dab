"""Doors that would stand open: refused with exit code 2 before anything starts, naming the flag."""

import os
import socket
import subprocess

import pytest

from tests.ports import free_port
from tests.system.locust_fleet import COMMAND
from tests.target_service.service_process import ROOT


def refused(*flags: str, **environment: str) -> str:
    """Start a master; what it said on its way out with code 2."""
    command = [*COMMAND, "--web-port", str(free_port()), "-H", "http://127.0.0.1:1", *flags]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, env=os.environ | environment
    )
    assert ended.returncode == 2, ended.stderr
    return ended.stderr


@pytest.mark.parametrize(
    ("flags", "needed"),
    [
        (("--web-host", "0.0.0.0"), "LOADTEST_WEB_TOKEN"),
        (("--metrics-port", "0", "--metrics-host", "0.0.0.0"), "LOADTEST_METRICS_TOKEN"),
        (("--master", "--master-bind-host", "0.0.0.0"), "LOADTEST_TOKEN"),
    ],
)
def test_nothing_is_reachable_from_outside_without_a_token(flags: tuple[str, ...], needed: str) -> None:
    assert f"{flags[-2]} 0.0.0.0: is reachable from outside and needs a token in {needed}" in refused(*flags)


def test_a_metrics_port_that_is_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"--metrics-port {port}: Address already in use" in refused("--metrics-port", port)
