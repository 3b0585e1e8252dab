"""Each example as its README says: server and command, on a free port, for two seconds."""

import contextlib
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from loadtest.cli.children import wait_until
from loadtest.measure.run_result import RunResult
from tests.contract.postgres_server import postgres_server
from tests.required import program
from tests.timing import unless_taken

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PORT = re.compile(r"\b180\d\d\b")
OBJECTIVES_MET = {0, 10, 11}
"""Exit codes of a run to its end: whether it was fast is the machine's affair."""


def console(example: str, port: int) -> list[str]:
    """The commands of an example's README, on another port."""
    text = (ROOT / "examples" / example / "README.md").read_text()
    block = text.split("```console\n")[1].split("```")[0]
    return PORT.sub(str(port), block).splitlines()


@contextlib.contextmanager
def served(commands: list[str], port: int, environment: Mapping[str, str]) -> Iterator[None]:
    """The server of an example, ready."""
    words = shlex.split(commands[0].removesuffix("&"))
    log = Path(environment["LOG"])
    with log.open("w") as file:
        server = subprocess.Popen(
            [program(words[0]), *words[1:]], cwd=environment["CWD"], stdout=file, stderr=file, env=environment
        )
    try:
        assert wait_until(lambda: answers(port) or server.poll() is not None, 60, 0.05), log.read_text()
        assert server.poll() is None, log.read_text()
        yield
    finally:
        server.terminate()
        server.wait(30)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Commands find the programs of this environment, and the repository's files from an empty folder."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    path = os.pathsep.join([str(BIN), os.environ.get("PATH", "")])
    own = {"PATH": path, "CWD": str(tmp_path), "LOG": str(tmp_path / "server.log"), "PGUSER": "shop"}
    return {**os.environ, **own, "PYTHONDONTWRITEBYTECODE": "1"}


def played(command: str, environment: Mapping[str, str]) -> RunResult:
    """Play an example's last command for two seconds."""
    words = shlex.split(command)
    named = dict(word.split("=", 1) for word in words if re.match(r"[A-Z]+=", word))
    words = words[len(named) :]
    out = Path(environment["CWD"]) / "runs"
    command_line = [program(words[0]), *words[1:], "--duration", "2s", "--out", str(out)]
    done = subprocess.run(
        command_line,
        cwd=environment["CWD"],
        env={**environment, **named},
        capture_output=True,
        text=True,
        timeout=90,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode in OBJECTIVES_MET, done.stdout + done.stderr
    (found,) = out.glob("*/result.json")
    return RunResult.read(found)


EXAMPLES = {
    "http": {"GET /products/[sku]", "POST /orders"},
    "mtls": {"POST /orders"},
    "login": {"GET /account", "POST /login"},
    "websocket": {"WS message"},
    "grpc": {"gRPC /shop.Orders/Create", "gRPC /shop.Orders/Watch"},
    "postgresql": {"SQL place an order"},
    "redis": {"REDIS HINCRBY", "REDIS HGETALL"},
    "sse": {
        "GET /orders/[id]/events",
        "first event /orders/[id]/events",
        "next event /orders/[id]/events",
    },
    "graphql": {"POST product", "POST order"},
    "http2": {"GET /products/[sku]"},
}


def test_every_example_is_listed_and_played() -> None:
    there = {path.parent.name for path in ROOT.glob("examples/*/plan.toml")}
    listed = set(re.findall(r"^\| \[(\w+)\]", (ROOT / "examples" / "README.md").read_text(), re.MULTILINE))
    assert there == listed == set(EXAMPLES)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_plays_its_plan_without_a_failure(example: str, environment: dict[str, str]) -> None:
    port = free_port()
    commands = console(example, port)
    if example == "postgresql":
        program("psql")
        with postgres_server() as server:
            dsn = server.create_database("shop")
            result = played(
                PORT.sub(dsn.rpartition("/")[0].rpartition(":")[2], console(example, 18006)[-1]), environment
            )
    else:
        with served(commands, port, environment):
            result = played(commands[-1], environment)
    unless_taken(result)
    arrivals = result.arrivals
    assert (
        set(result.endpoints) - {name for name in result.endpoints if name.startswith("arrival ")}
        == EXAMPLES[example]
    )
    assert {name: endpoint.failures for name, endpoint in result.endpoints.items() if endpoint.failures} == {}
    assert arrivals.planned == arrivals.scheduled == arrivals.started + arrivals.dropped > 0
    assert arrivals.started == arrivals.ok
